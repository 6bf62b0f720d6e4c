/*
 * phases.c
 *	  The way of a push or pull, from its locks to what the link records.
 *
 * sync_carry_out() locks the link, collects the candidates under one snapshot,
 * and goes through them in batches.  Each batch goes through five phases,
 * which stand here in their order:
 *
 *	  read_batch()		reads the entities in three versions and decides about
 *						each
 *	  lock_batch()		locks what the decisions rest on, and decides anew
 *						where that has moved
 *	  plan_batch()		makes the copies that keep both versions, and says
 *						whether what is known so far may be written
 *	  write_batch()		writes
 *	  account_batch()	counts what was written
 *
 * A dry run only reads, plans and accounts.  In the end the link records the
 * snapshot as seen.  All of that is one subtransaction, so that a sync happens
 * whole or not at all: it is rolled back where a conflict turns up late, where
 * the plan is not the expected one, where it would delete much unasked, and
 * where somebody else was faster (then it is tried again).
 *
 * docs/push.md draws it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "directory/directory.h"
#include "directory/quota.h"
#include "json/document.h"
#include "reconcile/chosen.h"
#include "reconcile/ring.h"
#include "server/progress.h"
#include "server/settings.h"
#include "statement/statement.h"
#include "sync/account.h"
#include "sync/lock.h"
#include "sync/phases.h"
#include "sync/plan.h"
#include "sync/refusal.h"
#include "tracking/candidate.h"

/* A batch ends with so many bytes of documents, if not before */
#define BATCH_BYTES (8 * 1024 * 1024)

/* Entities that go through the phases together */
typedef struct Batch
{
	List	   *items;			/* in ascending ids */
	List	   *changing;		/* those of them with which something is done */
	List	   *copies;			/* what plan_batch() adds */
	bool		last;			/* there are no candidates after it */
} Batch;

/* ---- Read --------------------------------------------------------------- */

static void
read_batch(SyncRun *run, Candidates *candidates, Batch *batch)
{
	Size		bytes = 0;
	Datum		id;

	while (list_length(batch->items) < settings_batch_size &&
		   bytes < BATCH_BYTES)
	{
		SyncItem   *item;

		CHECK_FOR_INTERRUPTS();
		if (!candidates_next(candidates, &id))
		{
			batch->last = true;
			return;
		}
		item = syncitem_new(TextDatumGetCString(id));
		item->entity.found_at = candidates->found_at;
		item->entity.dependencies = dependencyset_next(run->dependencies,
													   item->entity.id, false);
		chosen_mark(run, item);
		bytes += reader_read(&run->reader, &item->entity);
		syncitem_decide(run, item);
		batch->items = lappend(batch->items, item);
		if (!decision_is_nothing(&item->decision))
			batch->changing = lappend(batch->changing, item);
	}
}

/* ---- Lock --------------------------------------------------------------- */

static PhaseEnd
lock_batch(SyncRun *run, Batch *batch)
{
	return batch->changing == NIL ? PHASE_DONE :
		lock_items(run, batch->changing);
}

/* ---- Plan --------------------------------------------------------------- */

/*
 * Does what is intended with a batch keep the sync from being done, as far as
 * that shows before all are counted?  What is written already is rolled back
 * then.
 */
static bool
is_blocked(Sync *sync, const SyncRun *run, const Batch *batch,
		   Snapshot snapshot)
{
	Deletions  *deletions = &sync->counts.deletions;
	Deletions	planned = *deletions;
	ListCell   *lc;
	bool		many;

	foreach(lc, batch->items)
	{
		const SyncItem *item = lfirst(lc);

		if (sync->on_conflict == RESOLUTION_ABORT &&
			(item->entity.conflict != CONFLICT_NONE || item->refused))
			return true;
		account_deletions(&planned, item);
	}
	if (sync->allow_deletions || sync->expected_plan != NULL)
		return false;
	many = deletions_have_become_many(&planned, run->link, snapshot);
	deletions->looked_at = planned.looked_at;
	return many;
}

