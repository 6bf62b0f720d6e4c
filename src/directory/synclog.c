/*
 * synclog.c
 *	  The log of syncs: who called what, what came of it, how long it took.
 *
 * A call that fails leaves no entry: that rolls back with it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "directory/synclog.h"
#include "principal/principal.h"
#include "server/settings.h"
#include "server/sqlfunction.h"
#include "statement/ownersql.h"

static OwnerSql write_entry =
OWNER_SQL("INSERT INTO diagsync.sync_log (principal, action, local_id, public_id,"
		  "  called_at, duration_ms, success, inserted, updated, deleted, merged,"
		  "  resolved, conflicts, refused_deletions)"
		  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
		  14, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, FLOAT8OID,
		  BOOLOID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID,
		  INT4OID);

static OwnerSql delete_old =
OWNER_SQL("DELETE FROM diagsync.sync_log WHERE $1" GT "called_at",
		  1, TIMESTAMPTZOID);

/*
 * Begin an entry for a call that begins now, without figures.
 */
void
synclog_begin(SyncLogEntry *entry, const char *action, const char *local)
{
	entry->action = action;
	entry->local = local;
	entry->public = NULL;
	entry->called_at = GetCurrentTimestamp();
	entry->success = true;
	entry->inserted = entry->updated = entry->deleted = SYNCLOG_NONE;
	entry->merged = entry->resolved = entry->conflicts = SYNCLOG_NONE;
	entry->refused_deletions = SYNCLOG_NONE;
}

/*
 * Write an entry for a call that ends now.  The caller is connected to SPI.
 */
void
synclog_write(const SyncLogEntry *entry)
{
	int64		figures[] = {entry->inserted, entry->updated, entry->deleted,
		entry->merged, entry->resolved, entry->conflicts,
	entry->refused_deletions};
	Datum		values[14];
	char		nulls[14];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = CStringGetTextDatum(principal_current());
	values[1] = CStringGetTextDatum(entry->action);
	values[2] = CStringGetTextDatum(entry->local);
	values[3] = CStringGetTextDatum(entry->public);
	values[4] = TimestampTzGetDatum(entry->called_at);
	values[5] = Float8GetDatum((GetCurrentTimestamp() - entry->called_at) / 1000.0);
	values[6] = BoolGetDatum(entry->success);
	for (size_t i = 0; i < lengthof(figures); i++)
	{
		values[7 + i] = sqlfunction_count(figures[i]);
		nulls[7 + i] = figures[i] == SYNCLOG_NONE ? 'n' : ' ';
	}
	(void) ownersql_run(&write_entry, STORAGE_LOCAL, values, nulls,
						OWNER_SQL_EXEMPT);
}

/*
 * Drop the entries older than diagsync.sync_log_days.  The caller is connected
 * to SPI.
 */
void
synclog_prune(void)
{
	Datum		values[1];

	if (settings_sync_log_days < 0)
		return;
	values[0] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp() -
									settings_sync_log_days * USECS_PER_DAY);
	(void) ownersql_run(&delete_old, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT);
}
