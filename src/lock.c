/*
 * lock.c
 *	  A batch of entities, locked, and decided about on what is locked.
 *
 * Locking comes in ascending keys: the local entities, their base rows, and
 * where the far end is written its entities.  What was read of a row version that
 * is locked then needs no second look.  Everything else is read again under a
 * newer snapshot, and the decisions are made on that; what they rest on must be
 * exactly the row versions that are locked, else the round is repeated.  What
 * does not exist cannot be locked: an insert of it by somebody else shows up as a
 * conflict of the unique key when it is written.
 *
 * Not locked is what the write itself makes sure of: a row that is updated by
 * ctid (rowwriter.c) is written only if it is still that version; and no base row
 * comes or goes while its entity is locked, since whoever edits the entity waits.
 * Such an update locks its row later than what is locked here.  So that this, too,
 * comes in ascending keys, and a writer who goes the same way never closes a
 * circle, a batch locks all rows of an end where it has to lock one of them
 * (locally also one that comes after).  After a try in which somebody was faster
 * all is locked.
 *
 * May call work.c, effect.c and weigh.c.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "lock.h"

/* How often rows may appear or be replaced under our hands before we give up */
#define MAX_LOCK_ROUNDS 100

static bool
same_tid(ItemPointer a, ItemPointer b)
{
	if (!ItemPointerIsValid(a) || !ItemPointerIsValid(b))
		return ItemPointerIsValid(a) == ItemPointerIsValid(b);
	return ItemPointerEquals(a, b);
}

/* Lock a row that was read, unless that version is locked already. */
static void
lock_row(Probe *probe, Snapshot snapshot, ItemPointer tid, LockTupleMode mode,
		 ItemPointer locked)
{
	if (!ItemPointerIsValid(tid))
		ItemPointerSetInvalid(locked);
	else if (!same_tid(tid, locked))
	{
		if (probe_lock(probe, tid, snapshot, mode, !IsolationUsesXactSnapshot()))
			*locked = probe->slot->tts_tid;
		else
			ItemPointerSetInvalid(locked);
	}
}

/* Is one end of an item updated by ctid, so that it needs no lock before? */
static bool
is_checked_by_write(const Version *target, const Version *current)
{
	return target != NULL && target->doc != NULL && current->doc != NULL;
}

static bool
local_needs_no_lock(const Work *work, const WorkItem *item)
{
	/* One with a base row is locked before that is dropped. */
	return work->direct_local && !item->entity.has_base_row &&
		is_checked_by_write(item->effect.local, &item->entity.local);
}

static bool
public_needs_no_lock(const Work *work, const WorkItem *item)
{
	return item->effect.public == NULL ||
		(work->direct_public &&
		 is_checked_by_write(item->effect.public, &item->entity.public));
}

/*
 * Which ends have to be locked: all of their rows, or none.
 */
static void
choose_locks(Work *work, List *items)
{
	ListCell   *lc;

	work->lock_local = work->lock_public = work->cautious;
	foreach(lc, items)
	{
		WorkItem   *item = lfirst(lc);

		if (ItemPointerIsValid(&item->entity.public.tid) &&
			!public_needs_no_lock(work, item))
			work->lock_public = true;
		if (ItemPointerIsValid(&item->entity.local.tid) ?
			!local_needs_no_lock(work, item) : item->entity.has_base_row)
			work->lock_local = true;
	}
	/* The local rows come before those of the far end. */
	work->lock_local |= work->lock_public;
}

static bool
local_is_to_be_locked(const Work *work, const WorkItem *item)
{
	return work->lock_local || !local_needs_no_lock(work, item);
}

static bool
public_is_to_be_locked(const Work *work, const WorkItem *item)
{
	return item->effect.public != NULL &&
		(work->lock_public || !public_needs_no_lock(work, item));
}

/* Has an item all the locks that what was read of it needs? */
static bool
is_locked(const Work *work, WorkItem *item)
{
	bool		has_local = ItemPointerIsValid(&item->entity.local.tid);

	return (!local_is_to_be_locked(work, item) ||
			same_tid(&item->entity.local.tid, &item->locked_local)) &&
		(has_local || same_tid(&item->entity.base.tid, &item->locked_base)) &&
		(!public_is_to_be_locked(work, item) ||
		 same_tid(&item->entity.public.tid, &item->locked_public));
}