static PhaseEnd
plan_batch(Sync *sync, SyncRun *run, Batch *batch, Snapshot snapshot,
		   bool write)
{
	PhaseEnd	end = PHASE_DONE;
	ListCell   *lc;

	foreach(lc, batch->items)
	{
		SyncItem   *item = lfirst(lc);
		SyncItem   *copy = NULL;

		plan_add(sync, item);
		if (item->decision.copies)
		{
			copy = syncitem_copy(run, item);
			plan_add(sync, copy);
			batch->copies = lappend(batch->copies, copy);
		}
		if (write && ((!item->refused &&
					   !syncitem_has_announced_id(item, copy)) ||
					  syncitem_is_newer_than_dependencies(run, item)))
			end = PHASE_OVERTAKEN;
	}
	batch->changing = list_concat(batch->changing, batch->copies);
	if (!write)
		return PHASE_DONE;
	if (end == PHASE_DONE && is_blocked(sync, run, batch, snapshot))
		end = PHASE_BLOCKED;
	return end;
}

/* ---- Write -------------------------------------------------------------- */

static PhaseEnd
write_batch(SyncRun *run, Batch *batch)
{
	return batch->changing == NIL ? PHASE_DONE :
		refusal_write(run, batch->changing);
}

/* ---- Account ------------------------------------------------------------ */

static void
account_batch(Sync *sync, SyncRun *run, const Batch *batch)
{
	account_items(sync, run, batch->items, batch->copies, batch->changing);
}

/* ---- All of them -------------------------------------------------------- */

/*
 * One batch through all phases.  With "write" it is locked and written;
 * without, only counted.
 */
static PhaseEnd
process_batch(Sync *sync, SyncRun *run, Candidates *candidates,
			  Snapshot snapshot, bool write, Batch *batch)
{
	PhaseEnd	end = PHASE_DONE;

	reader_begin(&run->reader, GetTransactionSnapshot());
	read_batch(run, candidates, batch);
	if (write)
		end = lock_batch(run, batch);
	if (end == PHASE_DONE)
		end = plan_batch(sync, run, batch, snapshot, write);
	reader_end(&run->reader);
	if (end == PHASE_DONE && write)
		end = write_batch(run, batch);
	if (end != PHASE_OVERTAKEN)
		account_batch(sync, run, batch);
	return end;
}

/*
 * Nothing is written: what would have been is not to be reported, and
 * conflicts that would have been settled are left.
 */
static void
count_nothing_written(Sync *sync)
{
	SyncCounts *counts = &sync->counts;

	counts->bytes = 0;
	counts->inserted = counts->updated = counts->deleted = counts->merged = 0;
	counts->conflicts += counts->resolved;
	counts->resolved = 0;
}

/*
 * All candidates are counted: is the sync to be done?  Who expects the plan
 * was shown its deletions.
 */
static SubxactEnd
verdict(Sync *sync, const Link *link, Snapshot snapshot)
{
	bool		expected = sync->expected_plan != NULL &&
		strcmp(sync->expected_plan, sync->plan) == 0;

	if ((sync->on_conflict == RESOLUTION_ABORT && sync->counts.conflicts > 0) ||
		(sync->expected_plan != NULL && sync->refusals.careful &&
		 sync->refusals.count > 0))
	{
		count_nothing_written(sync);
		return SUBXACT_UNDONE;
	}
	if (!expected && !sync->allow_deletions)
		sync->counts.refused_deletions = deletions_too_many(&sync->counts.deletions, link,
															snapshot);
	if (sync->counts.refused_deletions > 0)
	{
		count_nothing_written(sync);
		return SUBXACT_UNDONE;
	}
	if (sync->expected_plan != NULL && !expected)
		return SUBXACT_UNDONE;
	sync->counts.conflicts += sync->counts.late_conflicts;
	return SUBXACT_DONE;
}

/*
 * Go through the candidates in batches.  With "write" they are locked and
 * written, until something blocks the sync; without, only counted.
 */
static SubxactEnd
go_through(Sync *sync, SyncRun *run, Candidates *candidates, Snapshot snapshot,
		   bool write)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "diagsync batch",
												  ALLOCSET_DEFAULT_SIZES);
	PhaseEnd	end = PHASE_DONE;
	bool		last = false;
	int64		done = 0;

	progress_phase(write ? PROGRESS_WRITING : PROGRESS_CHECKING,
				   candidates->added);
	dependencyset_rewind(run->dependencies);
	memset(&sync->counts, 0, sizeof(SyncCounts));
	sync->included = NIL;
	plan_begin(sync, run->link);
	while (!last && end != PHASE_OVERTAKEN)
	{
		Batch		batch = {0};

		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		end = process_batch(sync, run, candidates, snapshot, write, &batch);
		if (end == PHASE_BLOCKED)
			write = false;
		progress_done(done += list_length(batch.items));
		last = batch.last;
		MemoryContextSwitchTo(caller);
	}
	MemoryContextDelete(context);
	plan_end(sync);
	return end == PHASE_OVERTAKEN ? SUBXACT_AGAIN :
		verdict(sync, run->link, snapshot);
}

