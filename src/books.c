/*
 * books.c
 *	  Triggers of the storage tables: they keep the books of what plain SQL
 *	  writes.
 *
 * BEFORE STATEMENT	 notes that a statement is open (session.c).
 * BEFORE UPDATE ROW stamps revision, time and principal (an inserted row gets
 *					 them from the columns' defaults) and refuses a new key.
 * BEFORE UPDATE and DELETE ROW  notes rows that the statement around this one
 *					 has written.
 * AFTER STATEMENT	 looks up each diagram that the statement touched, once,
 *					 under FOR KEY SHARE and as it is after the wait, so that no
 *					 share, link, unlink, move or drop can slip between a write
 *					 and its books; then
 *					 - local, linked: adds the base rows;
 *					 - shared: adds tombstones, and clears the seen_own that
 *					   this transaction's syncs have recorded for that diagram;
 *					 - deals with replicas, rows that come with a revision of
 *					   another transaction (from a dump): they are no edits, but
 *					   shared ones get this transaction's revision where a link
 *					   would miss them otherwise.
 *
 * Statements of diagsync's own keep their books themselves.
 *
 * May call storage.c, session.c, principal.c, command.c and directory.c.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "command.h"
#include "directory.h"
#include "principal.h"
#include "session.h"
#include "storage.h"

PG_FUNCTION_INFO_V1(diagsync_open_statement);
PG_FUNCTION_INFO_V1(diagsync_stamp_entity);
PG_FUNCTION_INFO_V1(diagsync_keep_books);
PG_FUNCTION_INFO_V1(diagsync_refuse_truncate);

#define BOOKS (COMMAND_EXEMPT | COMMAND_BOOKS)

/* A diagram that a statement touched */
typedef struct Touched
{
	char	   *id;				/* hash key */
	bool		own_rows;		/* some rows are edits of this transaction */
	bool		replicas;		/* some rows came with another's revision */
} Touched;

/* What a statement did, as far as its rows tell */
typedef struct Deed
{
	StorageType storage;
	StorageTable table;
	TriggerEvent event;
	Statement	statement;		/* what was noted since it began */
	bool		timed;			/* an inserted row's time is what its default
								 * gave it */
	int64		own;			/* this transaction's revision */
	int			ntouched;
	Touched   **touched;		/* ascending ids */
	bool		from_future;	/* a revision that this cluster has not given
								 * out yet */
	Datum		linked;			/* text[]: its linked local diagrams */
	int			nlinked;
	Datum		seen;			/* text[]: shared diagrams with replicas, of
								 * which some link has seen something */
	int			nseen;
} Deed;

/*
 * Inserted local rows; $4: the time is not to be relied on.  A base row that
 * exists (the entity was deleted, and is made again) is updated with what it
 * holds: a sync that is about to drop it goes first, comes after, or fails with
 * 40001.
 */
#define BASE_OF_INSERTED \
	"INSERT INTO diagsync_local.base AS b (diagram_id, id)" \
	" SELECT n.diagram_id, n.id FROM new_rows n" \
	" WHERE n.rev" EQ "$1 AND (n.modified_at" EQ "$2 OR $4)" \
	"  AND n.diagram_id" EQ "ANY ($3)" \
	" ON CONFLICT (diagram_id, id) DO UPDATE SET doc = b.doc"

static Command base_of_inserted =
COMMAND(BASE_OF_INSERTED,
		4, INT8OID, TIMESTAMPTZOID, TEXTARRAYOID, BOOLOID);

/* The same, telling which base rows were made */
static Command base_of_inserted_made =
COMMAND(BASE_OF_INSERTED
		" RETURNING b.diagram_id, b.id, b.xmax::pg_catalog.text" EQ "'0'",
		4, INT8OID, TIMESTAMPTZOID, TEXTARRAYOID, BOOLOID);

/*
 * Updated local rows.  The row is locked by its update, and a sync drops a base
 * row only with the entity locked, so one that exists stays.
 */
#define BASE_OF_UPDATED \
	"INSERT INTO diagsync_local.base AS b (diagram_id, id, doc)" \
	" SELECT o.diagram_id, o.id, o.doc FROM old_rows o" \
	" WHERE o.diagram_id" EQ "ANY ($1)"

/* Rows that are left to the books of a statement around this one */
#define NOT_LEFT(diagrams, ids) \
	" AND NOT EXISTS (SELECT FROM unnest(" diagrams ", " ids ") AS s(diagram_id, id)" \
	"  WHERE s.diagram_id" EQ "o.diagram_id AND s.id" EQ "o.id)"