/*
 * Does what is decided about an item rest on rows alone that are locked (or
 * checked by the write), as they were read?  Rows that do not exist may have
 * come to exist since.
 */
static bool
is_settled(const Work *work, WorkItem *item)
{
	return item->role == ROLE_SYNCED && !item->effect.copies &&
		ItemPointerIsValid(&item->entity.local.tid) &&
		(item->effect.public == NULL ||
		 ItemPointerIsValid(&item->entity.public.tid)) &&
		is_locked(work, item);
}

static void
lock_rows(Work *work, List *items)
{
	Snapshot	snapshot = work->reader.snapshot;
	ListCell   *lc;

	foreach(lc, items)
	{
		WorkItem   *item = lfirst(lc);

		if (local_is_to_be_locked(work, item))
			lock_row(&work->reader.local, snapshot, &item->entity.local.tid,
					 LockTupleNoKeyExclusive, &item->locked_local);
	}
	foreach(lc, items)
	{
		WorkItem   *item = lfirst(lc);

		if (!ItemPointerIsValid(&item->entity.local.tid))
			lock_row(&work->reader.base, snapshot, &item->entity.base.tid,
					 LockTupleExclusive, &item->locked_base);
	}
	foreach(lc, items)
	{
		WorkItem   *item = lfirst(lc);

		if (public_is_to_be_locked(work, item))
			lock_row(&work->reader.public, snapshot, &item->entity.public.tid,
					 LockTupleNoKeyExclusive, &item->locked_public);
	}
}

/*
 * Lock what the items rest on and decide about them anew, until all of it is
 * locked or work->moved is set.  The items come in ascending ids and have been
 * read.  Waits for writers of these entities; 40001 where a row changed since
 * the snapshot of the transaction, or keeps being replaced.
 */
void
lock_items(Work *work, List *items)
{
	for (int round = 0;; round++)
	{
		bool		complete = true;
		bool		reading = false;
		ListCell   *lc;

		choose_locks(work, items);
		lock_rows(work, items);
		foreach(lc, items)
		{
			WorkItem   *item = lfirst(lc);

			CHECK_FOR_INTERRUPTS();
			if (is_settled(work, item))
				continue;

			/* What we waited for may have committed: read again. */
			if (!reading)
			{
				reader_end(&work->reader);
				reader_begin(&work->reader, GetTransactionSnapshot());
				reading = true;
			}
			(void) reader_read(&work->reader, &item->entity);
			work_decide(work, item);
			if (!is_locked(work, item))
				complete = false;

			/*
			 * It was inserted while we hold its base row.  Its writer may hold
			 * it and wait for the base row next, so do not wait for him.
			 */
			if (ItemPointerIsValid(&item->locked_base) &&
				ItemPointerIsValid(&item->entity.local.tid) &&
				!same_tid(&item->entity.local.tid, &item->locked_local))
				work->moved = true;
		}
		if (complete || work->moved)
			return;
		if (round >= MAX_LOCK_ROUNDS)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not lock the changed entities of diagram \"%s\" because they keep being replaced",
							work->link->local->id),
					 errhint("Run the transaction again.")));
	}
}

/*
 * Is somebody inserting what the items are about to insert?  He may wait for
 * what we have locked (the base row of the entity, or for another push an entity
 * further on), so do not wait for him with the locks held: work->moved and
 * work->inserter are set.  To be called before anything is written.
 */
void
lock_check_inserts(Work *work, List *items)
{
	ListCell   *lc;

	foreach(lc, items)
	{
		WorkItem   *item = lfirst(lc);
		Entity	   *entity = &item->entity;
		TransactionId inserter = InvalidTransactionId;

		if (item->effect.local != NULL && item->effect.local->doc != NULL &&
			entity->local.doc == NULL && entity->has_base_row)
			inserter = probe_insert_in_progress(&work->reader.local,
												work->link->local->key,
												entity->key);
		if (item->effect.public != NULL && item->effect.public->doc != NULL &&
			entity->public.doc == NULL && !TransactionIdIsValid(inserter))
			inserter = probe_insert_in_progress(&work->reader.public,
												work->link->public->key,
												entity->key);
		if (TransactionIdIsValid(inserter))
		{
			work->moved = true;
			work->inserter = inserter;
			return;
		}
	}
}
