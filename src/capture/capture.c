/*
 * capture.c
 *	  The trigger capture_changes(): what plain SQL wrote, AFTER STATEMENT.
 *
 * It looks up each diagram that the statement touched, once, with the lock on
 * it shared and as it is after the wait, so that no share, link, unlink, move
 * or drop can slip between a write and its records; then
 * - local, linked: it adds the base rows;
 * - shared: it adds tombstones, and clears the seen_own that this
 *	 transaction's syncs have recorded for that diagram;
 * - rows that come with a revision of another transaction are edits where the
 *	 local diagram's link is established, or one that is leads to the shared
 *	 diagram: they get this transaction's revision. Elsewhere they are restored
 *	 rows, no edits; nor are other rows of the same statement that have this
 *	 transaction's revision by chance.
 *
 * What diagsync's own commands write is no edit: they record their changes
 * themselves (ownrows.c).  What else their statements write, by foreign keys,
 * is one (edits.c).
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "capture/bulkbase.h"
#include "capture/edits.h"
#include "capture/edittime.h"
#include "capture/statementrows.h"
#include "capture/trigger.h"
#include "directory/directory.h"
#include "directory/quota.h"
#include "http/condition.h"
#include "principal/principal.h"
#include "server/sqlfunction.h"
#include "statement/capturecheck.h"
#include "statement/ownersql.h"
#include "statement/ownrows.h"
#include "statement/statement.h"
#include "table/storage.h"
#include "tracking/mark.h"

/* Of so few updated rows it is looked up first whether they have base rows */
#define FEW_ROWS 10

/* From so many rows on, of so few diagrams, base rows are made in bulk */
#define BULK_ROWS 100
#define BULK_DIAGRAMS 10

/*
 * Inserted local rows of diagrams $1, in which they are edits.  A base row
 * that exists (the entity was deleted, and is made again) is updated with what
 * it holds: a sync that is about to drop it goes first, comes after, or fails
 * with 40001. Nobody has deleted the entity any more; and where nobody had,
 * but it was missing ("unknown"), it is there again.
 */
#define BASE_OF_INSERTED \
	"INSERT INTO diagsync_local.base AS b (diagram_id, id)" \
	" SELECT n.diagram_id, n.id FROM new_rows n" \
	" WHERE n.diagram_id" EQ "ANY ($1)" \
	" ON CONFLICT (diagram_id, id) DO UPDATE SET doc = b.doc, accepted = NULL," \
	"  changed_at = NULL, changed_by = NULL," \
	"  unknown = CASE WHEN b.doc IS NULL OR b.changed_at IS NOT NULL THEN b.unknown END"

static OwnerSql base_of_inserted = OWNER_SQL(BASE_OF_INSERTED, 1,
											 TEXTARRAYOID);

/* The same, telling which base rows were made */
static OwnerSql base_of_inserted_made =
OWNER_SQL(BASE_OF_INSERTED
		  " RETURNING b.diagram_id, b.id, b.xmax::pg_catalog.text" EQ "'0'",
		  1, TEXTARRAYOID);

/*
 * Updated local rows.  The row is locked by its update, and a sync drops a
 * base row only with the entity locked, so one that exists stays.
 */
#define BASE_OF_UPDATED \
	"INSERT INTO diagsync_local.base AS b (diagram_id, id, doc)" \
	" SELECT o.diagram_id, o.id, o.doc FROM old_rows o" \
	" WHERE o.diagram_id" EQ "ANY ($1)"

/* Rows that are left to the records of a statement around this one */
#define NOT_LEFT(diagrams, ids) \
	" AND NOT EXISTS (SELECT FROM unnest(" diagrams ", " ids ") AS s(diagram_id, id)" \
	"  WHERE s.diagram_id" EQ "o.diagram_id AND s.id" EQ "o.id)"