/*
 * Record what a sync that was carried out has seen, or that it has run.
 */
static void
record(Sync *sync, SyncRun *run, Snapshot snapshot, uint64 shared_edits)
{
	const char *local = run->link->local->id;
	const char *public = run->link->public->id;
	Seen	   *seen = NULL;
	uint64		own = run->own;

	/*
	 * What others wrote in the shared copy in this transaction (triggers of
	 * applications, what they made of our rows) must be classified.
	 */
	if (run->classify_own || statement_shared_edits() != shared_edits)
		own = SEEN_OWN_NONE;

	/*
	 * A push leaves unpulled public changes for the next pull, and who
	 * chooses has not seen the rest.
	 */
	if (!sync->chooses &&
		(sync->direction == DIRECTION_PULL || !sync->counts.unpulled))
	{
		PushActiveSnapshot(snapshot);
		seen = seen_now(run->own);
		PopActiveSnapshot();
	}
	if (run->public_written)
		directory_forget_own(public, own == SEEN_OWN_NONE ? NULL : local);
	directory_record_sync(local,
						  sync->direction == DIRECTION_PUSH ? SYNC_PUSH : SYNC_PULL,
						  seen, own, sync->public_version);
}

static int64
public_version_now(const Link *link)
{
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	int64		version = directory_public_version(link->public, snapshot);

	UnregisterSnapshot(snapshot);
	return version;
}

/* A sync that has written all, and the link that it did so for */
typedef struct Written
{
	const Sync *sync;
	const Link *link;
} Written;

/*
 * Check that the copies that a sync added entities to may have so many.
 */
static void
check_entities(void *arg)
{
	const Sync *sync = ((Written *) arg)->sync;
	const Link *link = ((Written *) arg)->link;

	if (!quota_applies())
		return;
	quota_check_bytes(sync->direction == DIRECTION_PUSH ? link->public :
					  link->local, sync->counts.bytes);
	if (sync->direction == DIRECTION_PUSH)
		quota_check_entities(link->public, sync->counts.inserted);
	if (sync->direction == DIRECTION_PULL ||
		sync->on_conflict == RESOLUTION_BOTH)
		quota_check_entities(link->local, sync->counts.inserted);
}

/*
 * Lock the link, or with a dry run only read it.
 */
static Link *
open_link(Sync *sync, SyncRun *run, Snapshot *snapshot)
{
	AccessLevel needs = sync->direction == DIRECTION_PUSH ? ACCESS_WRITER :
		ACCESS_READER;
	Link	   *link;

	if (sync->dry_run)
	{
		*snapshot = RegisterSnapshot(GetTransactionSnapshot());
		link = directory_read_link(sync->local, sync->public, needs,
								   *snapshot);
	}
	else
	{
		link = directory_lock_link(sync->local, sync->public, needs);
		run->own = U64FromFullTransactionId(GetTopFullTransactionId());
		if (sync->holds_shared)
			(void) directory_lock(link->public->id, LockTupleNoKeyExclusive,
								  LOCK_AS_TRANSACTION);
		*snapshot = RegisterSnapshot(GetTransactionSnapshot());
	}
	sync->shared = MemoryContextStrdup(sync->context, link->public->id);
	return link;
}

static Candidates *
collect(Sync *sync, SyncRun *run, Snapshot snapshot)
{
	Candidates *candidates;
	RingRule	rule = {sync->direction, sync->on_conflict, run};

	if (sync->chooses)
		candidates = chosen_collect(run, sync->entities, snapshot);
	else
	{
		candidates = candidates_collect(run->link, snapshot);
		run->dependencies = dependencies_collect_for(&run->reader, candidates,
													 snapshot, &rule);
	}
	if (!sync->dry_run && run->dependencies != NULL)
	{
		PushActiveSnapshot(snapshot);
		run->dependencies_seen = seen_now(run->own);
		PopActiveSnapshot();
	}
	return candidates;
}

