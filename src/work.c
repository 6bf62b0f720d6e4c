/*
 * work.c
 *	  A sync or a resolution at work, and the entities that it works on.
 *
 * May call effect.c, weigh.c and document.c.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "document.h"
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
	*version = item->entity.local;
	version->doc = document_rename(item->entity.local.doc, item->entity.id, id);
	ItemPointerSetInvalid(&version->tid);
	copy->effect.local = version;
	if (work->direction == DIRECTION_PUSH)
		copy->effect.public = version;
	else
		copy->effect.base = BASE_SET;
	return copy;
}