static OwnerSql base_of_updated =
OWNER_SQL(BASE_OF_UPDATED " ON CONFLICT (diagram_id, id) DO NOTHING",
		  1, TEXTARRAYOID);

/* Base rows without a document that were made within this statement */
#define MADE(diagrams, ids) \
	" b.doc IS NULL AND EXISTS" \
	"  (SELECT FROM unnest(" diagrams ", " ids ") AS s(diagram_id, id)" \
	"    WHERE s.diagram_id" EQ "b.diagram_id AND s.id" EQ "b.id)"

/*
 * The same where triggers have edited within this statement: a row may have
 * been deleted, or deleted and inserted again, after it was updated.
 */
static OwnerSql base_of_updated_within =
OWNER_SQL("INSERT INTO diagsync_local.base AS b (diagram_id, id, doc, changed_at, changed_by)"
		  " SELECT o.diagram_id, o.id, o.doc,"
		  "  CASE WHEN e.id IS NULL THEN GREATEST($6, o.modified_at) END,"
		  "  CASE WHEN e.id IS NULL THEN $7 END"
		  " FROM old_rows o LEFT JOIN diagsync_local.entity e"
		  "  ON e.diagram_id" EQ "o.diagram_id AND e.id" EQ "o.id"
		  " WHERE o.diagram_id" EQ "ANY ($1)" NOT_LEFT("$2", "$3")
		  " ON CONFLICT (diagram_id, id) DO UPDATE SET"
		  "  doc = CASE WHEN" MADE("$4", "$5") " THEN excluded.doc ELSE b.doc END,"
		  "  changed_at = COALESCE(excluded.changed_at, b.changed_at),"
		  "  changed_by = COALESCE(excluded.changed_by, b.changed_by)",
		  7, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
		  TEXTARRAYOID,
		  TIMESTAMPTZOID, TEXTOID);

/*
 * Deleted local rows.  Where the id was inserted again within this statement,
 * and the records of that came first ($6, $7), the base row that they made has
 * no document; the deleted version is the base, and the entity is there.
 */
static OwnerSql base_of_deleted =
OWNER_SQL("INSERT INTO diagsync_local.base AS b (diagram_id, id, doc, changed_at, changed_by)"
		  " SELECT o.diagram_id, o.id, o.doc, GREATEST($2, o.modified_at), $3"
		  " FROM old_rows o"
		  " WHERE o.diagram_id" EQ "ANY ($1)" NOT_LEFT("$4", "$5")
		  " ON CONFLICT (diagram_id, id) DO UPDATE SET"
		  " changed_at = CASE WHEN" MADE("$6", "$7") " THEN NULL ELSE excluded.changed_at END,"
		  " changed_by = CASE WHEN" MADE("$6", "$7") " THEN NULL ELSE excluded.changed_by END,"
		  " accepted = NULL,"
		  " doc = CASE WHEN" MADE("$6", "$7") " THEN excluded.doc ELSE b.doc END",
		  7, TEXTARRAYOID, TIMESTAMPTZOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID,
		  TEXTARRAYOID, TEXTARRAYOID);

/*
 * Those that are left to the records of a statement around this one, which may
 * not have written them itself: then they have base rows.
 */
static OwnerSql deleted_of_left =
OWNER_SQL("UPDATE diagsync_local.base AS b"
		  " SET changed_at = $3, changed_by = $4, accepted = NULL"
		  " FROM unnest($1, $2) AS s(diagram_id, id)"
		  " WHERE b.diagram_id" EQ "s.diagram_id AND b.id" EQ "s.id",
		  4, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID, TEXTOID);

static OwnerSql tombstone_of_deleted =
OWNER_SQL("INSERT INTO %1$s.tombstone AS t (diagram_id, id, rev, deleted_at, deleted_by)"
		  " SELECT o.diagram_id, o.id, $1, GREATEST($2, o.modified_at), $3"
		  " FROM old_rows o"
		  " ON CONFLICT (diagram_id, id) DO UPDATE SET rev = excluded.rev,"
		  " deleted_at = excluded.deleted_at, deleted_by = excluded.deleted_by",
		  3, INT8OID, TIMESTAMPTZOID, TEXTOID);

