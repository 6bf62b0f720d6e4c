/*
 * status.c
 *	  How local diagrams stand to their shared copies: status(), status_all(),
 *	  which take no locks and write nothing.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "directory/directory.h"
#include "directory/linkwalk.h"
#include "functions/changes.h"
#include "functions/status.h"
#include "server/sqlfunction.h"
#include "server/textarg.h"
#include "statement/ownersql.h"

#define STATUS_COLUMNS 11

static OwnerSql all_linked_diagrams =
OWNER_SQL("SELECT id FROM diagsync.directory"
		  " WHERE public_copy_id IS NOT NULL AND id" GT "$1"
		  " ORDER BY id LIMIT " LISTED_DIAGRAMS,
		  1, TEXTOID);

static OwnerSql linked_diagrams_of =
OWNER_SQL("SELECT id FROM diagsync.directory"
		  " WHERE owner" EQ "$2 AND public_copy_id IS NOT NULL AND id" GT "$1"
		  " ORDER BY id LIMIT " LISTED_DIAGRAMS,
		  2, TEXTOID, TEXTOID);

typedef struct Figures
{
	int64		local_changes;
	int64		public_changes;
	int64		conflicts;
} Figures;

static void
count_change(const Entity *entity, void *arg)
{
	Figures    *figures = arg;

	figures->local_changes += entity->local_change != CHANGE_NONE;
	figures->public_changes += entity->public_change != CHANGE_NONE;
	figures->conflicts += entity->conflict != CONFLICT_NONE;
}

/*
 * Is the shared copy of a link there, as far as the caller may see?  In the
 * middle of a restore it may not be there yet.
 */
static bool
may_see_shared_copy(const char *public, Snapshot snapshot)
{
	Diagram    *diagram = directory_read(public, snapshot);
	Caller		caller;

	if (diagram == NULL)
		return false;
	access_identify(&caller);
	return directory_access(&caller, diagram, ACCESS_READER,
							snapshot) != ACCESS_NONE;
}

/*
 * A row of diagsync.sync_status for a local diagram, read under a registered
 * snapshot.
 */
HeapTuple
status_form(const Diagram *local, Snapshot snapshot, TupleDesc tupdesc)
{
	Datum		values[STATUS_COLUMNS] = {0};
	bool		nulls[STATUS_COLUMNS] = {false};
	TimestampTz last_synced_at = Max(local->last_pushed_at,
									 local->last_pulled_at);

	values[0] = local->key;
	values[1] = local->public_copy_id ?
		CStringGetTextDatum(local->public_copy_id) : (Datum) 0;
	nulls[1] = local->public_copy_id == NULL;

	if (local->public_copy_id == NULL ||
		!may_see_shared_copy(local->public_copy_id, snapshot))
	{
		values[2] = CStringGetTextDatum("unlinked");
		for (int i = 3; i < STATUS_COLUMNS; i++)
			nulls[i] = true;
	}
	else
	{
		Link	   *link = directory_read_link(local->id, NULL,
											   ACCESS_READER, snapshot);
		Figures		figures = {0};
		bool		diverged;

		changes_classify(link, snapshot, false, count_change, &figures);
		diverged = figures.local_changes > 0 || figures.public_changes > 0;
		values[2] = CStringGetTextDatum(figures.conflicts > 0 ? "conflict" :
										diverged ? "pending" : "in_sync");
		values[3] = BoolGetDatum(diverged);
		values[4] = sqlfunction_count(figures.local_changes);
		values[5] = sqlfunction_count(figures.public_changes);
		values[6] = sqlfunction_count(figures.conflicts);
		values[7] = TimestampTzGetDatum(last_synced_at);
		nulls[7] = last_synced_at == DT_NOBEGIN;
		values[8] = TimestampTzGetDatum(local->last_pushed_at);
		nulls[8] = local->last_pushed_at == DT_NOBEGIN;
		values[9] = TimestampTzGetDatum(local->last_pulled_at);
		nulls[9] = local->last_pulled_at == DT_NOBEGIN;
		values[10] = Int64GetDatum(local->public_version);
		nulls[10] = local->public_version == 0;
	}
	return heap_form_tuple(tupdesc, values, nulls);
}

/*
 * The row type of a function that returns such a row.
 */
TupleDesc
status_tupdesc(FunctionCallInfo fcinfo)
{
	TupleDesc	tupdesc;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return BlessTupleDesc(tupdesc);
}

/*
 * diagsync.status(local, public)
 */
DIAGSYNC_FUNCTION(diagsync_status)
{
	char	   *local_id = directory_name_arg(PG_GETARG_DATUM(0),
											  PG_ARGISNULL(0), "local");
	Snapshot	snapshot = RegisterSnapshot(GetActiveSnapshot());
	Diagram    *local = directory_see(local_id, ACCESS_READER, snapshot);
	HeapTuple	row;

	directory_need_local(local);
	if (!PG_ARGISNULL(1))
		(void) directory_read_link(local_id,
								   textarg_get(PG_GETARG_DATUM(1), "public",
											   local_id, MAX_DIAGRAM_ID),
								   ACCESS_READER, snapshot);
	row = status_form(local, snapshot, status_tupdesc(fcinfo));
	UnregisterSnapshot(snapshot);
	return HeapTupleGetDatum(row);
}

/*
 * Put the status of a batch of links into a result, those after that id which
 * the caller owns, or all.  Returns the last one's id in the caller's context,
 * NULL where there are no more.
 */
static char *
put_statuses(ReturnSetInfo *result, const Caller *owner, const char *after,
			 Snapshot snapshot)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(caller, "diagsync status batch",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext row_context = AllocSetContextCreate(batch,
													  "diagsync status of a diagram",
													  ALLOCSET_DEFAULT_SIZES);
	Datum		values[2];
	List	   *linked;
	char	   *last = NULL;
	ListCell   *lc;

	MemoryContextSwitchTo(batch);
	values[0] = CStringGetTextDatum(after);
	if (!owner->unrestricted)
		values[1] = CStringGetTextDatum(owner->principal);
	linked = ownersql_list(owner->unrestricted ? &all_linked_diagrams :
						   &linked_diagrams_of, STORAGE_LOCAL, values,
						   snapshot);
	MemoryContextSwitchTo(row_context);
	foreach(lc, linked)
	{
		Diagram    *local = directory_read(lfirst(lc), snapshot);

		CHECK_FOR_INTERRUPTS();
		tuplestore_puttuple(result->setResult,
							status_form(local, snapshot, result->setDesc));
		MemoryContextReset(row_context);
	}
	if (linked != NIL)
		last = MemoryContextStrdup(caller, llast(linked));
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(batch);
	return last;
}

/*
 * diagsync.status_all()
 */
DIAGSYNC_FUNCTION(diagsync_status_all)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Snapshot	snapshot = RegisterSnapshot(GetActiveSnapshot());
	Caller		caller;
	char	   *after = pstrdup("");

	InitMaterializedSRF(fcinfo, 0);
	access_identify(&caller);
	while (after != NULL)
	{
		char	   *last = put_statuses(result, &caller, after, snapshot);

		pfree(after);
		after = last;
	}
	UnregisterSnapshot(snapshot);
	return (Datum) 0;
}
