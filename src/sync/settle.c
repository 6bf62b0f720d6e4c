/*
 * settle.c
 *	  The way of a resolution, of one conflict or of many, from its locks to
 *	  what the caller is told.
 *
 * It writes the local end only; what it leaves as a local change, the next
 * push sends.  settle_carry_out() locks the link and goes in batches through
 * the entities that the caller named, or all candidates: as a sync does
 * (phases.c), each batch is read and decided about, locked and decided about
 * anew, and written.  What goes along with them by references is known before
 * (company.c).  In the end the caller is told of each (settlenotes.c).
 *
 * All of that is one subtransaction, which is rolled back where it would
 * delete much unasked, and where somebody else was faster (then it is tried
 * again).  An entity that is not as the caller was shown it is left alone, and
 * the others are not.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "directory/content.h"
#include "directory/quota.h"
#include "reconcile/company.h"
#include "server/progress.h"
#include "server/settings.h"
#include "sync/deletions.h"
#include "sync/lock.h"
#include "sync/settle.h"
#include "sync/settlenotes.h"
#include "sync/write.h"

/* A batch ends with so many bytes of documents, if not before */
#define BATCH_BYTES (8 * 1024 * 1024)

/* Entities that are gone through together */
typedef struct Batch
{
	List	   *items;			/* in ascending ids; those that are told of,
								 * or change */
	List	   *changing;		/* those of them that are settled or change */
	List	   *copies;			/* what both versions are kept by */
	int			looked_at;
	bool		last;			/* there are none after it */
} Batch;

/* A resolution at work */
typedef struct Work
{
	Settling   *settling;
	SyncRun		run;
	Snapshot	snapshot;		/* of the beginning */
	Candidates *candidates;
	SettleNotes *notes;
	Deletions	deletions;		/* of entities that were not named */
	int64		inserted;
	int64		bytes;			/* of the documents that are written */
	bool		limited;		/* the limits of users apply */
	bool		changed;		/* something was */
} Work;

static const char *const settled_names[] = {
	[SETTLED_RESOLVED] = "resolved",
	[SETTLED_NO_CONFLICT] = "no_conflict",
	[SETTLED_NO_ENTITY] = "no_entity",
	[SETTLED_CHANGED] = "changed",
	[SETTLED_LEFT_OUT] = "left_out",
	[SETTLED_KEPT_OUT] = "kept_out",
	[SETTLED_REFUSED] = "refused",
};

/*
 * What has become of an entity, as a word.
 */
const char *
settled_name(Settled settled)
{
	return settled_names[settled];
}

/* ---- What is gone through ----------------------------------------------- */

/*
 * The candidates: of entities that the caller named, and that nothing depends
 * on, only these.
 */
static void
collect(Work *work)
{
	SyncRun    *run = &work->run;
	const Choices *choices = run->choices;

	if (choices->rule == NULL && run->reader.policy->references == 0 &&
		run->reader.policy->acyclics == 0)
		work->candidates = candidates_none();
	else
		work->candidates = candidates_collect(run->link, work->snapshot);
	for (int i = 0; i < choices->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		candidates_add(work->candidates,
					   CStringGetTextDatum(choices->named[i].id));
	}
	run->dependencies = dependencies_collect(&run->reader, work->candidates,
											 work->snapshot,
											 choices_copy(choices));
	if (run->dependencies == NULL)
		return;
	PushActiveSnapshot(work->snapshot);
	run->dependencies_seen = seen_now(run->own);
	PopActiveSnapshot();
	company_collect(run, work->candidates, work->snapshot);
}

/* ---- One batch ---------------------------------------------------------- */

/* Is the caller told what has become of an item? */
static bool
is_told(const Work *work, const SyncItem *item)
{
	return item->choice != NULL &&
		(item->choice->id != NULL ||
		 (item->verdict == VERDICT_SETTLES && !work->settling->single));
}

static bool
is_changing(const SyncItem *item)
{
	return item->is_decided || !decision_is_nothing(&item->decision);
}

