/*
 * capturecheck.c
 *	  Were the captured rows written?  A trigger or rule that an application
 *	  has put on a base or tombstone table can keep rows out of it; then the
 *	  edit fails, rather than be forgotten.
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "statement/capturecheck.h"
#include "table/pristine.h"

/*
 * Is a table of the records without code of applications?  Then what is
 * written to it is there.  Takes RowExclusiveLock on it and keeps it, so that
 * none is added.
 */
bool
capturecheck_is_plain(StorageType storage, StorageTable table)
{
	Relation	rel = storage_open(storage, table, RowExclusiveLock);
	bool		plain = pristine_is(rel, storage, table);

	table_close(rel, NoLock);
	return plain;
}

/*
 * Fail with 27000: rows that a diagram's records need are not there.
 */
void
capturecheck_refuse(StorageType storage, StorageTable table,
					const char *diagram)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("changes of diagram \"%s\" could not be captured",
					diagram),
			 errhint("A trigger or rule on table \"%s.%s\" keeps rows out.",
					 storage_schema(storage),
					 table == TABLE_BASE ? "base" : "tombstone")));
}

static bool
is_left(const Keys *left, const char *diagram, const char *id)
{
	for (int i = 0; i < left->n; i++)
	{
		if (strcmp(left->diagrams[i], diagram) == 0 &&
			strcmp(left->ids[i], id) == 0)
			return true;
	}
	return false;
}

/*
 * Check that each of the edits that is to be noted has a row in a table of the
 * records, but for those that are left to another statement.
 */
void
capturecheck_rows(StorageType storage, StorageTable table, TriggerData *edits,
				  bool (*is_noted) (TupleTableSlot *row, void *arg), void *arg,
				  const Keys *left)
{
	Tuplestorestate *rows = TRIGGER_FIRED_BY_INSERT(edits->tg_event) ?
		edits->tg_newtable : edits->tg_oldtable;
	TupleTableSlot *row = MakeSingleTupleTableSlot(RelationGetDescr(edits->tg_relation),
												   &TTSOpsMinimalTuple);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Probe		probe;

	probe_open(&probe, storage, table, AccessShareLock);
	probe_begin(&probe, snapshot);
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, row))
	{
		bool		isnull;
		Datum		diagram = slot_getattr(row, Anum_entity_diagram_id,
										   &isnull);
		Datum		id = slot_getattr(row, Anum_entity_id, &isnull);

		CHECK_FOR_INTERRUPTS();
		if (is_noted != NULL && !is_noted(row, arg))
			continue;
		if (!probe_find(&probe, diagram, id) &&
			!is_left(left, TextDatumGetCString(diagram),
					 TextDatumGetCString(id)))
			capturecheck_refuse(storage, table, TextDatumGetCString(diagram));
	}
	probe_close(&probe);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(row);
}
