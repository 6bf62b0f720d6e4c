/*
 * settlenotes.c
 *	  What has become of each entity in a resolution: noted until all are
 *	  written, and then told to the caller.
 *
 * What may still be in conflict is looked at again for that, as it is now.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "reconcile/cycle.h"
#include "server/compat.h"
#include "sync/settlenotes.h"

/* Columns of a note */
#define NOTE_ID 1
#define NOTE_SETTLED 2
#define NOTE_COPY_ID 3
#define NOTE_LOOK 4				/* it may still be in conflict */
#define NOTE_COLUMNS 4

struct SettleNotes
{
	Settling   *settling;
	SyncRun    *run;
	MemoryContext context;
	TupleDesc	tupdesc;
	Tuplestorestate *store;
};

static TupleDesc
make_tupdesc(void)
{
	TupleDesc	tupdesc = CreateTemplateTupleDesc(NOTE_COLUMNS);

	TupleDescInitEntry(tupdesc, NOTE_ID, "id", TEXTOID, -1, 0);
	TupleDescInitEntry(tupdesc, NOTE_SETTLED, "settled", INT4OID, -1, 0);
	TupleDescInitEntry(tupdesc, NOTE_COPY_ID, "copy_id", TEXTOID, -1, 0);
	TupleDescInitEntry(tupdesc, NOTE_LOOK, "look", BOOLOID, -1, 0);
	compat_finish_tupdesc(tupdesc);
	return tupdesc;
}

/*
 * Begin with the notes of a resolution at work, in the current memory context.
 */
SettleNotes *
settlenotes_begin(Settling *settling, SyncRun *run)
{
	SettleNotes *notes = palloc(sizeof(SettleNotes));

	notes->settling = settling;
	notes->run = run;
	notes->context = CurrentMemoryContext;
	notes->tupdesc = make_tupdesc();
	notes->store = tuplestore_begin_heap(false, false, work_mem);
	return notes;
}

/*
 * Did a trigger keep what an item was to be, or its copy, from being stored?
 */
bool
settlenotes_is_kept_out(const SyncItem *item)
{
	return item->copy_failed ||
		(item->decision.local != NULL && item->local_outcome == OUTCOME_MISSED);
}

static Settled
settled_of(const SyncItem *item)
{
	switch (item->verdict)
	{
		case VERDICT_SETTLES:
			return settlenotes_is_kept_out(item) ? SETTLED_KEPT_OUT :
				SETTLED_RESOLVED;
		case VERDICT_NO_CONFLICT:
			return SETTLED_NO_CONFLICT;
		case VERDICT_NO_ENTITY:
			return SETTLED_NO_ENTITY;
		case VERDICT_CHANGED:
			return SETTLED_CHANGED;
		case VERDICT_LEFT_OUT:
			break;
	}
	return SETTLED_LEFT_OUT;
}

/* What is an error where only one conflict is to be settled */
static void
refuse_single(const SettleNotes *notes, const SyncItem *item)
{
	if (item->verdict == VERDICT_LEFT_OUT)
		cycle_check_settled(&item->entity, notes->settling->local,
							item->choice->resolution);
	if (item->entity.conflict != CONFLICT_NONE ||
		!choice_expects(item->choice, &item->entity))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("entity \"%s\" of diagram \"%s\" has no conflict",
					item->entity.id, notes->settling->local),
			 errhint("diagsync.conflicts() lists the conflicts of a diagram.")));
}

/*
 * Note what has become of an item that the caller is told of, and of the copy
 * that it has made, or NULL.
 */
void
settlenotes_add(SettleNotes *notes, const SyncItem *item, const SyncItem *copy)
{
	Settled		settled = settled_of(item);
	Datum		values[NOTE_COLUMNS];
	bool		nulls[NOTE_COLUMNS] = {false};

	if (notes->settling->single)
		refuse_single(notes, item);
	if (settled == SETTLED_RESOLVED)
		notes->settling->resolved++;
	else if (item->entity.conflict != CONFLICT_NONE)
		notes->settling->conflicts++;
	values[NOTE_ID - 1] = item->entity.key;
	values[NOTE_SETTLED - 1] = Int32GetDatum(settled);
	values[NOTE_COPY_ID - 1] = copy ? copy->entity.key : (Datum) 0;
	nulls[NOTE_COPY_ID - 1] = copy == NULL || settled == SETTLED_KEPT_OUT;
	values[NOTE_LOOK - 1] =
		BoolGetDatum(item->entity.conflict != CONFLICT_NONE &&
					 (settled != SETTLED_RESOLVED ||
					  notes->run->dependencies != NULL ||
					  item->local_outcome != OUTCOME_WRITTEN));
	tuplestore_putvalues(notes->store, notes->tupdesc, values, nulls);
}

