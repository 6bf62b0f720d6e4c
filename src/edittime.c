/*
 * edittime.c
 *	  The time of an edit: diagsync.edit_time(), the default of the column
 *	  "modified_at"; and what is made again is not earlier than its deletion.
 *
 * An edit has the time at which its statement was opened, by the clock, and never
 * an earlier one than the version that it replaces: the clock may have been set
 * back, and who deleted a row may have opened his statement after the one that was
 * waiting for him.  For updates and deletions their triggers see to it.
 *
 * May call survey.c and command.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "command.h"
#include "edittime.h"
#include "function.h"
#include "session.h"

/*
 * Entities that were made again, after a deletion that is later than they: they
 * get its time.  $1 is this transaction's revision.
 */
#define CATCH_UP(rows, deletions, deleted_at) \
	"UPDATE %1$s.entity AS t SET modified_at = d." deleted_at \
	" FROM " rows " n, " deletions " d" \
	" WHERE t.diagram_id" EQ "n.diagram_id AND t.id" EQ "n.id AND t.rev" EQ "$1" \
	"  AND d.diagram_id" EQ "n.diagram_id AND d.id" EQ "n.id" \
	"  AND d." deleted_at GT "t.modified_at"

static Command catch_up_inserted =
COMMAND(CATCH_UP("new_rows", "diagsync_local.base", "changed_at"), 1, INT8OID);
static Command catch_up_inserted_shared =
COMMAND(CATCH_UP("new_rows", "%1$s.tombstone", "deleted_at"), 1, INT8OID);

/*
 * The same of those that one command has made before it was done deleting them, at
 * $2.  What the books have of that deletion does not matter: they may know that the
 * entity is there again.
 */
static Command catch_up_deleted =
COMMAND("UPDATE %1$s.entity AS t SET modified_at = GREATEST($2, o.modified_at)"
		" FROM old_rows o"
		" WHERE t.diagram_id" EQ "o.diagram_id AND t.id" EQ "o.id AND t.rev" EQ "$1"
		"  AND GREATEST($2, o.modified_at)" GT "t.modified_at",
		2, INT8OID, TIMESTAMPTZOID);

/*
 * diagsync.edit_time()
 *
 * The same for all rows of a statement, and so STABLE: COPY would give up inserting
 * many rows at once for a volatile default.
 */
DIAGSYNC_FUNCTION(diagsync_edit_time)
{
	PG_RETURN_TIMESTAMPTZ(session_edit_time());
}

/*
 * Does one of the inserted rows come after a deletion of the same entity that is
 * later?  The deletions of this diagram, if there are any, are looked up one by one.
 */
static bool
is_behind(const Deed *deed, TriggerData *trigger)
{
	bool		local = deed->storage == STORAGE_LOCAL;
	TupleTableSlot *row = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
												   &TTSOpsMinimalTuple);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	bool		behind = false;
	bool		isnull;
	Probe		deletion;
	AttrNumber	deleted_at;

	if (local)
	{
		probe_open(&deletion, deed->storage, TABLE_BASE, AccessShareLock);
		deleted_at = Anum_base_changed_at;
	}
	else
	{
		probe_open(&deletion, deed->storage, TABLE_TOMBSTONE, AccessShareLock);
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
 * See to it that what a statement has inserted is not earlier than the deletion that
 * came before.  This comes before its books, which forget the time of that deletion.
 * The caller is connected to SPI, has registered the transition tables and has
 * stamped their rows.
 */
void
edittime_catch_up(const Deed *deed, TriggerData *trigger)
{
	bool		local = deed->storage == STORAGE_LOCAL;
	Command    *command;
	Datum		values[2] = {Int64GetDatum(deed->own),
	TimestampTzGetDatum(deed->statement.at)};

	if (deed->table != TABLE_ENTITY || (local && deed->nlinked == 0))
		return;
	if (TRIGGER_FIRED_BY_INSERT(deed->event))
	{
		if (deed->all_new || !is_behind(deed, trigger))
			return;
		command = local ? &catch_up_inserted : &catch_up_inserted_shared;
	}

	/* One command may have inserted first what it deletes. */
	else if (deed->backdated)
		command = &catch_up_deleted;
	else
		return;
	(void) command_run(command, deed->storage, values, NULL,
					   COMMAND_EXEMPT | COMMAND_FRESH);
}
