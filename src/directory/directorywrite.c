/*
 * directorywrite.c
 *	  Entries of the directory, and links between them: made and changed.
 *
 * Who changes one has locked it before, as directory.c says.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "directory/directory.h"
#include "directory/rolenote.h"
#include "principal/principal.h"
#include "server/textarg.h"
#include "statement/ownersql.h"
#include "statement/statement.h"

static OwnerSql insert_entry =
OWNER_SQL("INSERT INTO diagsync.directory (id, name, description, storage_type, merge_policy)"
		  " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING",
		  5, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID);

static OwnerSql set_link =
OWNER_SQL("UPDATE diagsync.directory SET public_copy_id = $2, last_pushed_at = NULL,"
		  " last_pulled_at = NULL, public_version = NULL, seen = NULL,"
		  " seen_own = NULL, seen_on = NULL, seen_at = NULL, compare_in_full = false,"
		  " seen_policy = NULL"
		  " WHERE id" EQ "$1",
		  2, TEXTOID, TEXTOID);

static OwnerSql clear_bases =
OWNER_SQL("DELETE FROM diagsync_local.base WHERE diagram_id" EQ "$1",
		  1, TEXTOID);

static OwnerSql record_sync =
OWNER_SQL("UPDATE diagsync.directory SET"
		  " last_pushed_at = CASE WHEN $2" EQ "'push' THEN pg_catalog.now() ELSE last_pushed_at END,"
		  " last_pulled_at = CASE WHEN $2" EQ "'pull' THEN pg_catalog.now() ELSE last_pulled_at END,"
		  " seen = CASE WHEN $3 IS NULL THEN seen ELSE $3 END,"
		  " seen_at = CASE WHEN $3 IS NULL THEN COALESCE(seen_at, GREATEST(last_pushed_at, last_pulled_at))"
		  "  WHEN $2" EQ "'compare' THEN pg_catalog.now() END,"
		  " seen_own = CASE WHEN $3 IS NULL THEN seen_own ELSE $4 END,"
		  " seen_on = CASE WHEN $3 IS NULL THEN COALESCE(seen_on, '-') ELSE $5 END,"
		  " compare_in_full = compare_in_full AND $3 IS NULL,"
		  " seen_policy = CASE WHEN $3 IS NULL THEN seen_policy END,"
		  " public_version = $6"
		  " WHERE id" EQ "$1",
		  6, TEXTOID, TEXTOID, PG_SNAPSHOTOID, INT8OID, TEXTOID, INT8OID);

static OwnerSql classify_own =
OWNER_SQL("UPDATE diagsync.directory SET seen_own = NULL WHERE id" EQ "$1",
		  1, TEXTOID);

static OwnerSql forget_own =
OWNER_SQL("UPDATE diagsync.directory SET seen_own = NULL"
		  " WHERE public_copy_id" EQ "$1 AND seen_own" EQ "$2 AND id" NE "$3",
		  3, TEXTOID, INT8OID, TEXTOID);

static OwnerSql touch =
OWNER_SQL("UPDATE diagsync.directory SET name = name WHERE id" EQ "$1",
		  1, TEXTOID);

/*
 * Update an entry that is locked, at least FOR NO KEY UPDATE, with what it
 * holds, so that whoever locks it with an older transaction snapshot gets
 * 40001.  Once is enough in a transaction, unless that is rolled back.  The
 * caller is connected to SPI.
 */
void
directory_touch(const char *id)
{
	static char *touched = NULL;
	static TransactionId touched_by = InvalidTransactionId;
	Datum		values[1] = {CStringGetTextDatum(id)};

	if (touched != NULL && strcmp(touched, id) == 0 &&
		TransactionIdIsCurrentTransactionId(touched_by))
		return;
	(void) ownersql_run(&touch, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
	if (touched != NULL)
		pfree(touched);
	touched = NULL;
	touched = MemoryContextStrdup(TopMemoryContext, id);
	touched_by = GetCurrentTransactionId();
}

/*
 * Check the id of a new diagram: 22023 where it cannot be one.  "." and ".."
 * as parts of a path mean something to everything on the way to /db/local/ID,
 * encoded or not, so they are no parts of an id.
 */
static void
check_new_id(const char *id)
{
	const char *segment = id;

	if (id[0] == '\0' || !textarg_fits(id, MAX_DIAGRAM_ID))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a diagram's id must have 1 to %d characters",
						MAX_DIAGRAM_ID),
				 errdetail("It has %d.", pg_mbstrlen(id))));
	while (segment != NULL)
	{
		const char *end = strchr(segment, '/');
		size_t		length = strcspn(segment, "/");

		if ((length == 1 && segment[0] == '.') ||
			(length == 2 && segment[0] == '.' && segment[1] == '.'))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a diagram's id cannot have \"%.*s\" as a part of a path",
							(int) length, segment),
					 errdetail("In the path of a URL that means another place."),
					 errhint("Choose another id, or leave it out to have one generated.")));
		segment = end != NULL ? end + 1 : NULL;
	}
}

