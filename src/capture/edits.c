/*
 * edits.c
 *	  Which rows of a statement are edits: all that are not diagsync's own.
 *
 * The transition table of a statement has its rows in the order in which they
 * were written, so those of an UPDATE or DELETE are told apart by the numbers
 * that stamp_entity() has noted; those that diagsync inserts, by their keys.
 *
 * A row that was written more than once (by a foreign key that acts twice, by
 * a trigger in between) is among them more than once.  What counts is the
 * first, the version from before the statement.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "capture/edits.h"
#include "server/compat.h"
#include "table/storage.h"

/* Rows looked through, and those kept */
typedef struct Selection
{
	TriggerData *trigger;
	const Statement *statement;
	Tuplestorestate *rows;
	TupleTableSlot *slot;
	Tuplestorestate *kept;
	int64		nkept;
	HTAB	   *keys;			/* those met, or NULL */
} Selection;

static uint32
hash_key(const void *key, Size keysize)
{
	text	   *value = *(text *const *) key;

	return hash_bytes((const unsigned char *) VARDATA(value),
					  VARSIZE(value) - VARHDRSZ);
}

static int
match_keys(const void *a, const void *b, Size keysize)
{
	text	   *first = *(text *const *) a;
	text	   *second = *(text *const *) b;

	return VARSIZE(first) != VARSIZE(second) ? 1 :
		memcmp(VARDATA(first), VARDATA(second), VARSIZE(first) - VARHDRSZ);
}

static HTAB *
create_keys(void)
{
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = ctl.entrysize = sizeof(text *);
	ctl.hash = hash_key;
	ctl.match = match_keys;
	ctl.hcxt = CurrentMemoryContext;
	return hash_create("diagsync keys of edits", 256, &ctl,
					   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

/* Both keys of a row in one; a zero byte is in neither. */
static text *
key_of(TupleTableSlot *slot)
{
	bool		isnull;
	text	   *diagram = DatumGetTextPP(slot_getattr(slot,
													  Anum_entity_diagram_id,
													  &isnull));
	text	   *id = DatumGetTextPP(slot_getattr(slot, Anum_entity_id,
												 &isnull));
	Size		n = VARSIZE_ANY_EXHDR(diagram);
	Size		m = VARSIZE_ANY_EXHDR(id);
	text	   *key = palloc(VARHDRSZ + n + 1 + m);

	SET_VARSIZE(key, VARHDRSZ + n + 1 + m);
	memcpy(VARDATA(key), VARDATA_ANY(diagram), n);
	VARDATA(key)[n] = '\0';
	memcpy(VARDATA(key) + n + 1, VARDATA_ANY(id), m);
	return key;
}

/* Keep a row, unless there was one of the same key. */
static void
keep(Selection *selection)
{
	bool		found = false;

	if (selection->keys != NULL)
	{
		text	   *key = key_of(selection->slot);

		(void) hash_search(selection->keys, &key, HASH_ENTER, &found);
		if (found)
			pfree(key);
	}
	if (!found)
	{
		tuplestore_puttupleslot(selection->kept, selection->slot);
		selection->nkept++;
	}
}

static void
select_inserted(Selection *selection)
{
	OwnRows		own;

	ownrows_match_begin(&own, selection->statement->own);
	while (tuplestore_gettupleslot(selection->rows, true, false,
								   selection->slot))
	{
		bool		isnull;
		Datum		diagram = slot_getattr(selection->slot,
										   Anum_entity_diagram_id, &isnull);
		Datum		id = slot_getattr(selection->slot, Anum_entity_id,
									  &isnull);

		CHECK_FOR_INTERRUPTS();
		if (!ownrows_match(&own, diagram, id))
			keep(selection);
	}
}

static void
select_written(Selection *selection)
{
	const Statement *statement = selection->statement;
	int			run = 0;

	for (int64 row = 0; tuplestore_gettupleslot(selection->rows, true, false,
												selection->slot); row++)
	{
		CHECK_FOR_INTERRUPTS();
		while (run < statement->nown_runs &&
			   statement->own_runs[run].last < row)
			run++;
		if (run == statement->nown_runs ||
			row < statement->own_runs[run].first)
			keep(selection);
	}
}

/*
 * Numbers tell rows apart only if each row that was noted was written.
 */
static void
check_all_written(TriggerData *trigger, const Statement *statement,
				  Tuplestorestate *rows)
{
	Relation	rel = trigger->tg_relation;

	if (tuplestore_tuple_count(rows) == statement->rows)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("not every row of table \"%s.%s\" was written that a sync was about to write",
					get_namespace_name(RelationGetNamespace(rel)),
					RelationGetRelationName(rel)),
			 errdetail("A trigger that fires after those of diagsync has kept some."),
			 errhint("Give it a name that comes before \"~diagsync_stamp_entity\".")));
}

/*
 * The trigger with those rows of its statement alone that are edits, to be
 * registered with SPI in its place; itself where all are, NULL where none is.
 */
TriggerData *
edits_of(TriggerData *trigger, const Statement *statement)
{
	bool		insert = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
	Selection	selection = {.trigger = trigger,.statement = statement};
	TriggerData *edits;

	selection.rows = insert ? trigger->tg_newtable : trigger->tg_oldtable;
	if (insert && statement->own == NULL)
		return trigger;
	if (!insert)
	{
		if (statement->own_rows > 0)
			check_all_written(trigger, statement, selection.rows);
		if (statement->own_rows == statement->rows)
			return NULL;
		if (statement->own_rows == 0 && !statement->repeats)
			return trigger;
	}

	selection.slot = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
											  &TTSOpsMinimalTuple);
	selection.kept = tuplestore_begin_heap(false, false, work_mem);
	selection.keys = statement->repeats ? create_keys() : NULL;
	tuplestore_rescan(selection.rows);
	if (insert)
		select_inserted(&selection);
	else
		select_written(&selection);
	ExecDropSingleTupleTableSlot(selection.slot);
	if (selection.keys != NULL)
		hash_destroy(selection.keys);
	if (selection.nkept == 0)
	{
		tuplestore_end(selection.kept);
		return NULL;
	}
	edits = palloc(sizeof(TriggerData));
	*edits = *trigger;
	if (insert)
		edits->tg_newtable = selection.kept;
	else
		edits->tg_oldtable = selection.kept;
	return edits;
}

/*
 * The records of edits_of(trigger) are written.
 */
void
edits_end(TriggerData *edits, const TriggerData *trigger)
{
	if (edits == trigger)
		return;
	tuplestore_end(TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ?
				   edits->tg_newtable : edits->tg_oldtable);
	pfree(edits);
}