/*
 * A push that gives the shared copy references which must lead in no ring is
 * the only one that does so: else two pushes could close a ring between them.
 * AGAIN where another one has been faster since the snapshot.
 */
static SubxactEnd
hold_references(Sync *sync, const SyncRun *run, Snapshot snapshot)
{
	const Rings *rings = dependencyset_rings(run->dependencies);
	const char *public = run->link->public->id;

	if (sync->dry_run || sync->direction != DIRECTION_PUSH || rings == NULL ||
		!rings_are_pushed(rings))
		return SUBXACT_DONE;
	if (!directory_hold(public, snapshot))
	{
		sync->holds_shared = true;
		return SUBXACT_AGAIN;
	}
	directory_touch(public);
	return SUBXACT_DONE;
}

/*
 * Is the sync to be looked through before more than a batch of it is written
 * that would be rolled back?
 */
static bool
is_to_be_checked(const Sync *sync, const SyncRun *run,
				 const Candidates *candidates)
{
	return !sync->dry_run && candidates->added > settings_batch_size &&
		((sync->on_conflict == RESOLUTION_ABORT &&
		  (candidates->may_conflict || run->dependencies != NULL)) ||
		 sync->expected_plan != NULL);
}

/*
 * Look through the sync without writing; where something was refused before,
 * until it is known what has to wait for it.
 */
static SubxactEnd
look_through(Sync *sync, SyncRun *run, Candidates *candidates,
			 Snapshot snapshot)
{
	SubxactEnd	end;

	do
	{
		end = go_through(sync, run, candidates, snapshot, false);
		candidates_rewind(candidates);
	} while (end == SUBXACT_DONE &&
			 refused_spreads(run, sync->counts.deleted > 0));
	return end;
}

/*
 * Has more been refused than was known when rings were looked for?  What is
 * left as it is may close one.
 */
static bool
leaves_more(const SyncRun *run, int64 refused)
{
	return run->reader.policy->acyclics > 0 && run->refusals != NULL &&
		run->refusals->count > refused;
}

/*
 * Open both ends, to write or to look.
 */
static void
open_ends(Sync *sync, SyncRun *run, const Link *link, bool write)
{
	run->direction = sync->direction;
	lock_copies(run, link, write);
	run->resolution = sync->on_conflict;
	run->lock_all = sync->tries++ > 0;
	run->refusals = &sync->refusals;
	run->refusals->limited = quota_applies();
	if (write)
		refusal_begin_run(run);
}

/*
 * Do all of a sync, or with dry_run look what it would do.  Fails with 42704
 * and 42501 where the caller may not.  The caller is connected to SPI.
 */
SubxactEnd
sync_carry_out(void *arg)
{
	Sync	   *sync = arg;
	bool		write = !sync->dry_run;
	uint64		shared_edits = statement_shared_edits();
	int64		refused;
	SyncRun		run = {0};
	SubxactEnd	end = SUBXACT_DONE;
	Snapshot	snapshot;
	Link	   *link = open_link(sync, &run, &snapshot);
	Candidates *candidates;

	open_ends(sync, &run, link, write);
	refused = sync->refusals.count;
	progress_begin(sync->direction == DIRECTION_PUSH ? PROGRESS_PUSH :
				   PROGRESS_PULL);
	candidates = collect(sync, &run, snapshot);
	end = hold_references(sync, &run, snapshot);

	if (end == SUBXACT_DONE &&
		(is_to_be_checked(sync, &run, candidates) || refused_has_any(&run)))
		end = look_through(sync, &run, candidates, snapshot);
	if (end == SUBXACT_DONE)
		end = go_through(sync, &run, candidates, snapshot, write);
	if (end == SUBXACT_DONE &&
		(refused_spreads(&run, sync->counts.deleted > 0) ||
		 leaves_more(&run, refused)))
		end = SUBXACT_AGAIN;

	if (write && end == SUBXACT_DONE)
	{
		Written		written = {sync, link};

		refusal_check_end(&run, check_entities, &written);
		sync->public_version = public_version_now(link);
		record(sync, &run, snapshot, shared_edits);
	}
	else						/* without what is rolled back */
		sync->public_version = directory_public_version(link->public,
														snapshot);

	progress_end();
	sync->inserter = run.inserter;
	dependencyset_end(run.dependencies);
	candidates_end(candidates);
	reader_close(&run.reader);
	UnregisterSnapshot(snapshot);
	return end;
}
