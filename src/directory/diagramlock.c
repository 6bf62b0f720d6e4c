/*
 * diagramlock.c
 *	  The lock on a diagram, in the server's lock table: shared by writers of
 *	  its entities, exclusive for whoever changes a link or a storage type.
 *
 * It costs no WAL and no multixact, which a lock on the directory row does, as
 * soon as two writers of a diagram meet.  It comes before any lock on the row.
 * Its tag is that of an object: the class is the directory, the object a hash
 * of the diagram's id.  Where two ids have the same hash, one waits for the
 * other; nothing else comes of it.  Users cannot take it, as they could an
 * advisory lock.  The server keeps it to the end of the transaction, hands it
 * to a prepared one, and releases it with the savepoint that it was taken in;
 * so nothing is remembered here of who holds what.
 *
 * The lock table has a fixed size that all sessions share.  A transaction
 * takes this lock for its first MAX_LOCKS diagrams.  Beyond that, and where
 * the table is full, writers lock the row FOR KEY SHARE instead.  Whoever
 * changes a link always takes this lock, and the row FOR UPDATE while they
 * hold it; beyond the first diagrams they release it then.  So a writer who
 * has it looks at the row, too: where somebody holds that FOR UPDATE, they
 * give the lock back and wait for the row.
 *
 * Every database role may see in pg_locks that a lock is held, and compute the
 * tag of an id that they guess.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lock.h"

#include "directory/diagramlock.h"
#include "server/compat.h"
#include "server/deadlock.h"

/* So many diagrams of a transaction are locked in the lock table */
#define MAX_LOCKS 16

/*
 * How many this transaction has taken.  Those that it has given back with a
 * savepoint count: what it locks by the row once, it locks so to its end.
 */
static int	taken = 0;

static void
forget_taken(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		taken = 0;
}

/*
 * To be called once, when the library is loaded.
 */
void
diagramlock_init(void)
{
	RegisterXactCallback(forget_taken, NULL);
}

static void
set_tag(LOCKTAG *tag, Oid directory, const char *id)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) id,
										   strlen(id), 0);

	/* pg_locks shows the last field as a smallint. */
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, directory, (uint32) hash,
					   (uint16) ((hash >> 32) & 0x7FFF));
}

/*
 * Share the lock on a diagram of that directory, to the end of the transaction;
 * waits for whoever has it alone, or waits for that.  False where it is not to
 * be had: this transaction has enough of them, or the lock table is full.
 */
bool
diagramlock_share(Oid directory, const char *id)
{
	LOCKTAG		tag;
	LockAcquireResult result;

	set_tag(&tag, directory, id);
	if (taken >= MAX_LOCKS && !compat_lock_is_held(&tag, ShareLock))
		return false;
	result = compat_lock_acquire(&tag, ShareLock, false, false);
	deadlock_keep_watch();
	if (result == LOCKACQUIRE_OK)
		taken++;
	return result != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Give back what the last diagramlock_share() took.
 */
void
diagramlock_end_share(Oid directory, const char *id)
{
	LOCKTAG		tag;

	set_tag(&tag, directory, id);
	(void) LockRelease(&tag, ShareLock, false);
}

/*
 * Have the lock on a diagram alone: waits for all who share it, and keeps
 * others out.  False where it is not free at once and the caller does not
 * wait; an error where the lock table is full.
 */
bool
diagramlock_exclude(Oid directory, const char *id, bool wait)
{
	LOCKTAG		tag;
	LockAcquireResult result;

	set_tag(&tag, directory, id);
	result = compat_lock_acquire(&tag, ExclusiveLock, !wait, true);
	deadlock_keep_watch();
	if (result == LOCKACQUIRE_OK)
		taken++;
	return result != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * The row is locked FOR UPDATE: give the lock back, unless it is one of the
 * first that this transaction has taken.
 */
void
diagramlock_end_exclude(Oid directory, const char *id)
{
	LOCKTAG		tag;

	if (taken <= MAX_LOCKS)
		return;
	set_tag(&tag, directory, id);
	(void) LockRelease(&tag, ExclusiveLock, false);
}

/*
 * Is a row of the directory, in the slot of a scan, locked FOR UPDATE or
 * deleted by a transaction that may be in progress?  What such a one has left
 * makes it true, too, until somebody else has locked the row.
 */
bool
diagramlock_row_is_excluded(TupleTableSlot *row)
{
	BufferHeapTupleTableSlot *slot = (BufferHeapTupleTableSlot *) row;
	HeapTupleHeader tuple;
	bool		excluded;

	Assert(TTS_IS_BUFFERTUPLE(row));
	tuple = slot->base.tuple->t_data;
	LockBuffer(slot->buffer, BUFFER_LOCK_SHARE);
	excluded = !(tuple->t_infomask & HEAP_XMAX_INVALID) &&
		(tuple->t_infomask2 & HEAP_KEYS_UPDATED) != 0;
	LockBuffer(slot->buffer, BUFFER_LOCK_UNLOCK);
	return excluded;
}
