/*
 * plan.c
 *	  The plan of a sync: a digest of all that it would do, and of what that
 *	  rests on.
 *
 * A dry run tells it; who gives it as expected_plan has it compared.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "json/document.h"
#include "sync/plan.h"

/*
 * Begin the plan of a sync, if it is asked for.
 */
void
plan_begin(Sync *sync, const Link *link)
{
	sync->plan = NULL;
	if (sync->listing != NULL)
		listing_begin(sync->listing);
	if (!sync->dry_run && sync->expected_plan == NULL)
		return;
	sync->digest = digest_begin();
	digest_string(sync->digest, sync->function);
	digest_string(sync->digest, resolution_name(sync->on_conflict));
	digest_document(sync->digest, link->local->merge_policy);
}

static void
digest_end_of(Digest *digest, const char *end, const Version *target)
{
	digest_string(digest, target != NULL ? end : NULL);
	if (target != NULL)
		digest_document(digest, target->doc);
}

/*
 * Add what is intended with an item to the plan and its listing, if asked for.
 */
void
plan_add(Sync *sync, const SyncItem *item)
{
	const Entity *entity = &item->entity;

	if (sync->digest == NULL ||
		(entity->conflict == CONFLICT_NONE && item->decision.local == NULL &&
		 item->decision.public == NULL))
		return;
	if (sync->listing != NULL)
		listing_add(sync->listing, item, sync->direction);
	digest_string(sync->digest, entity->id);
	digest_document(sync->digest, entity->base.doc);
	digest_document(sync->digest, entity->local.doc);
	digest_document(sync->digest, entity->public.doc);

	/*
	 * A row that was lost and one that was deleted have the same versions, yet
	 * only the first is a conflict that somebody is asked about.
	 */
	digest_string(sync->digest, entity->conflict == CONFLICT_NONE ? NULL :
				  conflict_name(entity->conflict));

	/* What is decided may rest on more, as with "newest". */
	digest_end_of(sync->digest, "local", item->decision.local);
	digest_end_of(sync->digest, "public", item->decision.public);
}

/*
 * The plan is known when all is added.
 */
void
plan_end(Sync *sync)
{
	if (sync->digest == NULL)
		return;
	sync->plan = MemoryContextStrdup(sync->context, digest_end(sync->digest));
	sync->digest = NULL;
}
