/*
 * discard.c
 *	  Local changes taken back to their base: discard().
 *
 * It writes the local end only, batch by batch, as a sync does: read, lock,
 * write.  Only what is named is taken back, or all; a reference of what is left
 * may then lead nowhere, as after any edit.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "directory/directory.h"
#include "directory/quota.h"
#include "functions/pushpull.h"
#include "reconcile/chosen.h"
#include "reconcile/takeback.h"
#include "server/settings.h"
#include "server/sqlfunction.h"
#include "statement/ownersql.h"
#include "sync/columns.h"
#include "sync/lock.h"
#include "sync/phases.h"
#include "sync/write.h"

static OwnerSql forget_accepted =
OWNER_SQL("UPDATE diagsync_local.base SET accepted = NULL"
		  " WHERE diagram_id" EQ "$1 AND id" EQ "ANY ($2) AND accepted IS NOT NULL",
		  2, TEXTOID, TEXTARRAYOID);

/*
 * The next batch of changed entities, read and decided about; false: there are
 * no candidates after it.
 */
static bool
read_batch(SyncRun *run, Candidates *candidates, bool named, Sync *sync,
		   List **items)
{
	Datum		id;

	*items = NIL;
	for (int n = 0; n < settings_batch_size; n++)
	{
		SyncItem   *item;

		CHECK_FOR_INTERRUPTS();
		if (!candidates_next(candidates, &id))
			return false;
		item = syncitem_new(TextDatumGetCString(id));
		item->discards = true;
		item->named = named;
		(void) reader_read(&run->reader, &item->entity);
		syncitem_decide(run, item);
		if (!takeback_is_possible(&item->entity))
			sync->counts.conflicts++;
		if (!decision_is_nothing(&item->decision))
			*items = lappend(*items, item);
	}
	return true;
}

/*
 * A change that is taken back was perhaps accepted to leave a reference
 * dangling: the next one is not.
 */
static void
forget_acceptance(const SyncRun *run, List *items)
{
	Columns		columns;
	Datum		values[2];
	ListCell   *lc;

	columns_init(&columns, list_length(items));
	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);

		if (item->entity.accepted != NIL && item->decision.base == BASE_SET)
			columns_add(&columns, item, NULL, NULL, DT_NOBEGIN, NULL);
	}
	if (columns.n == 0)
		return;
	values[0] = run->link->local->key;
	values[1] = KEYS(&columns);
	(void) ownersql_run(&forget_accepted, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT);
}

static void
account(Sync *sync, const SyncItem *item)
{
	const Version *target = item->decision.local;
	bool		existed = item->entity.local.doc != NULL;

	if (target == NULL || item->local_outcome == OUTCOME_MISSED ||
		(target->doc == NULL && !existed))
		return;
	if (target->doc != NULL)
		sync->counts.bytes += (int64) VARSIZE(target->doc);
	if (target->doc == NULL)
	{
		sync->counts.deleted++;
		if (!item->named)
			sync->counts.deletions.local++;
	}
	else if (existed)
		sync->counts.updated++;
	else
		sync->counts.inserted++;
}

/*
 * Take back all candidates, in batches; OVERTAKEN where somebody else was
 * faster.
 */
static PhaseEnd
take_back(Sync *sync, SyncRun *run, Candidates *candidates)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "diagsync batch",
												  ALLOCSET_DEFAULT_SIZES);
	PhaseEnd	end = PHASE_DONE;
	bool		more = true;

	while (more && end == PHASE_DONE)
	{
		List	   *items;
		ListCell   *lc;

		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		reader_begin(&run->reader, GetTransactionSnapshot());
		more = read_batch(run, candidates, sync->chooses, sync, &items);
		if (items != NIL)
			end = lock_items(run, items);
		reader_end(&run->reader);
		if (items != NIL && end == PHASE_DONE)
			end = write_items(run, items);
		if (items != NIL && end == PHASE_DONE)
			forget_acceptance(run, items);
		foreach(lc, items)
			account(sync, lfirst(lc));
		MemoryContextSwitchTo(caller);
	}
	MemoryContextDelete(context);
	return end;
}

static SubxactEnd
process(void *arg)
{
	Sync	   *sync = arg;
	SyncRun		run = {0};
	Candidates *candidates;
	Snapshot	snapshot;
	Link	   *link = directory_lock_link(sync->local, NULL, ACCESS_READER);
	PhaseEnd	end;

	memset(&sync->counts, 0, sizeof(SyncCounts));
	sync->shared = MemoryContextStrdup(sync->context, link->public->id);
	run.direction = DIRECTION_NONE;
	lock_copies(&run, link, true);
	run.own = U64FromFullTransactionId(GetTopFullTransactionId());
	run.lock_all = true;
	run.reader.by_key = sync->chooses;

	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	candidates = sync->chooses ? candidates_of(sync->entities) :
		candidates_collect_changed(link, snapshot);
	end = take_back(sync, &run, candidates);
	if (end == PHASE_DONE && !sync->allow_deletions)
		sync->counts.refused_deletions = deletions_too_many(&sync->counts.deletions,
															link, snapshot);
	sync->public_version = directory_public_version(link->public, snapshot);
	if (end == PHASE_DONE && sync->counts.refused_deletions == 0)
	{
		/* As for resolve(): who syncs under an older snapshot fails. */
		directory_touch(link->local->id);
		if (quota_applies())
		{
			quota_check_entities(link->local, sync->counts.inserted);
			quota_check_bytes(link->local, sync->counts.bytes);
		}
	}
	candidates_end(candidates);
	reader_close(&run.reader);
	UnregisterSnapshot(snapshot);
	sync->inserter = run.inserter;
	if (end == PHASE_OVERTAKEN)
		return SUBXACT_AGAIN;
	if (sync->counts.refused_deletions == 0)
		return SUBXACT_DONE;
	sync->counts.inserted = sync->counts.updated = sync->counts.deleted = 0;
	return SUBXACT_UNDONE;
}

/*
 * diagsync.discard(local, entities, allow_deletions)
 *
 * For the local diagram's owner.  Locks the local directory row FOR NO KEY
 * UPDATE, the shared one FOR KEY SHARE, the local entities and their base
 * rows.
 */
DIAGSYNC_FUNCTION(diagsync_discard)
{
	Sync	   *sync = palloc0(sizeof(Sync));
	SubxactEnd	end;

	sync->function = "discard";
	sync->context = CurrentMemoryContext;
	sync->local = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
									 "local");
	sync->chooses = !PG_ARGISNULL(1);
	if (sync->chooses)
		sync->entities = chosen_arg(PG_GETARG_DATUM(1), "entities",
									sync->local);
	directory_refuse_null(PG_ARGISNULL(2), "allow_deletions", sync->local);
	sync->allow_deletions = PG_GETARG_BOOL(2);
	sync->direction = DIRECTION_NONE;
	end = sync_call(sync, process);
	return sync_result(fcinfo, sync, end);
}
