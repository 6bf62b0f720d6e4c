/*
 * linkwalk.c
 *	  The links of a shared diagram, one after the other: a batch is listed at
 *	  a time, and nothing is kept of one when the next is looked at.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "directory/linkwalk.h"
#include "statement/ownersql.h"

static OwnerSql links_after =
OWNER_SQL("SELECT id, COALESCE(seen_at, GREATEST(last_pushed_at, last_pulled_at)),"
		  "  seen, seen_own, seen_on"
		  " FROM diagsync.directory"
		  " WHERE public_copy_id" EQ "$1 AND id" GT "$2"
		  " ORDER BY id LIMIT " LISTED_DIAGRAMS,
		  2, TEXTOID, TEXTOID);

/* A column of a listed link, "none" where it is null */
static Datum
column(uint64 row, int attno, Datum none)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, attno, &isnull);

	return isnull ? none : value;
}

static Diagram *
form_link(uint64 row, const char *public)
{
	Diagram    *local = palloc0(sizeof(Diagram));
	Datum		seen = column(row, 3, (Datum) 0);
	Datum		seen_on = column(row, 5, (Datum) 0);

	local->id = TextDatumGetCString(column(row, 1, (Datum) 0));
	local->key = CStringGetTextDatum(local->id);
	local->storage = STORAGE_LOCAL;
	local->public_copy_id = pstrdup(public);
	local->seen_at =
		DatumGetTimestampTz(column(row, 2, TimestampTzGetDatum(DT_NOBEGIN)));
	local->seen = DatumGetPointer(seen) == NULL ? NULL :
		(Seen *) PG_DETOAST_DATUM_COPY(seen);
	local->seen_own = (uint64)
		DatumGetInt64(column(row, 4, Int64GetDatum((int64) SEEN_OWN_NONE)));
	local->seen_on = DatumGetPointer(seen_on) == NULL ? NULL :
		TextDatumGetCString(seen_on);
	return local;
}

/*
 * Have a batch of links visited, those after that id.  Returns the last one's
 * id in the caller's context, NULL where there are no more, or are to be no
 * more.
 */
static char *
visit_batch(const char *public, const char *after, Snapshot snapshot,
			LinkVisitor visitor, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "diagsync link",
												  ALLOCSET_SMALL_SIZES);
	Datum		values[2] = {CStringGetTextDatum(public),
	CStringGetTextDatum(after)};
	SPITupleTable *listed;
	uint64		n;
	char	   *last = NULL;
	bool		more = true;

	SPI_connect();
	PushActiveSnapshot(snapshot);
	n = ownersql_run(&links_after, STORAGE_LOCAL, values, NULL,
					 OWNER_SQL_READ);
	PopActiveSnapshot();
	listed = SPI_tuptable;
	for (uint64 i = 0; i < n && more; i++)
	{
		Diagram    *local;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		SPI_tuptable = listed;	/* the visitor may have run commands */
		local = form_link(i, public);
		if (i == n - 1)
			last = MemoryContextStrdup(caller, local->id);
		more = visitor(local, arg);
	}
	SPI_finish();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return more ? last : NULL;
}

/*
 * Visit the links of a shared diagram as a snapshot shows them, in ascending
 * ids. The snapshot may be NULL: the latest at each batch.  The visitor runs
 * in a context of its own, within an SPI connection.  Takes no locks.
 */
void
linkwalk(const char *public, Snapshot snapshot, LinkVisitor visitor, void *arg)
{
	char	   *after = pstrdup("");

	while (after != NULL)
	{
		char	   *last = visit_batch(public, after,
									   snapshot ? snapshot : GetLatestSnapshot(),
									   visitor, arg);

		pfree(after);
		after = last;
	}
}

static bool
find_established(const Diagram *local, void *arg)
{
	bool	   *found = arg;

	*found = directory_link_is_established(local);
	return !*found;
}

/*
 * Does an established link lead to a shared diagram, as far as is committed?
 */
bool
linkwalk_has_established(const char *public)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	bool		found = false;

	linkwalk(public, snapshot, find_established, &found);
	UnregisterSnapshot(snapshot);
	return found;
}