/*
 * Rows that came with another revision get $1: those of diagrams $3, and those
 * with revisions above $2, the greatest that was given out.
 */
#define STAMP(table) \
	"UPDATE %1$s." table " AS t SET rev = $1 FROM new_rows n" \
	" WHERE t.diagram_id" EQ "n.diagram_id AND t.id" EQ "n.id AND n.rev" NE "$1" \
	" AND (n.rev" GT "$2 OR n.diagram_id" EQ "ANY ($3))"

static OwnerSql stamp_entities =
OWNER_SQL(STAMP("entity"), 3, INT8OID, INT8OID, TEXTARRAYOID);

static OwnerSql stamp_tombstones =
OWNER_SQL(STAMP("tombstone"), 3, INT8OID, INT8OID, TEXTARRAYOID);

/* May the caller do what only the tables' owner may? */
static bool
is_owner(void)
{
	return has_privs_of_role(principal_role(), storage_owner());
}

static Datum
to_array(Datum *texts, int n)
{
	return PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/* Note a linked local diagram; the id outlives what was read of it. */
static void
note_linked(StatementRows *capture, char *id, const Diagram *diagram)
{
	bool		here = directory_link_is_established(diagram);

	if (capture->restores && !here && !is_owner())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("rows of another transaction's revision cannot be written into linked diagram \"%s\"",
						diagram->id),
				 errhint("Leave the columns rev, modified_at and modified_by to their defaults.")));
	capture->linked_ids[capture->nlinked] = id;
	capture->linked_here[capture->nlinked++] = here;
}

/*
 * Lock the diagrams that a statement touched and check that it may do so.
 */
static void
look_up_diagrams(StatementRows *capture)
{
	Datum	   *linked = palloc(Max(capture->ntouched, 1) * sizeof(Datum));
	Datum	   *here = palloc(Max(capture->ntouched, 1) * sizeof(Datum));
	Datum	   *stamped = palloc(Max(capture->ntouched, 1) * sizeof(Datum));
	bool		restricted = !access_is_unrestricted(GetUserId());
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "diagsync touched diagram",
												  ALLOCSET_SMALL_SIZES);
	int			nhere = 0;

	capture->linked_ids = palloc(Max(capture->ntouched, 1) * sizeof(char *));
	capture->linked_here = palloc(Max(capture->ntouched, 1) * sizeof(bool));
	for (int i = 0; i < capture->ntouched; i++)
	{
		Touched    *touched = capture->touched[i];
		Datum		key;
		Diagram    *diagram;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(caller);
		key = CStringGetTextDatum(touched->id);
		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		diagram = statementrows_lock(capture, touched);

		if (diagram == NULL)
		{
			/*
			 * A restore may bring the rows of a diagram before its entry, and
			 * rows that were left without one have to be deletable.
			 */
			if (is_owner() && (capture->restores ||
							   TRIGGER_FIRED_BY_DELETE(capture->event)))
				continue;
			diagram = directory_need(diagram, touched->id);
		}

		/* The policies have gone by what the statement's snapshot shows. */
		if (restricted)
			directory_check_access(diagram, ACCESS_WRITER);
		if (diagram->storage != capture->storage)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("diagram \"%s\" does not keep its entities in schema \"%s\"",
							diagram->id, storage_schema(capture->storage)),
					 errdetail("Its storage type is %s.",
							   diagram->legacy ? "not set" :
							   storage_name(diagram->storage)),
					 errhint("Use table \"%s.entity\", or diagsync.put() and diagsync.remove().",
							 storage_schema(diagram->storage))));
		if (capture->limited && capture->table == TABLE_ENTITY)
			statementrows_check_quota(capture, touched, diagram);
		if (diagram->public_copy_id != NULL)
		{
			note_linked(capture, touched->id, diagram);
			linked[capture->nlinked - 1] = key;
			if (capture->linked_here[capture->nlinked - 1])
				here[nhere++] = key;
		}
		if (touched->edits)
			stamped[capture->nstamped++] = key;
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	capture->linked = to_array(linked, capture->nlinked);
	capture->here = to_array(here, nhere);
	capture->stamped = to_array(stamped, capture->nstamped);
}