static void
read_batch(Work *work, Batch *batch)
{
	SyncRun    *run = &work->run;
	Size		bytes = 0;
	Datum		id;

	while (batch->looked_at < settings_batch_size && bytes < BATCH_BYTES)
	{
		SyncItem   *item;
		Dependencies *its;

		CHECK_FOR_INTERRUPTS();
		if (!candidates_next(work->candidates, &id))
		{
			batch->last = true;
			return;
		}
		batch->looked_at++;
		item = syncitem_new(TextDatumGetCString(id));
		its = dependencyset_next(run->dependencies, item->entity.id, true);
		item->entity.dependencies = its;
		item->entity.found_at = work->candidates->found_at;
		item->choice = choices_find(run->choices, item->entity.id);
		company_join(run->company, item);
		if (item->choice == NULL && item->accepts == NIL &&
			(its == NULL || (its->renames == NIL && its->ring == NULL)))
			continue;
		bytes += reader_read(&run->reader, &item->entity);
		syncitem_decide(run, item);
		if (is_told(work, item) || is_changing(item))
			batch->items = lappend(batch->items, item);
		if (is_changing(item))
			batch->changing = lappend(batch->changing, item);
	}
}

/* Has this deletion not been asked for by name? */
static bool
is_unasked_deletion(const SyncItem *item)
{
	const Version *target = item->decision.local;

	return target != NULL && target->doc == NULL &&
		item->entity.local.doc != NULL &&
		(item->choice == NULL || item->choice->id == NULL);
}

/*
 * Make the copies that keep both versions, and say whether what is known so
 * far may be written.
 */
static PhaseEnd
plan_batch(Work *work, Batch *batch)
{
	SyncRun    *run = &work->run;
	ListCell   *lc;

	foreach(lc, batch->changing)
	{
		SyncItem   *item = lfirst(lc);
		SyncItem   *copy = NULL;

		if (item->decision.copies)
		{
			copy = syncitem_copy(run, item);
			batch->copies = lappend(batch->copies, copy);
		}
		if (!syncitem_has_announced_id(item, copy) ||
			syncitem_is_newer_than_dependencies(run, item))
			return PHASE_OVERTAKEN;
		if (work->limited && entity_is_made(&item->entity, item->decision.local))
			content_check(run->link->local->id, item->entity.id,
						  JsonbPGetDatum(item->decision.local->doc), true);
		work->deletions.local += is_unasked_deletion(item);
	}
	if (!work->settling->allow_deletions &&
		deletions_have_become_many(&work->deletions, run->link,
								   work->snapshot))
		return PHASE_BLOCKED;
	return PHASE_DONE;
}

static void
account_batch(Work *work, const Batch *batch)
{
	const ListCell *next_copy = list_head(batch->copies);
	ListCell   *lc;

	foreach(lc, batch->items)
	{
		SyncItem   *item = lfirst(lc);
		const SyncItem *copy = NULL;
		const Version *target = item->decision.local;

		/* They come in the same order. */
		if (next_copy != NULL &&
			((SyncItem *) lfirst(next_copy))->copy_of == item)
		{
			copy = lfirst(next_copy);
			next_copy = lnext(batch->copies, next_copy);
			if (!settlenotes_is_kept_out(item))
			{
				work->inserted++;
				work->bytes += VARSIZE(copy->decision.local->doc);
			}
		}
		if (target != NULL && target->doc != NULL && !settlenotes_is_kept_out(item))
		{
			work->inserted += item->entity.local.doc == NULL;
			work->bytes += VARSIZE(target->doc);
		}
		if (is_told(work, item))
			settlenotes_add(work->notes, item, copy);
	}
}

/* ---- All of them -------------------------------------------------------- */

/*
 * One batch, from reading to writing.  Without "write" it is only looked at.
 */
static PhaseEnd
process_batch(Work *work, bool write, Batch *batch)
{
	SyncRun    *run = &work->run;
	PhaseEnd	end = PHASE_DONE;

	reader_begin(&run->reader, GetTransactionSnapshot());
	read_batch(work, batch);
	if (write && batch->changing != NIL)
		end = lock_items(run, batch->changing);
	if (end == PHASE_DONE)
		end = plan_batch(work, batch);
	reader_end(&run->reader);
	if (end == PHASE_DONE && write && batch->changing != NIL)
	{
		work->changed = true;
		end = write_items(run, list_concat_copy(batch->changing,
												batch->copies));
	}
	if (end != PHASE_OVERTAKEN)
		account_batch(work, batch);
	return end;
}

