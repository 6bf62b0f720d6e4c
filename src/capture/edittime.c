/*
 * edittime.c
 *	  The time of an edit: diagsync.edit_time(), the default of the column
 *	  "modified_at"; and what is made again is not earlier than its deletion.
 *
 * An edit has the time at which its statement was opened, by the clock, and
 * never an earlier one than the version that it replaces: the clock may have
 * been set back, and a deletion may have begun after the insert that waited
 * for it.  For updates and deletions their triggers see to it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "capture/edittime.h"
#include "server/sqlfunction.h"
#include "statement/ownersql.h"
#include "statement/statement.h"

/*
 * Entities that were made again, after a deletion that is later than they:
 * they get its time.  $1 is this transaction's revision.
 */
#define CATCH_UP(rows, deletions, deleted_at) \
	"UPDATE %1$s.entity AS t SET modified_at = d." deleted_at \
	" FROM " rows " n, " deletions " d" \
	" WHERE t.diagram_id" EQ "n.diagram_id AND t.id" EQ "n.id AND t.rev" EQ "$1" \
	"  AND d.diagram_id" EQ "n.diagram_id AND d.id" EQ "n.id" \
	"  AND d." deleted_at GT "t.modified_at"

static OwnerSql catch_up_inserted =
OWNER_SQL(CATCH_UP("new_rows", "diagsync_local.base", "changed_at"), 1, INT8OID);
static OwnerSql catch_up_inserted_shared =
OWNER_SQL(CATCH_UP("new_rows", "%1$s.tombstone", "deleted_at"), 1, INT8OID);

/*
 * The same of those that one command has made before it was done deleting
 * them, at $2.  What the records have of that deletion does not matter: they
 * may know that the entity is there again.
 */
static OwnerSql catch_up_deleted =
OWNER_SQL("UPDATE %1$s.entity AS t SET modified_at = GREATEST($2, o.modified_at)"
		  " FROM old_rows o"
		  " WHERE t.diagram_id" EQ "o.diagram_id AND t.id" EQ "o.id AND t.rev" EQ "$1"
		  "  AND GREATEST($2, o.modified_at)" GT "t.modified_at",
		  2, INT8OID, TIMESTAMPTZOID);

/*
 * diagsync.edit_time()
 *
 * The same for all rows of a statement, and so STABLE: COPY would give up
 * inserting many rows at once for a volatile default.
 */
DIAGSYNC_FUNCTION(diagsync_edit_time)
{
	PG_RETURN_TIMESTAMPTZ(statement_edit_time());
}

/*
 * Does one of the inserted rows come after a deletion of the same entity that
 * is later?  The deletions of this diagram, if there are any, are looked up
 * one by one.
 */
static bool
is_behind(const StatementRows *capture, TriggerData *trigger)
{
	bool		local = capture->storage == STORAGE_LOCAL;
	TupleTableSlot *row = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
												   &TTSOpsMinimalTuple);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	bool		behind = false;
	bool		isnull;
	Probe		deletion;
	AttrNumber	deleted_at;

	if (local)
	{
		probe_open(&deletion, capture->storage, TABLE_BASE, AccessShareLock);
		deleted_at = Anum_base_changed_at;
	}
	else
	{
		probe_open(&deletion, capture->storage, TABLE_TOMBSTONE,
				   AccessShareLock);
		deleted_at = Anum_tombstone_deleted_at;
	}
	probe_begin(&deletion, snapshot);
	tuplestore_rescan(trigger->tg_newtable);
	while (!behind &&
		   tuplestore_gettupleslot(trigger->tg_newtable, true, false, row))
	{
		Datum		at;

		CHECK_FOR_INTERRUPTS();
		if (!probe_find(&deletion,
						slot_getattr(row, Anum_entity_diagram_id, &isnull),
						slot_getattr(row, Anum_entity_id, &isnull)))
			continue;
		at = slot_getattr(deletion.slot, deleted_at, &isnull);
		behind = !isnull && DatumGetTimestampTz(at) >
			DatumGetTimestampTz(slot_getattr(row, Anum_entity_modified_at,
											 &isnull));
	}
	probe_close(&deletion);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(row);
	return behind;
}

/*
 * See to it that what a statement has inserted is not earlier than the
 * deletion that came before.  This comes before its records, which forget the
 * time of that deletion. The caller is connected to SPI, has registered the
 * transition tables and has stamped their rows.
 */
void
edittime_catch_up(const StatementRows *capture, TriggerData *trigger)
{
	bool		local = capture->storage == STORAGE_LOCAL;
	OwnerSql   *command;
	Datum		values[2] = {Int64GetDatum(capture->own),
	TimestampTzGetDatum(capture->statement.at)};

	if (capture->table != TABLE_ENTITY || (local && capture->nlinked == 0))
		return;
	if (TRIGGER_FIRED_BY_INSERT(capture->event))
	{
		if (capture->all_new || !is_behind(capture, trigger))
			return;
		command = local ? &catch_up_inserted : &catch_up_inserted_shared;
	}

	/* One command may have inserted first what it deletes. */
	else if (capture->backdated)
		command = &catch_up_deleted;
	else
		return;
	(void) ownersql_run(command, capture->storage, values, NULL,
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
}
