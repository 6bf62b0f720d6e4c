/*
 * account.c
 *	  What a sync has done, counted from what became of each write; what a dry
 *	  run would do, from what was planned.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "sync/account.h"

static bool
is_kept_out(const SyncItem *item, Outcome outcome)
{
	return item->copy_failed || outcome == OUTCOME_MISSED;
}

/*
 * Count what is deleted with an item, or is to be, unless it was asked for.
 */
void
account_deletions(Deletions *deletions, const SyncItem *item)
{
	const Decision *decision = &item->decision;

	if (item->named)
		return;					/* it is asked for */
	if (decision->local != NULL && decision->local->doc == NULL &&
		item->entity.local.doc != NULL &&
		!is_kept_out(item, item->local_outcome))
		deletions->local++;
	if (decision->public != NULL && decision->public->doc == NULL &&
		item->entity.public.doc != NULL &&
		!is_kept_out(item, item->public_outcome))
		deletions->public++;
}

/*
 * Is there a public change that only its revision would show to the next sync?
 */
static bool
is_left_for_a_pull(const SyncItem *item)
{
	return !item->entity.has_base_row &&
		item->entity.public_change != CHANGE_NONE &&
		item->decision.local == NULL && item->decision.public == NULL;
}

/*
 * Note what goes along with chosen entities, if something is done about it.
 */
static void
note_included(Sync *sync, const SyncItem *item)
{
	MemoryContext caller;

	if (!sync->chooses || item->named || item->copy_of != NULL ||
		(item->decision.local == NULL && item->decision.public == NULL &&
		 item->entity.conflict == CONFLICT_NONE && !item->refused))
		return;
	caller = MemoryContextSwitchTo(sync->context);
	sync->included = lappend(sync->included, pstrdup(item->entity.id));
	MemoryContextSwitchTo(caller);
}

/*
 * Count what was done with an item: what was written at the end that the call
 * is about, and what became of its conflict.  Nothing has been kept out of
 * what was only planned.
 */
static void
account_item(Sync *sync, const SyncItem *item)
{
	SyncCounts *counts = &sync->counts;
	bool		push = sync->direction == DIRECTION_PUSH;
	const Version *target = push ? item->decision.public : item->decision.local;
	const Version *current = push ? &item->entity.public : &item->entity.local;
	bool		incomplete = is_kept_out(item, item->local_outcome) ||
		is_kept_out(item, item->public_outcome);

	account_deletions(&counts->deletions, item);
	note_included(sync, item);
	if (item->decision.merged && !incomplete)
		counts->merged++;
	if (item->decision.resolved && !incomplete)
		counts->resolved++;
	else if (item->refused ||
			 (item->entity.conflict != CONFLICT_NONE && !item->follows))
		counts->conflicts++;
	if (is_left_for_a_pull(item))
		counts->unpulled = true;

	if (target == NULL || (target->doc == NULL && current->doc == NULL) ||
		is_kept_out(item, push ? item->public_outcome : item->local_outcome))
		return;
	if (target->doc != NULL)
		counts->bytes += (int64) VARSIZE(target->doc);
	if (target->doc == NULL)
		counts->deleted++;
	else if (current->doc == NULL)
		counts->inserted++;
	else
		counts->updated++;
}

/*
 * Look again at what was kept from being stored: a trigger may have edited the
 * entity meanwhile, and that may be a conflict.
 */
static void
look_again(Sync *sync, SyncRun *run, List *changing)
{
	bool		reading = false;
	ListCell   *lc;

	foreach(lc, changing)
	{
		SyncItem   *item = lfirst(lc);
		Entity		now = {0};

		if (item->entity.conflict != CONFLICT_NONE || item->refused ||
			(item->local_outcome != OUTCOME_MISSED &&
			 item->public_outcome != OUTCOME_MISSED))
			continue;
		if (!reading)
			reader_begin(&run->reader, GetTransactionSnapshot());
		reading = true;
		now.id = item->entity.id;
		now.key = item->entity.key;
		now.dependencies = item->entity.dependencies;
		(void) reader_read(&run->reader, &now);
		sync->counts.late_conflicts += now.conflict != CONFLICT_NONE;
	}
	if (reading)
		reader_end(&run->reader);
}

/*
 * Count what was done with the items of a batch, and the copies made of some;
 * "changing" are those of both that were written, or were to be.
 */
void
account_items(Sync *sync, SyncRun *run, List *items, List *copies,
			  List *changing)
{
	ListCell   *lc;

	foreach(lc, items)
		account_item(sync, lfirst(lc));
	foreach(lc, copies)
		account_item(sync, lfirst(lc));
	look_again(sync, run, changing);
}