/*
 * Make an entry, owned by the caller.  Without an id it gets a new uuid; an
 * error if the id is taken.  The caller is connected to SPI.  Returns the id.
 */
char *
directory_insert(const char *id, const char *name, const char *description,
				 const char *storage, const Jsonb *merge_policy)
{
	Datum		values[5];
	char		nulls[5] = {' ', ' ', ' ', ' ', ' '};

	if (id == NULL)
		id = DatumGetCString(DirectFunctionCall1(uuid_out,
												 DirectFunctionCall1(gen_random_uuid,
																	 (Datum) 0)));
	check_new_id(id);
	rolenote_principal(principal_current(), id);
	values[0] = CStringGetTextDatum(id);
	values[1] = CStringGetTextDatum(name);
	values[2] = description ? CStringGetTextDatum(description) : (Datum) 0;
	nulls[2] = description ? ' ' : 'n';
	values[3] = CStringGetTextDatum(storage);
	values[4] = PointerGetDatum(merge_policy);
	nulls[4] = merge_policy ? ' ' : 'n';
	if (ownersql_run(&insert_entry, STORAGE_LOCAL, values, nulls,
					 OWNER_SQL_EXEMPT) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("diagram \"%s\" already exists", id),
				 errhint("Choose another id, or leave it out to have one generated.")));
	return pstrdup(id);
}

/*
 * Forget what was changed in a local diagram that is locked FOR UPDATE.  The
 * caller is connected to SPI.
 */
void
directory_clear_bases(const char *local)
{
	Datum		values[1] = {CStringGetTextDatum(local)};

	(void) ownersql_run(&clear_bases, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
}

/*
 * Link a local diagram that is locked FOR UPDATE, without having seen anything
 * of the shared copy yet.  The caller is connected to SPI.
 */
void
directory_link(const char *local, const char *public)
{
	Datum		values[2] = {CStringGetTextDatum(local),
	CStringGetTextDatum(public)};

	directory_clear_bases(local);
	(void) ownersql_run(&set_link, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
}

/*
 * Unlink a local diagram that is locked FOR UPDATE.  The caller is connected
 * to SPI.
 */
void
directory_unlink(const Diagram *local)
{
	Datum		values[2] = {local->key, (Datum) 0};

	/* In this order, so that what triggers edit meanwhile gets no base row. */
	(void) ownersql_run(&set_link, STORAGE_LOCAL, values, " n",
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
	directory_clear_bases(local->id);
}

/*
 * Note that a link has synced: when, and what it has seen ("seen" NULL: as
 * before), with its own revision (SEEN_OWN_NONE: classify that again).  In any
 * case it is established now: where what it has seen means nothing here,
 * seen_on becomes "-".  The caller holds the local row FOR NO KEY UPDATE at
 * least and is connected to SPI.
 */
void
directory_record_sync(const char *local, SyncKind kind, const Seen *seen,
					  uint64 own, int64 public_version)
{
	Datum		values[6];
	char		nulls[6] = {' ', ' ', ' ', ' ', ' ', ' '};
	uint64		edits = statement_shared_edits();

	values[0] = CStringGetTextDatum(local);
	values[1] = CStringGetTextDatum(kind == SYNC_PUSH ? "push" :
									kind == SYNC_PULL ? "pull" : "compare");
	values[2] = PointerGetDatum(seen);
	nulls[2] = seen ? ' ' : 'n';
	values[3] = Int64GetDatum((int64) own);
	nulls[3] = own != SEEN_OWN_NONE ? ' ' : 'n';
	values[4] = CStringGetTextDatum(seen_here());
	values[5] = Int64GetDatum(public_version);
	nulls[5] = public_version != 0 ? ' ' : 'n';
	if (seen != NULL)
		statement_note_sync();	/* before triggers on the directory fire */
	if (ownersql_run(&record_sync, STORAGE_LOCAL, values, nulls,
					 OWNER_SQL_EXEMPT) != 1)
		elog(ERROR, "diagram \"%s\" is gone though it is locked", local);

	/*
	 * What a trigger of the directory has written at a shared copy before the
	 * row was updated has not found the revision there.
	 */
	if (own != SEEN_OWN_NONE && statement_shared_edits() != edits)
		(void) ownersql_run(&classify_own, STORAGE_LOCAL, values, NULL,
							OWNER_SQL_EXEMPT);
}

/*
 * This transaction wrote a shared copy otherwise than by the own sync of these
 * links: whoever of them names it as seen_own must classify what it wrote.
 * Such rows can only be this transaction's own, so nothing is waited for.
 * "except" (or NULL) is left as it is.  The caller is connected to SPI.
 */
void
directory_forget_own(const char *public, const char *except)
{
	Datum		values[3];

	if (!statement_synced())
		return;
	values[0] = CStringGetTextDatum(public);
	values[1] = Int64GetDatum((int64) U64FromFullTransactionId(GetTopFullTransactionId()));
	values[2] = CStringGetTextDatum(except ? except : "");
	(void) ownersql_run(&forget_own, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
}
