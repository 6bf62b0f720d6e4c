/*
 * lock.c
 *	  A batch of entities, locked, and decided about on what is locked.
 *
 * Locking comes in ascending keys: the local entities, their base rows, and
 * where the shared copy is written its entities.  What was read of a row
 * version that is locked then needs no second look.  Everything else is read
 * again under a newer snapshot, and the decisions are made on that; what they
 * rest on must be exactly the row versions that are locked, else the round is
 * repeated.  What does not exist cannot be locked: an insert of it by somebody
 * else shows up as a conflict of the unique key when it is written.
 *
 * Not locked is what is certain without: a shared row that is updated by ctid
 * (rowwriter.c) is written only if it is still that version (if it is not, all
 * is done again, and then locked); and no base row comes or goes while its
 * entity is locked, since whoever edits the entity waits.  Such an update
 * locks its row later than what is locked here.  So that this, too, comes in
 * ascending keys, and a writer who goes the same way never closes a circle, a
 * batch locks all shared rows that it writes where it has to lock one of them.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "statement/rowwriter.h"
#include "sync/lock.h"

/* How often rows may appear or be replaced under our hands before we give up */
#define MAX_LOCK_ROUNDS 100

/*
 * Open both copies of a link, for a sync or resolution (run->direction) that
 * writes, or only looks.  Whoever adds a trigger waits until the one that
 * writes is over.
 *
 * An application's trigger may edit what is written after it.  Of such a row
 * SQL passes the old version over; it cannot be updated by ctid in the same
 * transaction.  So no table that is written before may have one either.
 */
void
lock_copies(SyncRun *run, const Link *link, bool write)
{
	bool		push = run->direction == DIRECTION_PUSH;
	StorageType shared = link->public->storage;

	run->link = link;
	reader_open(&run->reader, link,
				write ? RowExclusiveLock : AccessShareLock,
				write && push ? RowExclusiveLock : AccessShareLock);
	if (!write)
		return;
	run->direct_local = rowwriter_suits(STORAGE_LOCAL, TABLE_ENTITY) &&
		rowwriter_suits(STORAGE_LOCAL, TABLE_BASE);
	run->direct_public = push && run->direct_local &&
		rowwriter_suits(shared, TABLE_ENTITY) &&
		rowwriter_suits(shared, TABLE_TOMBSTONE);
}

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
		if (probe_lock(probe, tid, snapshot, mode,
					   !IsolationUsesXactSnapshot()))
			*locked = probe->slot->tts_tid;
		else
			ItemPointerSetInvalid(locked);
	}
}

/*
 * Needs the shared row of an item no lock, because it is not written, or
 * because the write itself finds out whether it has changed?
 */
static bool
public_needs_no_lock(const SyncRun *run, const SyncItem *item)
{
	const Version *target = item->decision.public;

	return target == NULL ||
		(run->direct_public && target->doc != NULL &&
		 item->entity.public.doc != NULL);
}

/*
 * Are the shared rows of a batch to be locked: all that it writes, or none?
 */
static void
choose_locks(SyncRun *run, List *items)
{
	ListCell   *lc;

	run->lock_public = run->lock_all;
	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);

		if (ItemPointerIsValid(&item->entity.public.tid) &&
			!public_needs_no_lock(run, item))
			run->lock_public = true;
	}
}

static bool
public_is_to_be_locked(const SyncRun *run, const SyncItem *item)
{
	return item->decision.public != NULL &&
		(run->lock_public || !public_needs_no_lock(run, item));
}

/* Has an item all the locks that what was read of it needs? */
static bool
is_locked(const SyncRun *run, SyncItem *item)
{
	bool		has_local = ItemPointerIsValid(&item->entity.local.tid);

	return same_tid(&item->entity.local.tid, &item->locked_local) &&
		(has_local || same_tid(&item->entity.base.tid, &item->locked_base)) &&
		(!public_is_to_be_locked(run, item) ||
		 same_tid(&item->entity.public.tid, &item->locked_public));
}

/*
 * Does what is decided about an item rest on rows alone that are locked (or
 * checked by the write), as they were read?  Rows that do not exist may have
 * come to exist since.
 */
