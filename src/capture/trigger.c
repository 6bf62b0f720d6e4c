/*
 * trigger.c
 *	  The small triggers of the storage tables:
 *
 *	  open_statement()	 BEFORE STATEMENT; notes that a statement is open
 *	  stamp_entity()	 BEFORE UPDATE and DELETE, ROW; stamps revision, time,
 *						 principal (an inserted row has them from the columns'
 *						 defaults), refuses a new key, and notes rows that a
 *						 statement around this one has written
 *	  refuse_truncate()	 BEFORE TRUNCATE
 *
 * and the check that all of them begin with.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "capture/trigger.h"
#include "directory/content.h"
#include "directory/quota.h"
#include "http/condition.h"
#include "http/routes.h"
#include "principal/principal.h"
#include "server/sqlfunction.h"
#include "statement/statement.h"

/* The trigger of stamp_entity() */
#define STAMP_TRIGGER "~diagsync_stamp_entity"

/* The trigger as which a function was called; an error if it was not. */
static TriggerData *
check_called(FunctionCallInfo fcinfo, const char *function)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"diagsync.%s\" was not called by trigger manager",
						function)));
	return (TriggerData *) fcinfo->context;
}

static void
refuse_table(TriggerData *trigger, const char *function)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("function \"diagsync.%s\" is for the tables of diagsync only",
					function),
			 errdetail("It was called for table \"%s\".",
					   RelationGetRelationName(trigger->tg_relation))));
}

static void
check_timing(TriggerData *trigger, const char *function, bool row, bool before)
{
	if ((TRIGGER_FIRED_FOR_ROW(trigger->tg_event) != 0) != row ||
		(TRIGGER_FIRED_BEFORE(trigger->tg_event) != 0) != before)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"diagsync.%s\" must be fired %s, for each %s",
						function, before ? "BEFORE" : "AFTER",
						row ? "ROW" : "STATEMENT")));
}

/*
 * Check that a function was called as the trigger that it is, on a table of
 * ours; returns which.
 */
TriggerData *
trigger_check(FunctionCallInfo fcinfo, const char *function, bool row,
			  bool before, StorageType *storage, StorageTable *table)
{
	TriggerData *trigger = check_called(fcinfo, function);

	if (!storage_identify(trigger->tg_relation, storage, table))
		refuse_table(trigger, function);
	check_timing(trigger, function, row, before);
	return trigger;
}

/*
 * Fail with 55000: rows of a table are written, and the trigger that fires
 * before each statement on it has not fired.
 */
void
trigger_refuse_unopened(TriggerData *trigger)
{
	Relation	rel = trigger->tg_relation;

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("rows of table \"%s.%s\" are written without the trigger that fires before the statement",
					get_namespace_name(RelationGetNamespace(rel)),
					RelationGetRelationName(rel)),
			 errdetail("What is written through another table (a parent, a partitioned table), or with that trigger disabled, would not be captured."),
			 errhint("Write to the table itself, with its triggers enabled.")));
}

/*
 * Triggers fire in the order of their names.  One that fires after ours could
 * undo what it stamps, and the edit would never be seen.
 */
static void
check_stamped_last(Relation rel)
{
	for (int i = rel->trigdesc->numtriggers - 1; i >= 0; i--)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (strcmp(trigger->tgname, STAMP_TRIGGER) == 0)
			return;
		if (trigger->tgenabled != TRIGGER_DISABLED &&
			TRIGGER_FOR_ROW(trigger->tgtype) &&
			TRIGGER_FOR_BEFORE(trigger->tgtype) &&
			TRIGGER_FOR_UPDATE(trigger->tgtype))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("trigger \"%s\" of table \"%s.%s\" fires after \"%s\"",
							trigger->tgname,
							get_namespace_name(RelationGetNamespace(rel)),
							RelationGetRelationName(rel), STAMP_TRIGGER),
					 errdetail("It could undo the revision and the time by which changes are found."),
					 errhint("Rename it with ALTER TRIGGER, to a name that begins with an ASCII letter.")));
	}
}

