/*
 * pushpull.c
 *	  push() and pull(): from the arguments of a sync to its result.
 *
 * The way of a sync is in sync/phases.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "directory/directory.h"
#include "directory/ratelimit.h"
#include "directory/synclog.h"
#include "functions/pushpull.h"
#include "reconcile/chosen.h"
#include "server/sqlfunction.h"
#include "server/textarg.h"
#include "statement/statement.h"
#include "sync/columns.h"
#include "sync/phases.h"

/*
 * What push(), pull() and their previews are all given, the first three and the
 * last
 */
static void
parse_link_arguments(FunctionCallInfo fcinfo, Sync *sync)
{
	char	   *on_conflict;

	sync->local = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
									 "local");
	sync->public = PG_ARGISNULL(1) ? NULL :
		textarg_get(PG_GETARG_DATUM(1), "public", sync->local, MAX_DIAGRAM_ID);
	directory_refuse_null(PG_ARGISNULL(2), "on_conflict", sync->local);
	on_conflict = textarg_get(PG_GETARG_DATUM(2), "on_conflict", sync->local,
							  MAX_WORD);
	if (!resolution_parse(on_conflict, &sync->on_conflict) ||
		sync->on_conflict == RESOLUTION_MERGED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown value \"%s\" of on_conflict for diagram \"%s\"",
						on_conflict, sync->local),
				 errhint("It is abort, skip, local, public, both or newest.")));
	sync->chooses = !PG_ARGISNULL(6);
	if (sync->chooses)
		sync->entities = chosen_arg(PG_GETARG_DATUM(6), "entities",
									sync->local);
}

static void
parse_arguments(FunctionCallInfo fcinfo, Sync *sync)
{
	parse_link_arguments(fcinfo, sync);
	directory_refuse_null(PG_ARGISNULL(3), "dry_run", sync->local);
	sync->dry_run = PG_GETARG_BOOL(3);
	sync->expected_plan = PG_ARGISNULL(4) ? NULL :
		textarg_get(PG_GETARG_DATUM(4), "expected_plan", sync->local, MAX_WORD);
	directory_refuse_null(PG_ARGISNULL(5), "allow_deletions", sync->local);
	sync->allow_deletions = PG_GETARG_BOOL(5);
}

/* Ids as an array of texts */
static Datum
ids_array(List *ids)
{
	Datum	   *values = palloc(Max(list_length(ids), 1) * sizeof(Datum));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, ids)
		values[n++] = CStringGetTextDatum(lfirst(lc));
	return columns_array(values, NULL, n, TEXTOID);
}

/* A row of diagsync.sync_result, to which the tupdesc is blessed. */
static Datum
result_of(TupleDesc tupdesc, const Sync *sync, SubxactEnd end)
{
	Datum		values[13];
	bool		nulls[13] = {false};
	char	   *refused = refused_json(&sync->refusals);

	values[0] = BoolGetDatum(end == SUBXACT_DONE && sync->counts.conflicts == 0);
	values[1] = sqlfunction_count(sync->counts.inserted + sync->counts.updated + sync->counts.deleted);
	values[2] = sqlfunction_count(sync->counts.inserted);
	values[3] = sqlfunction_count(sync->counts.updated);
	values[4] = sqlfunction_count(sync->counts.deleted);
	values[5] = sqlfunction_count(sync->counts.merged);
	values[6] = sqlfunction_count(sync->counts.resolved);
	values[7] = sqlfunction_count(sync->counts.conflicts);
	values[8] = Int64GetDatum(sync->public_version);
	nulls[8] = sync->public_version == 0;
	values[9] = sync->plan ? CStringGetTextDatum(sync->plan) : (Datum) 0;
	nulls[9] = sync->plan == NULL;
	values[10] = sqlfunction_count(sync->counts.refused_deletions);
	values[11] = sync->chooses ? ids_array(sync->included) : (Datum) 0;
	nulls[11] = !sync->chooses || sync->direction == DIRECTION_NONE;
	values[12] = refused ? DirectFunctionCall1(jsonb_in, CStringGetDatum(refused)) : (Datum) 0;
	nulls[12] = refused == NULL;
	return HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls));
}