static Command base_of_updated =
COMMAND(BASE_OF_UPDATED " ON CONFLICT (diagram_id, id) DO NOTHING",
		1, TEXTARRAYOID);

static Command base_of_updated_but_left =
COMMAND(BASE_OF_UPDATED NOT_LEFT("$2", "$3")
		" ON CONFLICT (diagram_id, id) DO NOTHING",
		3, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID);

/*
 * Deleted local rows.  Where the id was inserted again within this statement,
 * and the books of that came first ($6, $7), the base row that they made has no
 * document; the deleted version is the base.
 */
static Command base_of_deleted =
COMMAND("INSERT INTO diagsync_local.base AS b (diagram_id, id, doc, changed_at, changed_by)"
		" SELECT o.diagram_id, o.id, o.doc, $2, $3 FROM old_rows o"
		" WHERE o.diagram_id" EQ "ANY ($1)" NOT_LEFT("$4", "$5")
		" ON CONFLICT (diagram_id, id) DO UPDATE SET"
		" changed_at = excluded.changed_at, changed_by = excluded.changed_by,"
		" doc = CASE WHEN b.doc IS NULL AND EXISTS"
		"  (SELECT FROM unnest($6, $7) AS s(diagram_id, id)"
		"    WHERE s.diagram_id" EQ "b.diagram_id AND s.id" EQ "b.id)"
		" THEN excluded.doc ELSE b.doc END",
		7, TEXTARRAYOID, TIMESTAMPTZOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID,
		TEXTARRAYOID, TEXTARRAYOID);

static Command tombstone_of_deleted =
COMMAND("INSERT INTO %1$s.tombstone AS t (diagram_id, id, rev, deleted_at, deleted_by)"
	" SELECT o.diagram_id, o.id, $1, $2, $3 FROM old_rows o"
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

static Command stamp_entities =
COMMAND(STAMP("entity"), 3, INT8OID, INT8OID, TEXTARRAYOID);

static Command stamp_tombstones =
COMMAND(STAMP("tombstone"), 3, INT8OID, INT8OID, TEXTARRAYOID);

/*
 * Check that a function was called as the trigger that it is, on a table of
 * ours; returns which.
 */
static TriggerData *
check_trigger(FunctionCallInfo fcinfo, const char *function, bool row,
			  bool before, StorageType *storage, StorageTable *table)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"diagsync.%s\" was not called by trigger manager",
						function)));
	if (!storage_identify(trigger->tg_relation, storage, table))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"diagsync.%s\" is for the tables of diagsync only",
						function),
				 errdetail("It was called for table \"%s\".",
						   RelationGetRelationName(trigger->tg_relation))));
	if ((TRIGGER_FIRED_FOR_ROW(trigger->tg_event) != 0) != row ||
		(TRIGGER_FIRED_BEFORE(trigger->tg_event) != 0) != before)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"diagsync.%s\" must be fired %s, for each %s",
						function, before ? "BEFORE" : "AFTER",
						row ? "ROW" : "STATEMENT")));
	return trigger;
}

/*
 * diagsync.open_statement(): BEFORE INSERT, UPDATE or DELETE, STATEMENT
 */
Datum
diagsync_open_statement(PG_FUNCTION_ARGS)
{
	StorageType storage;
	StorageTable table;
	TriggerData *trigger = check_trigger(fcinfo, "open_statement", false, true,
										 &storage, &table);

	session_open_statement(RelationGetRelid(trigger->tg_relation),
						   trigger->tg_event);
	return PointerGetDatum(NULL);
}

static bool
same_key(TriggerData *trigger, int attno)
{
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);
	bool		isnull;
	Datum		old = heap_getattr(trigger->tg_trigtuple, attno, tupdesc, &isnull);
	Datum		new = heap_getattr(trigger->tg_newtuple, attno, tupdesc, &isnull);

	/* Not null any more than the column is: constraints come after triggers. */
	return !isnull && DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID,
														   old, new));
}

/*
 * A trigger of an application may edit a row again that the statement around it
 * has just written, and its books come first.  The base is the version from
 * before that statement, which keeps the books of this row.
 */