/*
 * diagsync.open_statement(): BEFORE INSERT, UPDATE or DELETE, STATEMENT
 */
DIAGSYNC_FUNCTION(diagsync_open_statement)
{
	StorageType storage;
	StorageTable table;
	TriggerData *trigger = trigger_check(fcinfo, "open_statement", false, true,
										 &storage, &table);
	Jsonb	   *inserted = NULL;

	storage_check_alone(trigger->tg_relation);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		check_stamped_last(trigger->tg_relation);
		quota_begin_statement();
	}
	if (table == TABLE_ENTITY)
		inserted = route_check_write(trigger->tg_event);
	statement_open(RelationGetRelid(trigger->tg_relation),
				   trigger->tg_event);
	if (inserted != NULL)
		condition_note_insert(trigger, storage, inserted,
							  statement_edit_time(), principal_current());
	return PointerGetDatum(NULL);
}

static bool
same_key(TriggerData *trigger, int attno)
{
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);
	bool		isnull;
	Datum		old = heap_getattr(trigger->tg_trigtuple, attno, tupdesc,
								   &isnull);
	Datum		new = heap_getattr(trigger->tg_newtuple, attno, tupdesc,
								   &isnull);

	/* Not null any more than the column is: constraints come after triggers. */
	return !isnull && DatumGetBool(DirectFunctionCall2Coll(texteq,
														   C_COLLATION_OID,
														   old, new));
}

/*
 * A trigger of an application may edit a row again that the statement around
 * it has just written, and its records come first.  The base is the version
 * from before that statement, which captures changes of this row.
 */
static void
leave_row(TriggerData *trigger, StorageType storage)
{
	Oid			relid = RelationGetRelid(trigger->tg_relation);
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);
	HeapTuple	old = trigger->tg_trigtuple;

	if (storage == STORAGE_LOCAL &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(old->t_data)) &&
		statement_is_written_within(relid, trigger->tg_event,
									HeapTupleHeaderGetCmin(old->t_data)))
		statement_leave_row(relid, trigger->tg_event,
							SPI_getvalue(old, tupdesc, Anum_entity_diagram_id),
							SPI_getvalue(old, tupdesc, Anum_entity_id));
}

/* Is the row that a trigger fires for diagsync's own? */
static bool
is_own_row(TriggerData *trigger)
{
	Relation	rel = trigger->tg_relation;
	bool		own;

	if (!statement_note_row(RelationGetRelid(rel), trigger->tg_event,
							trigger->tg_trigtuple, &own))
		trigger_refuse_unopened(trigger);
	return own;
}

/* May that be in the new version of an entity? */
static void
check_content(TriggerData *trigger)
{
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);
	bool		isnull;
	Datum		doc = heap_getattr(trigger->tg_newtuple, Anum_entity_doc,
								   tupdesc, &isnull);

	/* Not null any more than the column is: constraints come after triggers. */
	if (!isnull)
	{
		content_check(SPI_getvalue(trigger->tg_newtuple, tupdesc,
								   Anum_entity_diagram_id),
					  SPI_getvalue(trigger->tg_newtuple, tupdesc,
								   Anum_entity_id), doc, quota_applies());
		quota_note_written(quota_row_bytes(doc));
	}
}

/* The time of this edit: not before that of the version that it replaces */
static TimestampTz
later_than_old(TriggerData *trigger, TupleDesc tupdesc)
{
	bool		isnull;
	Datum		old = heap_getattr(trigger->tg_trigtuple,
								   Anum_entity_modified_at, tupdesc, &isnull);

	return Max(statement_edit_time(), DatumGetTimestampTz(old));
}

