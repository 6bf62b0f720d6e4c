/*
 * syncitem.c
 *	  A sync or a resolution at work, and the entities that it works on.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "json/document.h"
#include "reconcile/company.h"
#include "reconcile/cycle.h"
#include "reconcile/refused.h"
#include "reconcile/syncitem.h"
#include "reconcile/takeback.h"

/*
 * A new item for the entity with this id, nothing of it read or locked.
 */
SyncItem *
syncitem_new(const char *id)
{
	SyncItem   *item = palloc0(sizeof(SyncItem));

	item->entity.id = pstrdup(id);
	item->entity.key = CStringGetTextDatum(id);
	ItemPointerSetInvalid(&item->entity.local.tid);
	ItemPointerSetInvalid(&item->entity.base.tid);
	ItemPointerSetInvalid(&item->entity.public.tid);
	ItemPointerSetInvalid(&item->locked_local);
	ItemPointerSetInvalid(&item->locked_base);
	ItemPointerSetInvalid(&item->locked_public);
	return item;
}

/*
 * What is chosen for one entity of a ring goes for all of it, or for none of
 * it where it does not break the ring.
 */
static void
judge_in_ring(SyncItem *item)
{
	const Choice *choice = item->choice;

	if (choice == NULL || choice->resolution == RESOLUTION_MERGED)
		return;
	if (cycle_is_settled(&item->entity))
		item->verdict = VERDICT_SETTLES;
	else if (item->verdict == VERDICT_SETTLES && cycle_is_stuck(&item->entity))
		item->verdict = VERDICT_LEFT_OUT;
}

/* In a resolution an item is settled as chosen, or goes along with others. */
static void
decide_by_choice(const SyncRun *run, SyncItem *item)
{
	const Choice *choice = item->choice;

	if (choice != NULL)
		item->verdict = choices_judge(run->choices, choice, &item->entity);
	if (item->is_held && item->verdict == VERDICT_SETTLES)
		item->verdict = VERDICT_CHANGED;
	judge_in_ring(item);
	item->is_decided = choice != NULL && item->verdict == VERDICT_SETTLES;
	if (item->is_decided)
	{
		decision_make(&item->decision, &item->entity, DIRECTION_NONE,
					  choice->resolution, &choice->given);
		company_part(run->company, item);
	}
	else if (item->accepts != NIL)
		decision_accept(&item->decision, &item->entity, item->accepts);
	else if (cycle_is_settled(&item->entity))
		decision_break(&item->decision, &item->entity);
	else
		decision_follow(&item->decision, &item->entity);
}

/*
 * Decide what is done with an item that was read.
 */
void
syncitem_decide(const SyncRun *run, SyncItem *item)
{
	if (run->choices != NULL)
		decide_by_choice(run, item);
	else
	{
		item->is_decided = true;
		if (item->discards)
			takeback_decide(&item->decision, &item->entity);
		else if (item->follows)
			decision_follow(&item->decision, &item->entity);
		else
			decision_make(&item->decision, &item->entity, run->direction,
						  run->resolution, NULL);
	}
	refused_decide(run, item);
}

/*
 * The item for the copy that an item with decision.copies makes: the local
 * version under a new id, inserted locally and by a push in the shared copy.
 * The reader is between reader_begin() and reader_end().
 */
SyncItem *
syncitem_copy(SyncRun *run, SyncItem *item)
{
	const Dependencies *dependencies = item->entity.dependencies;
	Rename		rename = {item->entity.id, NULL};
	SyncItem   *copy;
	Version    *version = palloc(sizeof(Version));

	/* The id was announced, but it may have been taken meanwhile. */
	if (dependencies != NULL && dependencies->copy_id != NULL &&
		!reader_id_is_taken(&run->reader, dependencies->copy_id))
		rename.new_id = dependencies->copy_id;
	else
		rename.new_id = decision_copy_id(&run->reader, &item->entity);
	copy = syncitem_new(rename.new_id);

	copy->copy_of = item;
	*version = *cycle_break(&item->entity,
							decision_redirect(&item->entity,
											  &item->entity.local));
	version->doc = document_rename(version->doc, rename.id, rename.new_id);
	version->doc = reference_redirect(run->reader.policy, version->doc,
									  list_make1(&rename), NULL, NULL);
	ItemPointerSetInvalid(&version->tid);
	copy->decision.local = version;
	if (run->direction == DIRECTION_PUSH)
		copy->decision.public = version;
	else
		copy->decision.base = BASE_SET;
	return copy;
}

static bool
is_newer(const SyncRun *run, const Version *version)
{
	if (version->rev == 0 || version->rev == run->own)
		return false;
	return !DatumGetBool(DirectFunctionCall2(pg_visible_in_snapshot,
											 UInt64GetDatum(version->rev),
											 PointerGetDatum(run->dependencies_seen)));
}

/*
 * Was an item edited, or deleted, since its dependencies were found?  Then it
 * may refer to something else, or to nothing.
 */
bool
syncitem_is_newer_than_dependencies(const SyncRun *run, const SyncItem *item)
{
	return run->dependencies != NULL &&
		(is_newer(run, &item->entity.local) ||
		 is_newer(run, &item->entity.public));
}

/*
 * Is the copy of an item (or NULL) what other references were redirected to,
 * if they were?
 */
bool
syncitem_has_announced_id(const SyncItem *item, const SyncItem *copy)
{
	const Dependencies *dependencies = item->entity.dependencies;

	if (dependencies == NULL || dependencies->copy_id == NULL)
		return true;
	return copy != NULL && strcmp(copy->entity.id, dependencies->copy_id) == 0;
}
