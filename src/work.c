/*
 * work.c
 *	  A sync or a resolution at work, and the entities that it works on.
 *
 * May call effect.c, weigh.c, reference.c and document.c.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "document.h"
#include "reference.h"
#include "work.h"

/*
 * A new item for the entity with this id, nothing of it read or locked.
 */
WorkItem *
work_item(const char *id)
{
	WorkItem   *item = palloc0(sizeof(WorkItem));

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
 * Decide what is done with an item that was read.
 */
void
work_decide(const Work *work, WorkItem *item)
{
	switch (item->role)
	{
		case ROLE_SYNCED:
			effect_decide(&item->effect, &item->entity, work->direction,
						  work->resolution, work->given);
			break;
		case ROLE_FOLLOWS:
			effect_follow(&item->effect, &item->entity);
			break;
		case ROLE_ACCEPTS:
			effect_accept(&item->effect, &item->entity, item->accepts);
			break;
	}
}

/*
 * The item for the copy that an item with effect.copies makes: the local
 * version under a new id, inserted locally and by a push at the far end.
 * The reader is between reader_begin() and reader_end().
 */
WorkItem *
work_copy(Work *work, WorkItem *item)
{
	char	   *id = effect_copy_id(&work->reader, &item->entity);
	WorkItem   *copy = work_item(id);
	Version    *version = palloc(sizeof(Version));

	copy->copy_of = item;
	*version = *effect_led(&item->entity, &item->entity.local);
	version->doc = document_rename(version->doc, item->entity.id, id);
	version->doc = reference_lead(work->reader.policy, version->doc,
								  item->entity.id, id, NULL, NULL);
	ItemPointerSetInvalid(&version->tid);
	copy->effect.local = version;
	if (work->direction == DIRECTION_PUSH)
		copy->effect.public = version;
	else
		copy->effect.base = BASE_SET;
	return copy;
}

/*
 * Is the copy of an item (or NULL) what others were told to refer to, if they
 * were?
 */
bool
work_has_told_id(const WorkItem *item, const WorkItem *copy)
{
	const Ties *ties = item->entity.ties;

	if (ties == NULL || ties->copy_id == NULL)
		return true;
	return copy != NULL && strcmp(copy->entity.id, ties->copy_id) == 0;
}