/*
 * Go through the candidates in batches, until something blocks that they are
 * written; then the rest is only looked at.
 */
static SubxactEnd
go_through(Work *work)
{
	Settling   *settling = work->settling;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "diagsync batch",
												  ALLOCSET_DEFAULT_SIZES);
	PhaseEnd	end = PHASE_DONE;
	bool		write = true;
	bool		last = false;
	int64		done = 0;

	progress_phase(PROGRESS_WRITING, work->candidates->added);
	while (!last && end != PHASE_OVERTAKEN)
	{
		Batch		batch = {0};

		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		end = process_batch(work, write, &batch);
		if (end == PHASE_BLOCKED)
			write = false;
		progress_done(done += batch.looked_at);
		last = batch.last;
		MemoryContextSwitchTo(caller);
	}
	MemoryContextDelete(context);
	if (end == PHASE_OVERTAKEN)
		return SUBXACT_AGAIN;
	if (!settling->allow_deletions)
		settling->refused_deletions = deletions_too_many(&work->deletions,
														 work->run.link,
														 work->snapshot);
	return settling->refused_deletions > 0 || !work->changed ?
		SUBXACT_UNDONE : SUBXACT_DONE;
}

/*
 * Nothing is written after all.
 */
static void
count_nothing_resolved(Settling *settling)
{
	settling->conflicts += settling->resolved;
	settling->resolved = 0;
}

static void
finish(Work *work)
{
	const Diagram *local = work->run.link->local;

	/*
	 * Who syncs or refreshes the link under an older snapshot, in which this
	 * is still a conflict, would record that he has seen what we have not.
	 */
	directory_touch(local->id);
	if (!work->limited)
		return;
	quota_check_bytes(local, work->bytes);
	quota_check_entities(local, work->inserted);
}

/* ---- Begin and end ------------------------------------------------------ */

/*
 * Do all of a resolution, and tell the caller of each entity.  Fails with
 * 42704 and 42501 where the caller may not, with 55000 where one that has no
 * conflict is to be settled alone, with 54000 where one is merged to more than
 * is allowed.  The caller is connected to SPI.
 *
 * Locks the local directory row FOR NO KEY UPDATE, the shared one FOR KEY
 * SHARE, the local entities that it settles and their base rows.
 */
SubxactEnd
settle_carry_out(void *arg)
{
	Settling   *settling = arg;
	Work		work = {.settling = settling};
	SyncRun    *run = &work.run;
	SubxactEnd	end;

	settling->resolved = settling->conflicts = settling->refused_deletions = 0;
	run->direction = DIRECTION_NONE;
	run->choices = &settling->choices;
	run->lock_all = settling->tries++ > 0;
	lock_copies(run, directory_lock_link(settling->local, NULL,
										 ACCESS_READER),
				true);
	settling->shared = MemoryContextStrdup(settling->context,
										   run->link->public->id);
	run->own = U64FromFullTransactionId(GetTopFullTransactionId());
	work.limited = quota_applies();
	progress_begin(PROGRESS_RESOLVE);
	work.snapshot = RegisterSnapshot(GetTransactionSnapshot());
	work.notes = settlenotes_begin(settling, run);
	collect(&work);

	end = go_through(&work);
	if (end == SUBXACT_DONE)
		finish(&work);
	else if (end == SUBXACT_UNDONE)
		count_nothing_resolved(settling);
	if (end != SUBXACT_AGAIN)
		settlenotes_answer(work.notes,
						   end == SUBXACT_DONE ? NULL : work.snapshot);

	progress_end();
	settling->inserter = run->inserter;
	dependencyset_end(run->dependencies);
	candidates_end(work.candidates);
	settlenotes_end(work.notes);
	reader_close(&run->reader);
	UnregisterSnapshot(work.snapshot);
	return end;
}