static Datum
to_text_array(char **strings, int n)
{
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		values[i] = CStringGetTextDatum(strings[i]);
	return to_array(values, n);
}

/* The place of a row's diagram among the linked ones, -1 where it is none */
static int
linked_place(const StatementRows *capture, TupleTableSlot *row)
{
	bool		isnull;
	text	   *diagram = DatumGetTextPP(slot_getattr(row,
													  Anum_entity_diagram_id,
													  &isnull));

	for (int i = 0; i < capture->nlinked; i++)
	{
		const char *linked = capture->linked_ids[i];

		if (strlen(linked) == VARSIZE_ANY_EXHDR(diagram) &&
			memcmp(linked, VARDATA_ANY(diagram),
				   VARSIZE_ANY_EXHDR(diagram)) == 0)
			return i;
	}
	return -1;
}

/* Does a row belong to a linked diagram? */
static bool
is_linked(TupleTableSlot *row, void *arg)
{
	return linked_place(arg, row) >= 0;
}

/* Is an inserted row an edit of a linked diagram? */
static bool
is_linked_edit(TupleTableSlot *row, void *arg)
{
	const StatementRows *capture = arg;
	int			place = linked_place(capture, row);

	return place >= 0 && (capture->linked_here[place] || !capture->restores);
}

/*
 * Do all updated entities have base rows already, as when they are edited
 * again? The rows are locked by their update, and a sync drops a base row only
 * with the entity locked, so one that exists stays.
 */
static bool
have_all_bases(StatementRows *capture, TriggerData *trigger)
{
	TupleTableSlot *row = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
												   &TTSOpsMinimalTuple);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	bool		all = true;
	bool		isnull;
	Probe		base;

	probe_open(&base, STORAGE_LOCAL, TABLE_BASE, AccessShareLock);
	probe_begin(&base, snapshot);
	tuplestore_rescan(trigger->tg_oldtable);
	while (all && tuplestore_gettupleslot(trigger->tg_oldtable, true, false,
										  row))
	{
		CHECK_FOR_INTERRUPTS();
		all = linked_place(capture, row) < 0 ||
			probe_find(&base, slot_getattr(row, Anum_entity_diagram_id,
										   &isnull),
					   slot_getattr(row, Anum_entity_id, &isnull));
	}
	probe_close(&base);
	UnregisterSnapshot(snapshot);
	ExecDropSingleTupleTableSlot(row);
	return all;
}

/* Base rows of many inserted entities at once, unless one of them has one. */
static void
keep_base_of_many(StatementRows *capture, TriggerData *trigger)
{
	if (capture->storage == STORAGE_LOCAL && TRIGGER_FIRED_BY_INSERT(capture->event) &&
		capture->rows >= BULK_ROWS && capture->nlinked > 0 && capture->nlinked <= BULK_DIAGRAMS &&
		!statement_is_changing(RelationGetRelid(trigger->tg_relation)))
		capture->all_new = bulkbase_insert(trigger, is_linked_edit, capture);
}

/*
 * Base rows of inserted entities; where a statement is open that may have
 * deleted them before, it must know which were made here.
 */