static bool
is_settled(const SyncRun *run, SyncItem *item)
{
	return item->is_decided && !item->decision.copies &&
		ItemPointerIsValid(&item->entity.local.tid) &&
		(item->decision.public == NULL ||
		 ItemPointerIsValid(&item->entity.public.tid)) &&
		is_locked(run, item);
}

static void
lock_rows(SyncRun *run, List *items)
{
	Snapshot	snapshot = run->reader.snapshot;
	ListCell   *lc;

	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);

		lock_row(&run->reader.local, snapshot, &item->entity.local.tid,
				 LockTupleNoKeyExclusive, &item->locked_local);
	}
	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);

		if (!ItemPointerIsValid(&item->entity.local.tid))
			lock_row(&run->reader.base, snapshot, &item->entity.base.tid,
					 LockTupleExclusive, &item->locked_base);
	}
	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);

		if (public_is_to_be_locked(run, item))
			lock_row(&run->reader.public, snapshot, &item->entity.public.tid,
					 LockTupleNoKeyExclusive, &item->locked_public);
	}
}

/*
 * Lock what the items rest on and decide about them anew, until all of it is
 * locked, or somebody was faster.  The items come in ascending ids and have
 * been read.  Waits for writers of these entities; 40001 where a row changed
 * since the snapshot of the transaction, or keeps being replaced.
 */
PhaseEnd
lock_items(SyncRun *run, List *items)
{
	for (int round = 0;; round++)
	{
		bool		complete = true;
		bool		reading = false;
		PhaseEnd	end = PHASE_DONE;
		ListCell   *lc;

		choose_locks(run, items);
		lock_rows(run, items);
		foreach(lc, items)
		{
			SyncItem   *item = lfirst(lc);

			CHECK_FOR_INTERRUPTS();
			if (is_settled(run, item))
				continue;

			/* What we waited for may have committed: read again. */
			if (!reading)
			{
				reader_end(&run->reader);
				reader_begin(&run->reader, GetTransactionSnapshot());
				reading = true;
			}
			(void) reader_read(&run->reader, &item->entity);
			syncitem_decide(run, item);
			if (!is_locked(run, item))
				complete = false;

			/*
			 * It was inserted while we hold its base row.  Its writer may
			 * hold it and wait for the base row next, so do not wait for it.
			 */
			if (ItemPointerIsValid(&item->locked_base) &&
				ItemPointerIsValid(&item->entity.local.tid) &&
				!same_tid(&item->entity.local.tid, &item->locked_local))
				end = PHASE_OVERTAKEN;
		}
		if (complete || end != PHASE_DONE)
			return end;
		if (round >= MAX_LOCK_ROUNDS)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not lock the changed entities of diagram \"%s\" because they keep being replaced",
							run->link->local->id),
					 errhint("Run the transaction again.")));
	}
}

/*
 * Is somebody inserting what the items are about to insert?  They may wait for
 * what we have locked (the base row of the entity, or for another push an
 * entity further on), so do not wait for them with the locks held: that is
 * OVERTAKEN, and run->inserter says by whom.  To be called before anything is
 * written.
 */
PhaseEnd
lock_check_inserts(SyncRun *run, List *items)
{
	ListCell   *lc;

	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);
		Entity	   *entity = &item->entity;
		TransactionId inserter = InvalidTransactionId;

		if (item->decision.local != NULL && item->decision.local->doc != NULL &&
			entity->local.doc == NULL && entity->has_base_row)
			inserter = probe_insert_in_progress(&run->reader.local,
												run->link->local->key,
												entity->key);
		if (item->decision.public != NULL && item->decision.public->doc != NULL &&
			entity->public.doc == NULL && !TransactionIdIsValid(inserter))
			inserter = probe_insert_in_progress(&run->reader.public,
												run->link->public->key,
												entity->key);
		if (TransactionIdIsValid(inserter))
		{
			run->inserter = inserter;
			return PHASE_OVERTAKEN;
		}
	}
	return PHASE_DONE;
}