static void
log_sync(const Sync *sync, SubxactEnd end, SyncLogEntry *entry)
{
	bool		done = end == SUBXACT_DONE;

	entry->public = sync->shared;
	entry->success = done && sync->counts.conflicts == 0;
	entry->inserted = done ? sync->counts.inserted : 0;
	entry->updated = done ? sync->counts.updated : 0;
	entry->deleted = done ? sync->counts.deleted : 0;
	entry->merged = done ? sync->counts.merged : 0;
	entry->resolved = done ? sync->counts.resolved : 0;
	entry->conflicts = sync->counts.conflicts;
	entry->refused_deletions = sync->counts.refused_deletions;
	synclog_write(entry);
}

/*
 * Carry out what was called in a subtransaction; where an end refuses something
 * of it, once more.
 */
static SubxactEnd
carry_out(Sync *sync, SubxactBody body)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool done = true;
	volatile SubxactEnd end = SUBXACT_UNDONE;

	PG_TRY();
	{
		end = subxact_run(body, sync, &sync->inserter, sync->local);
	}
	PG_CATCH();
	{
		/* The subtransaction is rolled back. */
		if (!refusal_begin(&sync->refusals))
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		done = false;
	}
	PG_END_TRY();
	return done ? end : subxact_run(body, sync, &sync->inserter, sync->local);
}

/*
 * Carry out what was called, in a subtransaction if it writes, and log it.  A
 * dry run is done again where it has found out that something is refused.
 */
SubxactEnd
sync_call(Sync *sync, SubxactBody body)
{
	SyncLogEntry entry;
	SubxactEnd	end;

	if (sync->dry_run)
		statement_check_closed(sync->function, sync->local, NULL);
	else
		statement_check_may_write(sync->function, sync->local, NULL);

	ratelimit_charge(sync->function);
	synclog_begin(&entry, sync->function, sync->local);
	SPI_connect();
	sync->refusals.context = sync->context;
	if (sync->dry_run)
	{
		while ((end = body(sync)) == SUBXACT_AGAIN)
			;
	}
	else
		end = carry_out(sync, body);
	if (!sync->dry_run)
		log_sync(sync, end, &entry);
	SPI_finish();
	return end;
}

/*
 * What the function returns, a row of diagsync.sync_result.
 */
Datum
sync_result(FunctionCallInfo fcinfo, const Sync *sync, SubxactEnd end)
{
	TupleDesc	tupdesc;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return result_of(BlessTupleDesc(tupdesc), sync, end);
}

static Datum
sync_run(FunctionCallInfo fcinfo, const char *function, Direction direction)
{
	Sync	   *sync = palloc0(sizeof(Sync));
	SubxactEnd	end;

	sync->function = function;
	sync->context = CurrentMemoryContext;
	sync->direction = direction;
	parse_arguments(fcinfo, sync);
	end = sync_call(sync, sync_carry_out);
	return sync_result(fcinfo, sync, end);
}

/*
 * What push() or pull() would answer as a dry run, with what it would do with
 * each entity in the listing.  The function was called with local, public and
 * on_conflict first, and entities as the seventh.  A row of
 * diagsync.sync_result, to which the tupdesc is blessed.
 */
Datum
sync_preview(FunctionCallInfo fcinfo, Direction direction, Listing *listing,
			 bool allow_deletions, TupleDesc tupdesc)
{
	Sync	   *sync = palloc0(sizeof(Sync));
	SubxactEnd	end;

	sync->function = direction == DIRECTION_PUSH ? "push" : "pull";
	sync->context = CurrentMemoryContext;
	sync->direction = direction;
	sync->dry_run = true;
	sync->listing = listing;
	sync->allow_deletions = allow_deletions;
	parse_link_arguments(fcinfo, sync);
	end = sync_call(sync, sync_carry_out);
	return result_of(tupdesc, sync, end);
}

/*
 * diagsync.push(local, public, on_conflict, dry_run, expected_plan,
 *				 allow_deletions, entities)
 *
 * For the local diagram's owner, who may write to the shared copy.  Sends
 * local changes to the shared copy.  Locks the local directory row FOR NO KEY
 * UPDATE, the shared one FOR KEY SHARE, and the rows that it writes.
 */
DIAGSYNC_FUNCTION(diagsync_push)
{
	return sync_run(fcinfo, "push", DIRECTION_PUSH);
}

/*
 * diagsync.pull(local, public, on_conflict, dry_run, expected_plan,
 *				 allow_deletions, entities)
 *
 * For the local diagram's owner, who may read the shared copy.  Takes the
 * changes of the shared copy.  Locks as push() does, but no rows of the shared
 * copy.
 */
DIAGSYNC_FUNCTION(diagsync_pull)
{
	return sync_run(fcinfo, "pull", DIRECTION_PULL);
}