static void
keep_base_of_inserted(StatementRows *capture, TriggerData *trigger)
{
	Oid			relid = RelationGetRelid(trigger->tg_relation);
	bool		tell = statement_is_changing(relid);
	Datum		values[1];
	uint64		n;

	if (capture->all_new)
		return;
	values[0] = capture->restores ? capture->here : capture->linked;
	n = ownersql_run(tell ? &base_of_inserted_made : &base_of_inserted,
					 STORAGE_LOCAL, values, NULL, capture->records);
	for (uint64 i = 0; tell && i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	tupdesc = SPI_tuptable->tupdesc;
		bool		isnull;

		if (DatumGetBool(SPI_getbinval(row, tupdesc, 3, &isnull)))
			statement_note_made(relid, SPI_getvalue(row, tupdesc, 1),
								SPI_getvalue(row, tupdesc, 2));
	}
}

static void
keep_base_of_updated(StatementRows *capture, TriggerData *trigger)
{
	const Keys *left = &capture->statement.left;
	const Keys *made = &capture->statement.made;
	bool		within = left->n > 0 || made->n > 0 ||
		capture->statement.deleted_within;
	Datum		values[7];

	/* Under an older snapshot SQL says 40001 where one has come since. */
	if (!within && capture->rows <= FEW_ROWS && !IsolationUsesXactSnapshot() &&
		have_all_bases(capture, trigger))
		return;
	values[0] = capture->linked;
	if (within)
	{
		values[1] = to_text_array(left->diagrams, left->n);
		values[2] = to_text_array(left->ids, left->n);
		values[3] = to_text_array(made->diagrams, made->n);
		values[4] = to_text_array(made->ids, made->n);
		values[5] = TimestampTzGetDatum(capture->statement.at);
		values[6] = CStringGetTextDatum(principal_current());
	}
	(void) ownersql_run(within ? &base_of_updated_within : &base_of_updated,
						STORAGE_LOCAL, values, NULL, capture->records);
}

static void
keep_base_of_deleted(StatementRows *capture)
{
	const Keys *left = &capture->statement.left;
	const Keys *made = &capture->statement.made;
	Datum		values[7];
	Datum		values_of_left[4];

	values[0] = capture->linked;
	values[1] = TimestampTzGetDatum(capture->statement.at);
	values[2] = CStringGetTextDatum(principal_current());
	values[3] = to_text_array(left->diagrams, left->n);
	values[4] = to_text_array(left->ids, left->n);
	values[5] = to_text_array(made->diagrams, made->n);
	values[6] = to_text_array(made->ids, made->n);
	(void) ownersql_run(&base_of_deleted, STORAGE_LOCAL, values, NULL,
						capture->records);
	if (left->n == 0)
		return;
	values_of_left[0] = values[3];
	values_of_left[1] = values[4];
	values_of_left[2] = values[1];
	values_of_left[3] = values[2];
	(void) ownersql_run(&deleted_of_left, STORAGE_LOCAL, values_of_left, NULL,
						capture->records);
}

/* How what the records need is written to a table of theirs */
static int
records_flags(StorageType storage, StorageTable table)
{
	return OWNER_SQL_EXEMPT | (capturecheck_is_plain(storage,
													 table) ? OWNER_SQL_RECORDS : 0);
}

/* The records of a local table */
static void
keep_local_books(StatementRows *capture, TriggerData *trigger)
{
	bool		insert = TRIGGER_FIRED_BY_INSERT(capture->event);

	if (capture->nlinked == 0)
		return;

	capture->records = records_flags(STORAGE_LOCAL, TABLE_BASE);
	if (insert)
		keep_base_of_inserted(capture, trigger);
	else if (TRIGGER_FIRED_BY_UPDATE(capture->event))
		keep_base_of_updated(capture, trigger);
	else
		keep_base_of_deleted(capture);
	if (!(capture->records & OWNER_SQL_RECORDS))
		capturecheck_rows(STORAGE_LOCAL, TABLE_BASE, trigger,
						  insert ? is_linked_edit : is_linked, capture,
						  &capture->statement.left);
}