/*
 * Find what depends on what under that snapshot.
 */
static void
find_dependencies_anew(SettleNotes *notes, Snapshot snapshot)
{
	SyncRun    *run = notes->run;
	MemoryContext caller = MemoryContextSwitchTo(notes->context);
	Candidates *candidates;

	reader_end(&run->reader);
	candidates = candidates_collect(run->link, snapshot);
	run->dependencies = dependencies_collect(&run->reader, candidates,
											 snapshot, false);
	candidates_end(candidates);
	reader_begin(&run->reader, snapshot);
	MemoryContextSwitchTo(caller);
}

/*
 * Read an entity as it is now.  What came of it may conflict in another way,
 * or in more places; that is looked for where there is a change.
 */
static void
look_again(SettleNotes *notes, Entity *entity, Snapshot snapshot)
{
	SyncRun    *run = notes->run;

	(void) reader_read(&run->reader, entity);
	if ((run->reader.policy->references == 0 &&
		 run->reader.policy->acyclics == 0) ||
		(entity->local_change == CHANGE_NONE &&
		 entity->public_change == CHANGE_NONE))
		return;
	if (run->dependencies == NULL)
		find_dependencies_anew(notes, snapshot);
	entity->dependencies = dependencyset_next(run->dependencies, entity->id,
											  true);
	(void) reader_read(&run->reader, entity);
}

static void
answer_note(SettleNotes *notes, TupleTableSlot *slot, Snapshot snapshot)
{
	Settling   *settling = notes->settling;
	Entity		entity = {0};
	bool		isnull;
	bool		has_no_copy;
	char	   *id = TextDatumGetCString(slot_getattr(slot, NOTE_ID, &isnull));
	Settled		settled = (Settled) DatumGetInt32(slot_getattr(slot,
															   NOTE_SETTLED,
															   &isnull));
	Datum		copy_id = slot_getattr(slot, NOTE_COPY_ID, &has_no_copy);
	char	   *copy = has_no_copy ? NULL : TextDatumGetCString(copy_id);
	bool		look = DatumGetBool(slot_getattr(slot, NOTE_LOOK, &isnull));

	if (settling->refused_deletions > 0 && settled == SETTLED_RESOLVED)
	{
		settled = SETTLED_REFUSED;
		copy = NULL;
		look = true;
	}
	if (look || settling->single)
	{
		entity.id = settling->single && copy != NULL ? copy : id;
		entity.key = CStringGetTextDatum(entity.id);
		ItemPointerSetInvalid(&entity.found_at);
		look_again(notes, &entity, snapshot);
	}
	settling->answer(settling, settled, id, copy,
					 entity.id != NULL ? &entity : NULL);
}

/*
 * Tell the caller what has become of each: as it is now, or under that
 * snapshot where nothing was written.  Ends what the run knows of
 * dependencies.
 */
void
settlenotes_answer(SettleNotes *notes, Snapshot unchanged)
{
	SyncRun    *run = notes->run;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext row = AllocSetContextCreate(caller, "diagsync answer",
											  ALLOCSET_DEFAULT_SIZES);
	Snapshot	snapshot = unchanged != NULL ? unchanged :
		RegisterSnapshot(GetTransactionSnapshot());
	TupleTableSlot *slot = MakeSingleTupleTableSlot(notes->tupdesc,
													&TTSOpsMinimalTuple);

	dependencyset_end(run->dependencies);
	run->dependencies = NULL;
	reader_begin(&run->reader, snapshot);
	while (tuplestore_gettupleslot(notes->store, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(row);
		answer_note(notes, slot, snapshot);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row);
	}
	reader_end(&run->reader);
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextDelete(row);
	if (unchanged == NULL)
		UnregisterSnapshot(snapshot);
}

/*
 * Free the notes.
 */
void
settlenotes_end(SettleNotes *notes)
{
	tuplestore_end(notes->store);
	pfree(notes);
}
