/*
 * write.c
 *	  A batch of entities that lock.c has locked, written: in which order.
 *
 * Copies that keep a local version come first, then base rows are dropped or
 * set (writebase.c), then the rest of the local copy, then the shared one
 * (writeend.c).  An application's trigger that edits an entity meanwhile thus
 * finds the records as they are afterwards, and its edit is recorded like any
 * other.  In the end, the base of what was not stored as intended is put back,
 * so that it stays a change.
 */
#include "postgres.h"

#include "sync/lock.h"
#include "sync/write.h"
#include "sync/writebase.h"
#include "sync/writeend.h"

/*
 * Write copies.  Where a trigger does not let one be, the conflict stays as it
 * is, or else the local version would be nowhere.
 */
static PhaseEnd
write_copies(SyncRun *run, List *copies)
{
	PhaseEnd	end = writeend_write(run, true, copies);
	ListCell   *lc;

	foreach(lc, copies)
	{
		SyncItem   *copy = lfirst(lc);
		const Entity *original = &copy->copy_of->entity;

		if (copy->local_outcome != OUTCOME_MISSED)
			continue;
		copy->copy_failed = copy->copy_of->copy_failed = true;
		if (original->dependencies != NULL &&
			original->dependencies->copy_id != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("the copy of entity \"%s\" of diagram \"%s\" could not be stored, and other entities are to refer to it",
							original->id, run->link->local->id),
					 errhint("A trigger on table \"%s.entity\" keeps it out. Resolve the conflict with local, public or merged.",
							 storage_schema(STORAGE_LOCAL))));
	}
	return end;
}

/*
 * Write the decisions on locked items, and of copies; notes the outcomes.  The
 * caller is connected to SPI.  Where that is OVERTAKEN, all that the sync has
 * done must be rolled back and done again.
 */
PhaseEnd
write_items(SyncRun *run, List *items)
{
	List	   *copies = NIL;
	List	   *others = NIL;
	PhaseEnd	end = lock_check_inserts(run, items);
	ListCell   *lc;

	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);

		if (item->copy_of != NULL)
			copies = lappend(copies, item);
		else
			others = lappend(others, item);
	}
	if (end == PHASE_DONE && copies != NIL)
		end = write_copies(run, copies);
	if (end == PHASE_DONE)
		end = writebase_change(run, others);
	if (end == PHASE_DONE)
		end = writeend_write(run, true, others);
	if (end == PHASE_DONE)
		end = writeend_write(run, false, items);
	if (end == PHASE_DONE)
		writebase_put(run, items);
	return end;
}
