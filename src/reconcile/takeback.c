/*
 * takeback.c
 *	  What is done to take a local change back: the local end gets its base
 *	  again, and what the shared copy did meanwhile is left for a pull.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "json/document.h"
#include "principal/principal.h"
#include "reconcile/takeback.h"

/*
 * Is it known to what the local version of an entity would be taken back?  Of
 * what differs past the records it may not be.
 */
bool
takeback_is_possible(const Entity *entity)
{
	return entity->conflict != CONFLICT_UNKNOWN ||
		(entity->has_base_row && entity->base.doc != NULL);
}

/*
 * The base as the local version that it becomes again.  By whom and when it
 * was edited, the shared copy knows if it still has it.  Else whoever takes
 * the deletion of an entity back makes it anew, and an edit that is taken back
 * leaves its time, which is not before that of the base.
 */
static const Version *
base_again(const Entity *entity, bool is_public)
{
	Version    *version = palloc(sizeof(Version));

	*version = is_public ? entity->public : entity->local;
	if (!is_public && entity->local.doc == NULL)
	{
		version->at = Max(GetCurrentTimestamp(), entity->local.at);
		version->by = principal_current();
	}
	version->doc = entity->base.doc;
	ItemPointerSetInvalid(&version->tid);
	return version;
}

/*
 * Decide how a classified entity is taken back to its base, if it was changed
 * locally.  The base row goes if the shared copy has that version, too; if
 * not, it is what the public change is measured by.  The decision points into
 * the entity.
 */
void
takeback_decide(Decision *decision, const Entity *entity)
{
	bool		is_public = document_equal(entity->base.doc,
										   entity->public.doc);

	memset(decision, 0, sizeof(Decision));
	decision->base = BASE_KEEP;
	if (entity->local_change == CHANGE_NONE || !entity->has_base_row ||
		!takeback_is_possible(entity))
		return;
	decision->local = base_again(entity, is_public);
	if (is_public)
		decision->base = BASE_DROP;
	else
	{
		/* What is known of a deletion in the shared copy stays known. */
		decision->base = BASE_SET;
		decision->base_doc = entity->base.doc;
		if (entity->base.doc != NULL && entity->public.doc == NULL)
			decision->explanation = entity->explanation;
	}
}