/*
 * diagsync.stamp_entity(): BEFORE UPDATE or DELETE, ROW
 *
 * Its trigger's name makes it fire after those of applications, so that what
 * it stamps and checks is what is stored.
 */
DIAGSYNC_FUNCTION(diagsync_stamp_entity)
{
	StorageType storage;
	StorageTable table;
	TriggerData *trigger = trigger_check(fcinfo, "stamp_entity", true, true,
										 &storage, &table);
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);
	int			columns[3] = {Anum_entity_rev, Anum_entity_modified_at,
	Anum_entity_modified_by};
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	int			ncolumns = 1;
	bool		own;
	HeapTuple	stamped;

	if (table != TABLE_ENTITY || TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"diagsync.%s\" must be fired for UPDATE or DELETE of entities",
						"stamp_entity")));
	own = is_own_row(trigger);
	if (!own)
		condition_check_row(trigger, storage);
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		if (!own)
			leave_row(trigger, storage);
		return PointerGetDatum(trigger->tg_trigtuple);
	}

	if (!same_key(trigger, Anum_entity_diagram_id) ||
		!same_key(trigger, Anum_entity_id))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the key of entity \"%s\" of diagram \"%s\" cannot be changed",
						SPI_getvalue(trigger->tg_trigtuple, tupdesc,
									 Anum_entity_id),
						SPI_getvalue(trigger->tg_trigtuple, tupdesc,
									 Anum_entity_diagram_id)),
				 errhint("Insert the entity under its new key and delete the old one.")));

	/*
	 * diagsync's own commands carry time and principal along. An edit is
	 * never earlier than the version that it replaces, whatever became of the
	 * clock.
	 */
	values[0] = Int64GetDatum((int64) U64FromFullTransactionId(GetTopFullTransactionId()));
	if (!own)
	{
		check_content(trigger);
		leave_row(trigger, storage);
		values[1] = TimestampTzGetDatum(later_than_old(trigger, tupdesc));
		values[2] = CStringGetTextDatum(principal_current());
		ncolumns = 3;
	}
	stamped = heap_modify_tuple_by_cols(trigger->tg_newtuple, tupdesc,
										ncolumns,
										columns, values, nulls);
	if (!own)
		condition_note_row(trigger, storage, stamped);
	return PointerGetDatum(stamped);
}

/* How the rows of a table are removed instead */
static const char *
instead_of_truncate(Relation rel)
{
	if (storage_is(rel, TABLE_MEMBER))
		return "End memberships with diagsync.remove_member().";
	if (storage_is(rel, TABLE_ACCESS_TOKEN))
		return "End tokens with diagsync.revoke_token().";
	if (storage_is(rel, TABLE_KNOWN_ROLE))
		return "diagsync.prune() drops what nobody needs.";
	if (storage_is(rel, TABLE_SYNC_LOG))
		return "diagsync.prune() drops what is older than diagsync.sync_log_days.";
	return NULL;
}

/*
 * diagsync.refuse_truncate(): BEFORE TRUNCATE, STATEMENT
 */
DIAGSYNC_FUNCTION(diagsync_refuse_truncate)
{
	TriggerData *trigger = check_called(fcinfo, "refuse_truncate");
	Relation	rel = trigger->tg_relation;
	const char *instead = instead_of_truncate(rel);
	StorageType storage;
	StorageTable table;

	if (instead == NULL && !storage_identify(rel, &storage, &table))
		refuse_table(trigger, "refuse_truncate");
	check_timing(trigger, "refuse_truncate", false, true);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("table \"%s.%s\" cannot be truncated",
					get_namespace_name(RelationGetNamespace(rel)),
					RelationGetRelationName(rel)),
			 instead ? 0 :
			 errdetail("Deletions of many diagrams at once could not be captured."),
			 errhint("%s", instead ? instead :
					 "Remove diagrams with diagsync.drop_diagram(), entities with DELETE.")));
	return PointerGetDatum(NULL);	/* keep compiler quiet */
}