static void
leave_row(TriggerData *trigger, StorageType storage)
{
	Oid			relid = RelationGetRelid(trigger->tg_relation);
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);
	HeapTuple	old = trigger->tg_trigtuple;

	if (storage == STORAGE_LOCAL && session_is_nested(relid) &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(old->t_data)) &&
		session_is_written_within(relid, HeapTupleHeaderGetCmin(old->t_data)))
		session_leave_row(relid, trigger->tg_event,
						  SPI_getvalue(old, tupdesc, Anum_entity_diagram_id),
						  SPI_getvalue(old, tupdesc, Anum_entity_id));
}

/*
 * diagsync.stamp_entity(): BEFORE UPDATE or DELETE, ROW
 *
 * Its trigger's name makes it fire after those of applications, so that what it
 * stamps and checks is what is stored.
 */
Datum
diagsync_stamp_entity(PG_FUNCTION_ARGS)
{
	StorageType storage;
	StorageTable table;
	TriggerData *trigger = check_trigger(fcinfo, "stamp_entity", true, true,
										 &storage, &table);
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);
	int			columns[3] = {Anum_entity_rev, Anum_entity_modified_at,
	Anum_entity_modified_by};
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	int			ncolumns = 1;

	if (table != TABLE_ENTITY || TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"diagsync.%s\" must be fired for UPDATE or DELETE of entities",
						"stamp_entity")));
	if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
	{
		if (!session_is_exempt())
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

	/* diagsync's own statements carry time and principal along. */
	values[0] = Int64GetDatum((int64) U64FromFullTransactionId(GetTopFullTransactionId()));
	if (!session_is_exempt())
	{
		leave_row(trigger, storage);
		values[1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
		values[2] = CStringGetTextDatum(principal_current());
		ncolumns = 3;
	}
	return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_newtuple,
													 tupdesc, ncolumns, columns,
													 values, nulls));
}

static uint32
hash_id(const void *key, Size keysize)
{
	const char *id = *(char *const *) key;

	return hash_bytes((const unsigned char *) id, strlen(id));
}

static int
match_id(const void *a, const void *b, Size keysize)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static int
compare_touched(const void *a, const void *b)
{
	return strcmp((*(Touched *const *) a)->id, (*(Touched *const *) b)->id);
}

/*
 * Look through the rows of a statement: which diagrams they belong to, and for
 * inserted ones whether they are edits or replicas.
 */
static void
survey(Deed *deed, TriggerData *trigger)
{
	bool		insert = TRIGGER_FIRED_BY_INSERT(deed->event);
	Tuplestorestate *rows = insert ? trigger->tg_newtable : trigger->tg_oldtable;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
													&TTSOpsMinimalTuple);
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	int64		next = (int64) U64FromFullTransactionId(ReadNextFullTransactionId());
	HTAB	   *table = NULL;
	HASHCTL		ctl;
	Touched    *last = NULL;
	HASH_SEQ_STATUS seq;
	Touched    *entry;
	int			n = 0;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(char *);
	ctl.entrysize = sizeof(Touched);
	ctl.hash = hash_id;
	ctl.match = match_id;
	ctl.hcxt = CurrentMemoryContext;
	table = hash_create("diagsync touched diagrams", 16, &ctl,
						HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);

	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		bool		isnull;
		text	   *id = DatumGetTextPP(slot_getattr(slot,
													 Anum_entity_diagram_id,
													 &isnull));

		CHECK_FOR_INTERRUPTS();
		if (last == NULL || strlen(last->id) != VARSIZE_ANY_EXHDR(id) ||
			memcmp(last->id, VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id)) != 0)
		{
			char	   *key = text_to_cstring(id);
			bool		found;

			last = hash_search(table, &key, HASH_ENTER, &found);
			if (!found)
			{
				last->own_rows = last->replicas = false;
				n++;
			}
			else
				pfree(key);
		}
		if (insert)
		{
			int			attno = deed->table == TABLE_ENTITY ?
				Anum_entity_rev : Anum_tombstone_rev;
			int64		rev = DatumGetInt64(slot_getattr(slot, attno, &isnull));
			bool		own = deed->table == TABLE_ENTITY && rev == deed->own &&
				(!deed->timed ||
				 DatumGetTimestampTz(slot_getattr(slot, Anum_entity_modified_at,
												  &isnull)) == now);

			if (own)
				last->own_rows = true;
			else
				last->replicas = true;
			if (rev >= next)
				deed->from_future = true;
		}
		else
			last->own_rows = true;
	}
	ExecDropSingleTupleTableSlot(slot);

	deed->touched = palloc(Max(n, 1) * sizeof(Touched *));
	hash_seq_init(&seq, table);
	while ((entry = hash_seq_search(&seq)) != NULL)
		deed->touched[deed->ntouched++] = entry;
	qsort(deed->touched, deed->ntouched, sizeof(Touched *), compare_touched);
}

