/*
 * bulkbase.c
 *	  Base rows of many inserted entities: in the order of the key and without
 *	  looking for conflicts, which is a third of what INSERT ... ON CONFLICT
 *	  costs.
 *
 * New entities have no base rows, unless some were deleted before (then they
 * are to be updated) or somebody makes them just now.  That shows as a
 * duplicate key; all of it is rolled back then, and left to the caller.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"

#include "capture/bulkbase.h"
#include "server/compat.h"
#include "server/subxact.h"
#include "statement/rowwriter.h"

/* The keys of the rows of an INSERT that are edits, sorted. */
static Tuplesortstate *
sort_keys(TriggerData *trigger, BulkFilter is_edit, void *arg,
		  TupleTableSlot *key)
{
	AttrNumber	columns[2] = {1, 2};
	Oid			operators[2] = {TextLessOperator, TextLessOperator};
	Oid			collations[2] = {C_COLLATION_OID, C_COLLATION_OID};
	bool		nulls_first[2] = {false, false};
	TupleTableSlot *row = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
												   &TTSOpsMinimalTuple);
	Tuplesortstate *sort;

	sort = tuplesort_begin_heap(key->tts_tupleDescriptor, 2, columns,
								operators,
								collations, nulls_first, work_mem, NULL,
								TUPLESORT_NONE);
	tuplestore_rescan(trigger->tg_newtable);
	while (tuplestore_gettupleslot(trigger->tg_newtable, true, false, row))
	{
		CHECK_FOR_INTERRUPTS();
		if (!is_edit(row, arg))
			continue;
		ExecClearTuple(key);
		key->tts_values[0] = slot_getattr(row, Anum_entity_diagram_id,
										  &key->tts_isnull[0]);
		key->tts_values[1] = slot_getattr(row, Anum_entity_id,
										  &key->tts_isnull[1]);
		ExecStoreVirtualTuple(key);
		tuplesort_puttupleslot(sort, key);
	}
	ExecDropSingleTupleTableSlot(row);
	tuplesort_performsort(sort);
	return sort;
}

static void
insert_keys(Tuplesortstate *sort, TupleTableSlot *key)
{
	RowWriter	writer;
	Datum		values[BASE_NATTS] = {0};
	bool		nulls[BASE_NATTS] = {false, false, true, true, true, true,
	true};

	rowwriter_open(&writer, STORAGE_LOCAL, TABLE_BASE, CMD_INSERT);
	while (tuplesort_gettupleslot(sort, true, false, key, NULL))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(key);
		values[0] = key->tts_values[0];
		values[1] = key->tts_values[1];
		rowwriter_insert(&writer, values, nulls);
	}
	rowwriter_close(&writer);
}

typedef struct Bulk
{
	TriggerData *trigger;
	BulkFilter	is_edit;
	void	   *arg;
} Bulk;

static SubxactEnd
insert_sorted(void *arg)
{
	Bulk	   *bulk = arg;
	TupleDesc	tupdesc = CreateTemplateTupleDesc(2);
	TupleTableSlot *key;
	TupleTableSlot *sorted;
	Tuplesortstate *sort;

	TupleDescInitEntry(tupdesc, 1, "diagram_id", TEXTOID, -1, 0);
	TupleDescInitEntryCollation(tupdesc, 1, C_COLLATION_OID);
	TupleDescInitEntry(tupdesc, 2, "id", TEXTOID, -1, 0);
	TupleDescInitEntryCollation(tupdesc, 2, C_COLLATION_OID);
	compat_finish_tupdesc(tupdesc);
	key = MakeSingleTupleTableSlot(tupdesc, &TTSOpsVirtual);
	sorted = MakeSingleTupleTableSlot(tupdesc, &TTSOpsMinimalTuple);
	sort = sort_keys(bulk->trigger, bulk->is_edit, bulk->arg, key);
	insert_keys(sort, sorted);
	tuplesort_end(sort);
	ExecDropSingleTupleTableSlot(key);
	ExecDropSingleTupleTableSlot(sorted);
	return SUBXACT_DONE;
}

static bool
is_duplicate(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_UNIQUE_VIOLATION;
}

/*
 * Make base rows without a document for the rows of an INSERT that are edits,
 * as the filter says.  False, and nothing done, where one exists, or the table
 * is not as diagsync has made it.
 */
bool
bulkbase_insert(TriggerData *trigger, BulkFilter is_edit, void *arg)
{
	Bulk		bulk = {trigger, is_edit, arg};
	ErrorData  *duplicate;

	return rowwriter_suits(STORAGE_LOCAL, TABLE_BASE) &&
		subxact_catch(insert_sorted, &bulk, is_duplicate,
					  &duplicate) == SUBXACT_DONE;
}
