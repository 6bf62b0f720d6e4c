/*
 * work.c
 *	  A sync or a resolution at work, and the entities that it works on.
 *
 * May call effect.c, weigh.c, reference.c, document.c and rowwriter.c.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "document.h"
#include "rowwriter.h"
#include "work.h"

/*
 * Open both ends of a link, for a sync or resolution (work->direction) that
 * writes, or only looks.  Whoever adds a trigger waits until the one that writes
 * is over.
 *
 * An application's trigger may edit what is written after it.  Of such a row SQL
 * passes the old version over; it cannot be updated by ctid in the same
 * transaction.  So no table that is written before may have one either.
 */
void
work_open(Work *work, const Link *link, bool write)
{
	bool		push = work->direction == DIRECTION_PUSH;
	StorageType far = link->public->storage;

	work->link = link;
	reader_open(&work->reader, link,
				write ? RowExclusiveLock : AccessShareLock,
				write && push ? RowExclusiveLock : AccessShareLock);
	if (!write)
		return;
	work->direct_local = rowwriter_suits(STORAGE_LOCAL, TABLE_ENTITY) &&
		rowwriter_suits(STORAGE_LOCAL, TABLE_BASE);
	work->direct_public = push && work->direct_local &&
		rowwriter_suits(far, TABLE_ENTITY) &&
		rowwriter_suits(far, TABLE_TOMBSTONE);
}

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
	const Ties *ties = item->entity.ties;
	Rename		rename = {item->entity.id, NULL};
	WorkItem   *copy;
	Version    *version = palloc(sizeof(Version));

	/* Others were told, but it may have been taken meanwhile. */
	if (ties != NULL && ties->copy_id != NULL &&
		!reader_id_is_taken(&work->reader, ties->copy_id))
		rename.new_id = ties->copy_id;
	else
		rename.new_id = effect_copy_id(&work->reader, &item->entity);
	copy = work_item(rename.new_id);

	copy->copy_of = item;
	*version = *effect_led(&item->entity, &item->entity.local);
	version->doc = document_rename(version->doc, rename.id, rename.new_id);
	version->doc = reference_lead(work->reader.policy, version->doc,
								  list_make1(&rename), NULL, NULL);
	ItemPointerSetInvalid(&version->tid);
	copy->effect.local = version;
	if (work->direction == DIRECTION_PUSH)
		copy->effect.public = version;
	else
		copy->effect.base = BASE_SET;
	return copy;
}

static bool
is_newer(const Work *work, const Version *version)
{
	if (version->doc == NULL || version->rev == work->own)
		return false;
	return !DatumGetBool(DirectFunctionCall2(pg_visible_in_snapshot,
											 UInt64GetDatum(version->rev),
											 PointerGetDatum(work->ties_seen)));
}

/*
 * Was an item edited since its ties were found?  Then it may refer to something
 * else.
 */
bool
work_is_newer_than_ties(const Work *work, const WorkItem *item)
{
	return work->ties != NULL &&
		(is_newer(work, &item->entity.local) ||
		 is_newer(work, &item->entity.public));
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