/* May the caller do what only the tables' owner may? */
static bool
is_owner(void)
{
	return has_privs_of_role(principal_role(), storage_owner());
}

/*
 * Lock the diagrams that a statement touched and check that it may do so.
 */
static void
look_up_diagrams(Deed *deed)
{
	Datum	   *linked = palloc(Max(deed->ntouched, 1) * sizeof(Datum));
	Datum	   *seen = palloc(Max(deed->ntouched, 1) * sizeof(Datum));

	for (int i = 0; i < deed->ntouched; i++)
	{
		Touched    *touched = deed->touched[i];
		bool		shared_replicas = touched->replicas &&
			deed->storage != STORAGE_LOCAL;
		Diagram    *diagram;

		/*
		 * While a replica is not committed, no link may come to have seen the
		 * revision that it keeps; nor afterwards one with an older snapshot.
		 */
		diagram = directory_lock(touched->id, shared_replicas ?
								 LockTupleExclusive : LockTupleKeyShare,
								 LOCK_LATEST);

		if (diagram == NULL)
		{
			/*
			 * A restore may bring the rows of a diagram before its entry, and
			 * rows that were left without one have to be deletable.
			 */
			if (is_owner() && (!touched->own_rows ||
							   TRIGGER_FIRED_BY_DELETE(deed->event)))
				continue;
			directory_need(diagram, touched->id);
		}
		if (diagram->storage != deed->storage)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("diagram \"%s\" does not keep its entities in schema \"%s\"",
							diagram->id, storage_schema(deed->storage)),
					 errdetail("Its storage type is %s.",
							   diagram->legacy ? "not set" :
							   storage_name(diagram->storage)),
					 errhint("Use table \"%s.entity\", or diagsync.put() and diagsync.remove().",
							 storage_schema(diagram->storage))));
		if (diagram->public_copy_id != NULL)
		{
			if (touched->replicas && !is_owner())
				ereport(ERROR,
						(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						 errmsg("rows of another transaction's revision cannot be written into linked diagram \"%s\"",
								diagram->id),
						 errhint("Leave the columns rev, modified_at and modified_by to their defaults.")));
			linked[deed->nlinked++] = diagram->key;
		}
		if (shared_replicas)
		{
			if (directory_is_seen(diagram->id))
				seen[deed->nseen++] = diagram->key;
			else
				directory_touch(diagram->id);
		}
	}
	deed->seen = PointerGetDatum(construct_array(seen, deed->nseen, TEXTOID,
												 -1, false, TYPALIGN_INT));
	deed->linked = PointerGetDatum(construct_array(linked, deed->nlinked,
												   TEXTOID, -1, false,
												   TYPALIGN_INT));
}