/* The records of a shared table */
static void
keep_shared_books(StatementRows *capture)
{
	Datum		values[3];

	statement_note_shared_edit();
	for (int i = 0; i < capture->ntouched; i++)
	{
		CHECK_FOR_INTERRUPTS();
		directory_forget_own(capture->touched[i]->id, NULL);
	}
	if (!TRIGGER_FIRED_BY_DELETE(capture->event))
		return;

	values[0] = Int64GetDatum(capture->own);
	values[1] = TimestampTzGetDatum(capture->statement.at);
	values[2] = CStringGetTextDatum(principal_current());
	if (ownersql_run(&tombstone_of_deleted, capture->storage, values, NULL,
					 records_flags(capture->storage, TABLE_TOMBSTONE)) !=
		(uint64) capture->rows)
		capturecheck_refuse(capture->storage, TABLE_TOMBSTONE,
							capture->touched[0]->id);
}

/*
 * Rows that came with another revision, and must not keep it: edits, and what
 * lies in this cluster's future.
 */
static void
stamp_rows(StatementRows *capture)
{
	Datum		values[3];

	if (!capture->from_future && capture->nstamped == 0)
		return;
	values[0] = Int64GetDatum(capture->own);
	values[1] = Int64GetDatum((int64) U64FromFullTransactionId(ReadNextFullTransactionId()) - 1);
	values[2] = capture->stamped;
	if (capture->table == TABLE_ENTITY)
		(void) ownersql_run(&stamp_entities, capture->storage, values, NULL,
							OWNER_SQL_EXEMPT);
	else
		(void) ownersql_run(&stamp_tombstones, capture->storage, values, NULL,
							OWNER_SQL_EXEMPT);
}

/*
 * diagsync.capture_changes(): AFTER INSERT, UPDATE or DELETE, STATEMENT, with
 * a transition table new_rows (INSERT) or old_rows (UPDATE, DELETE)
 */
DIAGSYNC_FUNCTION(diagsync_capture_changes)
{
	StatementRows capture = {0};
	TriggerData *trigger = trigger_check(fcinfo, "capture_changes", false, false,
										 &capture.storage, &capture.table);
	TriggerData *edits = trigger;
	Oid			relid = RelationGetRelid(trigger->tg_relation);

	capture.event = trigger->tg_event;
	if ((TRIGGER_FIRED_BY_INSERT(capture.event) ?
		 trigger->tg_newtable : trigger->tg_oldtable) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"diagsync.%s\" needs a transition table",
						"capture_changes")));
	if (capture.table != TABLE_ENTITY)
	{
		if (ownrows_find(relid, trigger->tg_event) != NULL)
			return PointerGetDatum(NULL);
	}
	else
	{
		condition_check_statement(trigger, capture.storage);
		if (!statement_close(relid, trigger->tg_event, &capture.statement))
			trigger_refuse_unopened(trigger);
		edits = edits_of(trigger, &capture.statement);
		if (edits == NULL)
		{
			statement_free(&capture.statement);
			return PointerGetDatum(NULL);
		}
	}
	capture.limited = quota_applies();
	capture.own = (int64) U64FromFullTransactionId(GetTopFullTransactionId());

	/* The same command may have made the diagram, too. */
	CommandCounterIncrement();
	SPI_connect();
	statementrows_collect(&capture, edits);
	if (capture.ntouched > 0)
	{
		look_up_diagrams(&capture);
		statementrows_check_edits(&capture, trigger);
		if (SPI_register_trigger_data(edits) != SPI_OK_TD_REGISTER)
			elog(ERROR, "SPI_register_trigger_data failed");
		keep_base_of_many(&capture, edits);
		stamp_rows(&capture);
		edittime_catch_up(&capture, edits);
		if (capture.storage == STORAGE_LOCAL)
			keep_local_books(&capture, edits);
		else
			keep_shared_books(&capture);
	}
	SPI_finish();
	edits_end(edits, trigger);
	statement_free(&capture.statement);
	return PointerGetDatum(NULL);
}
