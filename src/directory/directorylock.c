/*
 * directorylock.c
 *	  Diagrams, and their entries in the directory, locked.
 *
 * Lock order: local diagrams before the shared one that they link to, each kind
 * in ascending ids, and of each the lock on the diagram (diagramlock.c) before
 * that on its row.  Whatever changes a link or a storage type has the lock
 * alone and holds FOR UPDATE on the rows concerned; writers of entities share
 * the lock; a sync shares it, and holds FOR NO KEY UPDATE on its local row and
 * FOR KEY SHARE on the shared one, so it is in no writer's way.  A push that
 * gives the shared copy references which must lead in no ring holds FOR NO KEY
 * UPDATE on the shared row, too.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "directory/diagramlock.h"
#include "directory/directory.h"

/*
 * Lock a row of the directory and read it as it is after the wait; NULL if
 * there is none.
 */
static Diagram *
lock_row(Probe *probe, const char *id, LockTupleMode mode,
		 LockReading reading)
{
	Datum		key = CStringGetTextDatum(id);
	Diagram    *diagram = NULL;
	bool		follow = reading == LOCK_LATEST || !IsolationUsesXactSnapshot();
	bool		found;
	bool		locked = false;

	do
	{
		Snapshot	snapshot = RegisterSnapshot(reading == LOCK_LATEST ?
												GetLatestSnapshot() :
												GetTransactionSnapshot());

		probe_begin(probe, snapshot);
		found = probe_find(probe, key, (Datum) 0);
		if (found)
		{
			ItemPointerData tid = probe->slot->tts_tid;

			locked = probe_lock(probe, &tid, snapshot, mode, follow);
		}
		if (locked)
			diagram = directory_read_row(probe->slot);
		probe_end(probe);
		UnregisterSnapshot(snapshot);

		/* Dropped while we waited, but it may have been made again. */
	} while (found && !locked);
	return diagram;
}

/*
 * Share the lock on a diagram and read its entry as it is committed then (NULL
 * if there is none).  False where the lock is not to be had.  Nor is it where
 * somebody may hold the row FOR UPDATE, having given the lock back: they may
 * want it again, so nobody is to wait for the row with it.
 */
static bool
share_lock(Probe *probe, const char *id, Diagram **diagram)
{
	Oid			relid = RelationGetRelid(probe->heap);
	Snapshot	snapshot;
	bool		excluded = false;

	*diagram = NULL;
	if (!diagramlock_share(relid, id))
		return false;
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	probe_begin(probe, snapshot);
	if (probe_find(probe, CStringGetTextDatum(id), (Datum) 0))
	{
		excluded = diagramlock_row_is_excluded(probe->slot);
		*diagram = directory_read_row(probe->slot);
	}
	probe_end(probe);
	UnregisterSnapshot(snapshot);
	if (excluded)
		diagramlock_end_share(relid, id);
	return !excluded;
}

/*
 * Lock a diagram, alone for LockTupleExclusive, else shared, and then its
 * entry; read that as it is after the wait; NULL if there is none.
 */
Diagram *
directory_lock(const char *id, LockTupleMode mode, LockReading reading)
{
	bool		alone = mode == LockTupleExclusive;
	Diagram    *diagram;
	Probe		probe;

	probe_open(&probe, STORAGE_LOCAL, TABLE_DIRECTORY, RowShareLock);
	if (alone)
		(void) diagramlock_exclude(RelationGetRelid(probe.heap), id, true);
	else
		(void) share_lock(&probe, id, &diagram);
	diagram = lock_row(&probe, id, mode, reading);
	if (alone)
		diagramlock_end_exclude(RelationGetRelid(probe.heap), id);
	probe_close(&probe);
	return diagram;
}

/*
 * Lock a diagram alone and its entry FOR UPDATE, if nobody uses it; true and
 * the entry as it is committed, or NULL.  False if somebody does.
 */
bool
directory_lock_if_free(const char *id, Diagram **diagram)
{
	Probe		probe;
	Oid			relid;
	bool		free;

	probe_open(&probe, STORAGE_LOCAL, TABLE_DIRECTORY, RowShareLock);
	relid = RelationGetRelid(probe.heap);
	free = diagramlock_exclude(relid, id, false);
	if (free)
	{
		*diagram = lock_row(&probe, id, LockTupleExclusive, LOCK_LATEST);
		diagramlock_end_exclude(relid, id);
	}
	probe_close(&probe);
	return free;
}

/*
 * Lock a diagram as writers of its entities do, and read its entry as it is
 * committed then; NULL if there is none.  The lock is shared; where that is not
 * to be had, or somebody holds the entry FOR UPDATE without it, the entry is
 * locked FOR KEY SHARE.
 */
Diagram *
directory_lock_for_edit(const char *id)
{
	Diagram    *diagram;
	Probe		probe;

	probe_open(&probe, STORAGE_LOCAL, TABLE_DIRECTORY, RowShareLock);
	if (!share_lock(&probe, id, &diagram))
		diagram = lock_row(&probe, id, LockTupleKeyShare, LOCK_LATEST);
	probe_close(&probe);
	return diagram;
}

/*
 * Lock an entry FOR NO KEY UPDATE that is locked FOR KEY SHARE already.  False
 * where it has changed since the snapshot of this transaction or command; at
 * REPEATABLE READ and above that is 40001.
 */
bool
directory_hold(const char *id, Snapshot snapshot)
{
	Probe		probe;
	bool		unchanged = false;

	probe_open(&probe, STORAGE_LOCAL, TABLE_DIRECTORY, RowShareLock);
	probe_begin(&probe, snapshot);
	if (probe_find(&probe, CStringGetTextDatum(id), (Datum) 0))
	{
		ItemPointerData seen = probe.slot->tts_tid;

		unchanged = probe_lock(&probe, &seen, snapshot,
							   LockTupleNoKeyExclusive,
							   !IsolationUsesXactSnapshot()) &&
			ItemPointerEquals(&seen, &probe.slot->tts_tid);
	}
	probe_close(&probe);
	return unchanged;
}