static Datum
to_text_array(char **strings, int n)
{
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		values[i] = CStringGetTextDatum(strings[i]);
	return PointerGetDatum(construct_array(values, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/*
 * Base rows of inserted entities; where a statement is open that may have
 * deleted them before, it must know which were made here.
 */
static void
keep_base_of_inserted(Deed *deed, Oid relid)
{
	bool		tell = session_is_deleting(relid);
	Datum		values[4];
	uint64		n;

	values[0] = Int64GetDatum(deed->own);
	values[1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	values[2] = deed->linked;
	values[3] = BoolGetDatum(!deed->timed);
	n = command_run(tell ? &base_of_inserted_made : &base_of_inserted,
					STORAGE_LOCAL, values, NULL, BOOKS);
	for (uint64 i = 0; tell && i < n; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	tupdesc = SPI_tuptable->tupdesc;
		bool		isnull;

		if (DatumGetBool(SPI_getbinval(row, tupdesc, 3, &isnull)))
			session_note_made(relid, SPI_getvalue(row, tupdesc, 1),
							  SPI_getvalue(row, tupdesc, 2));
	}
}

/* The books of a local table */
static void
keep_local_books(Deed *deed, Oid relid)
{
	Keys	   *left = &deed->statement.left;
	Keys	   *made = &deed->statement.made;
	Datum		values[7];

	if (deed->nlinked == 0)
		return;

	if (TRIGGER_FIRED_BY_INSERT(deed->event))
		keep_base_of_inserted(deed, relid);
	else if (TRIGGER_FIRED_BY_UPDATE(deed->event))
	{
		values[0] = deed->linked;
		if (left->n > 0)
		{
			values[1] = to_text_array(left->diagrams, left->n);
			values[2] = to_text_array(left->ids, left->n);
		}
		(void) command_run(left->n > 0 ? &base_of_updated_but_left :
						   &base_of_updated, STORAGE_LOCAL, values, NULL, BOOKS);
	}
	else
	{
		values[0] = deed->linked;
		values[1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
		values[2] = CStringGetTextDatum(principal_current());
		values[3] = to_text_array(left->diagrams, left->n);
		values[4] = to_text_array(left->ids, left->n);
		values[5] = to_text_array(made->diagrams, made->n);
		values[6] = to_text_array(made->ids, made->n);
		(void) command_run(&base_of_deleted, STORAGE_LOCAL, values, NULL, BOOKS);
	}
}

/* The books of a shared table */
static void
keep_shared_books(Deed *deed)
{
	Datum		values[3];

	session_note_shared_edit();
	for (int i = 0; i < deed->ntouched; i++)
		directory_forget_own(deed->touched[i]->id, NULL);

	values[0] = Int64GetDatum(deed->own);
	if (TRIGGER_FIRED_BY_DELETE(deed->event))
	{
		values[1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
		values[2] = CStringGetTextDatum(principal_current());
		(void) command_run(&tombstone_of_deleted, deed->storage, values, NULL,
						   BOOKS);
	}
}

/* The books of both: replicas that must not keep their revision */
static void
stamp_replicas(Deed *deed)
{
	Datum		values[3];

	if (!deed->from_future && deed->nseen == 0)
		return;
	values[0] = Int64GetDatum(deed->own);
	values[1] = Int64GetDatum((int64) U64FromFullTransactionId(ReadNextFullTransactionId()) - 1);
	values[2] = deed->seen;
	if (deed->table == TABLE_ENTITY)
		(void) command_run(&stamp_entities, deed->storage, values, NULL,
						   COMMAND_EXEMPT | COMMAND_ENTITIES);
	else
		(void) command_run(&stamp_tombstones, deed->storage, values, NULL, BOOKS);
}

/*
 * diagsync.keep_books(): AFTER INSERT, UPDATE or DELETE, STATEMENT, with a
 * transition table new_rows (INSERT) or old_rows (UPDATE, DELETE)
 */
Datum
diagsync_keep_books(PG_FUNCTION_ARGS)
{
	Deed		deed = {0};
	TriggerData *trigger = check_trigger(fcinfo, "keep_books", false, false,
										 &deed.storage, &deed.table);
	Oid			relid = RelationGetRelid(trigger->tg_relation);

	deed.event = trigger->tg_event;
	if ((TRIGGER_FIRED_BY_INSERT(deed.event) ?
		 trigger->tg_newtable : trigger->tg_oldtable) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"diagsync.%s\" needs a transition table",
						"keep_books")));
	if (session_is_exempt())
		return PointerGetDatum(NULL);

	deed.statement = session_close_statement(relid, trigger->tg_event);
	deed.timed = !trigger->tg_relation->trigdesc->trig_insert_before_row;
	deed.own = (int64) U64FromFullTransactionId(GetTopFullTransactionId());

	/* The same command may have made the diagram, too. */
	CommandCounterIncrement();
	SPI_connect();
	survey(&deed, trigger);
	if (deed.ntouched > 0)
	{
		look_up_diagrams(&deed);
		if (SPI_register_trigger_data(trigger) != SPI_OK_TD_REGISTER)
			elog(ERROR, "SPI_register_trigger_data failed");
		if (deed.storage == STORAGE_LOCAL)
			keep_local_books(&deed, relid);
		else
			keep_shared_books(&deed);
		stamp_replicas(&deed);
	}
	SPI_finish();
	return PointerGetDatum(NULL);
}

/*
 * diagsync.refuse_truncate(): BEFORE TRUNCATE, STATEMENT
 */
Datum
diagsync_refuse_truncate(PG_FUNCTION_ARGS)
{
	StorageType storage;
	StorageTable table;
	TriggerData *trigger = check_trigger(fcinfo, "refuse_truncate", false, true,
										 &storage, &table);

	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("table \"%s.%s\" cannot be truncated",
					storage_schema(storage),
					RelationGetRelationName(trigger->tg_relation)),
			 errdetail("Deletions of many diagrams at once could not be noted."),
			 errhint("Remove diagrams with diagsync.drop_diagram(), entities with DELETE.")));
	return PointerGetDatum(NULL);	/* keep compiler quiet */
}
