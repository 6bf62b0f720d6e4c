/*
 * diagram.c
 *	  Entries of the directory made, removed and moved: create_diagram(),
 *	  drop_diagram(), set_storage_type(), set_merge_policy(); what it says of
 *	  them: merge_policy(), owner(); and the trigger that keeps plain SQL
 *	  from doing it halfway.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "directory/directory.h"
#include "directory/linkwalk.h"
#include "directory/quota.h"
#include "directory/ratelimit.h"
#include "http/routes.h"
#include "merge/policy.h"
#include "server/sqlfunction.h"
#include "server/textarg.h"
#include "statement/ownersql.h"
#include "statement/ownrows.h"
#include "statement/statement.h"
#include "tracking/fullcompare.h"

#define OWN_WORK (OWNER_SQL_EXEMPT | OWNER_SQL_FRESH)

static OwnerSql delete_entities =
OWNER_SQL("DELETE FROM %1$s.entity WHERE diagram_id" EQ "$1",
		  1, TEXTOID);

static OwnerSql delete_tombstones =
OWNER_SQL("DELETE FROM %1$s.tombstone WHERE diagram_id" EQ "$1",
		  1, TEXTOID);

static OwnerSql delete_members =
OWNER_SQL("DELETE FROM diagsync.member WHERE diagram_id" EQ "$1",
		  1, TEXTOID);

static OwnerSql delete_tokens =
OWNER_SQL("DELETE FROM diagsync.access_token WHERE diagram_id" EQ "$1",
		  1, TEXTOID);

static OwnerSql delete_entry =
OWNER_SQL("DELETE FROM diagsync.directory WHERE id" EQ "$1",
		  1, TEXTOID);

/* A trigger at the new place may store something else under that revision. */
static OwnerSql update_storage_type =
OWNER_SQL("UPDATE diagsync.directory SET storage_type = $2, feed_start = $3 WHERE id" EQ "$1",
		  3, TEXTOID, TEXTOID, INT8OID);

static OwnerSql has_entities =
OWNER_SQL("SELECT FROM %1$s.entity WHERE diagram_id" EQ "$1 LIMIT 1",
		  1, TEXTOID);

static OwnerSql compare_links_in_full =
OWNER_SQL("UPDATE diagsync.directory SET seen = NULL, seen_own = NULL"
		  " WHERE public_copy_id" EQ "$1",
		  1, TEXTOID);

static OwnerSql update_merge_policy =
OWNER_SQL("UPDATE diagsync.directory SET merge_policy = $2,"
		  " seen_policy = CASE WHEN compare_in_full THEN seen_policy ELSE merge_policy END,"
		  " compare_in_full = public_copy_id IS NOT NULL WHERE id" EQ "$1",
		  2, TEXTOID, JSONBOID);

/*
 * Rows that are moved keep their revisions, so links keep what they have seen.
 */
static OwnerSql move_entities_from_public =
OWNER_SQL_INSERTING(1, 0,
					"INSERT INTO %1$s.entity (diagram_id, id, doc, rev, modified_at, modified_by)"
					" SELECT diagram_id, id, doc, rev, modified_at, modified_by"
					" FROM diagsync_public.entity WHERE diagram_id" EQ "$1",
					1, TEXTOID);

static OwnerSql move_entities_to_public =
OWNER_SQL_INSERTING(1, 0,
					"INSERT INTO diagsync_public.entity (diagram_id, id, doc, rev, modified_at, modified_by)"
					" SELECT diagram_id, id, doc, rev, modified_at, modified_by"
					" FROM %1$s.entity WHERE diagram_id" EQ "$1",
					1, TEXTOID);

static OwnerSql move_tombstones_from_public =
OWNER_SQL("INSERT INTO %1$s.tombstone (diagram_id, id, rev, deleted_at, deleted_by)"
		  " SELECT diagram_id, id, rev, deleted_at, deleted_by"
		  " FROM diagsync_public.tombstone WHERE diagram_id" EQ "$1",
		  1, TEXTOID);

static OwnerSql move_tombstones_to_public =
OWNER_SQL("INSERT INTO diagsync_public.tombstone (diagram_id, id, rev, deleted_at, deleted_by)"
		  " SELECT diagram_id, id, rev, deleted_at, deleted_by"
		  " FROM %1$s.tombstone WHERE diagram_id" EQ "$1",
		  1, TEXTOID);

/* The storage type of that name, an error if there is none. */
static StorageType
parse_storage_type(const char *name, const char *diagram)
{
	StorageType storage = STORAGE_LOCAL;

	if (!storage_parse(name, &storage))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown storage type \"%s\" for diagram \"%s\"",
						name, diagram),
				 errhint("It is local, public or private.")));
	return storage;
}

/*
 * diagsync.create_diagram(name, storage_type, id, description)
 */
DIAGSYNC_FUNCTION(diagsync_create_diagram)
{
	char	   *name;
	char	   *storage;
	char	   *id = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	char	   *description;
	text	   *result;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext spi;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "name")));
	name = textarg_get(PG_GETARG_DATUM(0), "name", NULL, MAX_NAME);
	directory_refuse_null(PG_ARGISNULL(1), "storage_type", name);
	storage = textarg_get(PG_GETARG_DATUM(1), "storage_type", name, MAX_WORD);
	description = PG_ARGISNULL(3) ? NULL :
		textarg_get(PG_GETARG_DATUM(3), "description", name, MAX_DESCRIPTION);
	(void) parse_storage_type(storage, name);
	SPI_connect();
	quota_check_diagrams();
	ratelimit_charge_creation();
	id = directory_insert(id, name, description, storage, NULL);
	spi = MemoryContextSwitchTo(caller);
	result = cstring_to_text(id);
	MemoryContextSwitchTo(spi);
	SPI_finish();
	PG_RETURN_TEXT_P(result);
}

static bool
unlink_local(const Diagram *link, void *arg)
{
	const char *public = arg;
	Diagram    *local = directory_lock(link->id, LockTupleExclusive,
									   LOCK_LATEST);

	if (local != NULL && local->public_copy_id != NULL &&
		strcmp(local->public_copy_id, public) == 0)
		directory_unlink(local);
	return true;
}

/* Lock and unlink the local diagrams that link to a shared one. */
static void
unlink_all(char *public)
{
	linkwalk(public, NULL, unlink_local, public);
}

static bool
lock_local(const Diagram *link, void *arg)
{
	(void) directory_lock(link->id, LockTupleExclusive, LOCK_LATEST);
	return true;
}

/*
 * Lock a diagram that the caller administers FOR UPDATE, and before it those
 * that link to it.
 */
static Diagram *
lock_with_links(const char *id)
{
	(void) directory_see(id, ACCESS_ADMIN, GetLatestSnapshot());
	linkwalk(id, NULL, lock_local, NULL);
	return directory_lock_seen(id, ACCESS_ADMIN, LockTupleExclusive,
							   LOCK_LATEST);
}

/*
 * Delete the entities of a diagram; an error where a trigger keeps some.
 * Returns how many there were.
 */
static uint64
delete_all_entities(const Diagram *diagram)
{
	Datum		values[1] = {diagram->key};
	uint64		deleted = ownersql_run(&delete_entities, diagram->storage,
									   values,
									   NULL, OWN_WORK);

	if (ownersql_run(&has_entities, diagram->storage, values, NULL,
					 OWN_WORK) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("not all entities of diagram \"%s\" could be deleted",
						diagram->id),
				 errhint("A trigger on table \"%s.entity\" keeps some.",
						 storage_schema(diagram->storage))));
	return deleted;
}

/*
 * diagsync.drop_diagram(id)
 *
 * Locks the directory rows of the diagram and of those linked to it FOR
 * UPDATE.
 */
DIAGSYNC_FUNCTION(diagsync_drop_diagram)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0), "id");
	Diagram    *diagram;
	Datum		values[1];

	statement_check_may_write("drop_diagram", id, NULL);
	SPI_connect();
	diagram = lock_with_links(id);
	values[0] = diagram->key;
	if (diagram->storage != STORAGE_LOCAL)
		unlink_all(id);
	(void) delete_all_entities(diagram);

	/* After that: what triggers delete meanwhile is noted like any edit. */
	if (diagram->storage == STORAGE_LOCAL)
		directory_clear_bases(id);
	else
		(void) ownersql_run(&delete_tombstones, diagram->storage, values, NULL,
							OWN_WORK);
	(void) ownersql_run(&delete_members, STORAGE_LOCAL, values, NULL,
						OWN_WORK);
	(void) ownersql_run(&delete_tokens, STORAGE_LOCAL, values, NULL, OWN_WORK);
	(void) ownersql_run(&delete_entry, STORAGE_LOCAL, values, NULL, OWN_WORK);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Move the rows of a diagram to the tables of another storage type.
 */
static void
move_rows(const Diagram *diagram, StorageType to)
{
	StorageType from = diagram->storage;
	Datum		values[1] = {diagram->key};
	uint64		moved;

	if (from == STORAGE_PUBLIC)
	{
		moved = ownersql_run(&move_entities_from_public, to, values, NULL,
							 OWN_WORK);
		if (to != STORAGE_LOCAL)
			(void) ownersql_run(&move_tombstones_from_public, to, values, NULL,
								OWN_WORK);
	}
	else
	{
		moved = ownersql_run(&move_entities_to_public, from, values, NULL,
							 OWN_WORK);
		(void) ownersql_run(&move_tombstones_to_public, from, values, NULL,
							OWN_WORK);
	}
	if (delete_all_entities(diagram) != moved)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("not all entities of diagram \"%s\" could be moved",
						diagram->id),
				 errhint("A trigger on table \"%s.entity\" keeps some out.",
						 storage_schema(to))));
	(void) ownersql_run(&delete_tombstones, from, values, NULL, OWN_WORK);

	/* A trigger may have stored something else than the links have seen. */
	if (compare_may_be_altered(to))
		(void) ownersql_run(&compare_links_in_full, STORAGE_LOCAL, values,
							NULL,
							OWN_WORK);
}

/*
 * diagsync.set_storage_type(id, storage_type)
 *
 * Locks the directory row FOR UPDATE: syncs and writers wait, and then find
 * the rows where they are.
 */
DIAGSYNC_FUNCTION(diagsync_set_storage_type)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0), "id");
	char	   *name;
	StorageType storage;
	Diagram    *diagram;
	Datum		values[3];

	directory_refuse_null(PG_ARGISNULL(1), "storage_type", id);
	name = textarg_get(PG_GETARG_DATUM(1), "storage_type", id, MAX_WORD);
	storage = parse_storage_type(name, id);
	statement_check_may_write("set_storage_type", id, NULL);
	SPI_connect();
	/* Its links are locked first, where they are to compare in full then. */
	diagram = compare_may_be_altered(storage) ? lock_with_links(id) :
		directory_lock_seen(id, ACCESS_ADMIN, LockTupleExclusive, LOCK_LATEST);
	if (!diagram->legacy && diagram->storage != storage &&
		(diagram->storage == STORAGE_LOCAL || storage == STORAGE_LOCAL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("diagram \"%s\" cannot become %s", id, name),
				 errdetail("Its storage type is %s.",
						   storage_name(diagram->storage)),
				 diagram->storage == STORAGE_LOCAL ?
				 errhint("diagsync.share() makes a shared copy of a local diagram.") :
				 errhint("diagsync.clone() makes a local copy of a shared diagram.")));

	/*
	 * In this order: what triggers edit meanwhile where the rows still are
	 * would be left behind, and is refused.
	 */
	values[0] = diagram->key;
	values[1] = CStringGetTextDatum(name);
	values[2] = Int64GetDatum((int64) U64FromFullTransactionId(GetTopFullTransactionId()));
	if (diagram->legacy || diagram->storage != storage)
		(void) ownersql_run(&update_storage_type, STORAGE_LOCAL, values, NULL,
							OWN_WORK);
	if (diagram->storage != storage)
		move_rows(diagram, storage);
	SPI_finish();
	PG_RETURN_VOID();
}

static void
check_policy_size(const Jsonb *policy, const char *diagram)
{
	int			size = VARSIZE_ANY_EXHDR(policy);

	if (size > MAX_POLICY_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the merge policy for diagram \"%s\" is too large", diagram),
				 errdetail("It has %d bytes.", size),
				 errhint("It may have %d.", MAX_POLICY_BYTES)));
}

/*
 * diagsync.set_merge_policy(diagram, policy)
 *
 * Locks the directory row FOR NO KEY UPDATE: a sync of the link is over, or
 * goes by the new policy.  The link compares in full next: a difference that
 * was ignored may have been passed over for good.  By which policy it was, is
 * noted: any other difference that was passed over is nobody's change.
 */
DIAGSYNC_FUNCTION(diagsync_set_merge_policy)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										"diagram");
	const Jsonb *policy = NULL;
	Diagram    *diagram;
	Datum		values[2];
	char		nulls[2] = {' ', ' '};

	if (!PG_ARGISNULL(1))
	{
		check_policy_size(PG_GETARG_JSONB_P(1), id);
		policy = policy_expand(PG_GETARG_JSONB_P(1), id);
		(void) policy_parse(policy, id);
	}
	statement_check_may_write("set_merge_policy", id, NULL);
	SPI_connect();
	diagram = directory_lock_seen(id, ACCESS_ADMIN, LockTupleNoKeyExclusive,
								  LOCK_AS_TRANSACTION);
	values[0] = diagram->key;
	values[1] = PointerGetDatum(policy);
	nulls[1] = policy != NULL ? ' ' : 'n';
	(void) ownersql_run(&update_merge_policy, STORAGE_LOCAL, values, nulls,
						OWNER_SQL_EXEMPT);
	SPI_finish();
	if (policy == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(policy);
}

/* The diagram that a function is asked about, which its caller may see */
static Diagram *
diagram_arg(FunctionCallInfo fcinfo)
{
	return directory_see(directory_name_arg(PG_GETARG_DATUM(0),
											PG_ARGISNULL(0),
											"diagram"),
						 ACCESS_READER, GetActiveSnapshot());
}

/*
 * diagsync.merge_policy(diagram)
 */
DIAGSYNC_FUNCTION(diagsync_merge_policy)
{
	Diagram    *diagram = diagram_arg(fcinfo);

	if (diagram->merge_policy == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(diagram->merge_policy);
}

/*
 * diagsync.owner(diagram)
 */
DIAGSYNC_FUNCTION(diagsync_owner)
{
	PG_RETURN_TEXT_P(cstring_to_text(diagram_arg(fcinfo)->owner));
}

/* Is a column of the updated row another than before? */
static bool
is_changed(TriggerData *trigger, int attno)
{
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);
	char	   *old = SPI_getvalue(trigger->tg_trigtuple, tupdesc, attno);
	char	   *new = SPI_getvalue(trigger->tg_newtuple, tupdesc, attno);

	if (old == NULL || new == NULL)
		return old != new;
	return strcmp(old, new) != 0;
}

/*
 * diagsync.guard_directory(): BEFORE INSERT, UPDATE or DELETE, ROW; BEFORE
 * UPDATE or TRUNCATE, STATEMENT
 *
 * An entry that is inserted comes from elsewhere, or from an earlier moment,
 * and what its link has seen there means nothing here: it loses seen_on.
 * (That something was seen, it keeps: without, a missing shared row counts as
 * deleted.) Marks that readers had of a diagram of that id before are of
 * another one (mark.c).
 */
DIAGSYNC_FUNCTION(diagsync_guard_directory)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	tupdesc;
	char	   *id;
	bool		own;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!storage_is(trigger->tg_relation, TABLE_DIRECTORY))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"diagsync.%s\" was not called by its trigger",
						"guard_directory")));

	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table \"diagsync.directory\" cannot be truncated"),
				 errhint("Remove diagrams with diagsync.drop_diagram().")));

	if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event))
	{
		route_check_rename();
		return PointerGetDatum(NULL);
	}

	tupdesc = RelationGetDescr(trigger->tg_relation);
	id = SPI_getvalue(trigger->tg_trigtuple, tupdesc, Anum_directory_id);
	own = ownrows_find(RelationGetRelid(trigger->tg_relation),
					   trigger->tg_event) != NULL;
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		int			columns[3] = {Anum_directory_feed_start,
		Anum_directory_feed_pruned, Anum_directory_seen_on};
		Datum		values[3] = {0};
		bool		nulls[3] = {false, true, true};
		bool		no_policy;
		Datum		policy = heap_getattr(trigger->tg_trigtuple,
										  Anum_directory_merge_policy, tupdesc,
										  &no_policy);

		if (!no_policy)
			(void) policy_parse(DatumGetJsonbP(policy), id);
		values[0] = Int64GetDatum((int64) U64FromFullTransactionId(GetTopFullTransactionId()));
		return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_trigtuple,
														 tupdesc, 3, columns,
														 values, nulls));
	}

	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
	{
		if (own ||
			(!is_changed(trigger, Anum_directory_id) &&
			 !is_changed(trigger, Anum_directory_storage_type) &&
			 !is_changed(trigger, Anum_directory_public_copy_id) &&
			 !is_changed(trigger, Anum_directory_merge_policy)))
			return PointerGetDatum(route_keep_absent(trigger));
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("id, storage type, link and merge policy of diagram \"%s\" cannot be updated directly", id),
				 errhint("Use diagsync.set_storage_type(), diagsync.link(), diagsync.unlink() or diagsync.set_merge_policy().")));
	}

	if (!own)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("diagram \"%s\" cannot be deleted from the directory directly", id),
				 errhint("Use diagsync.drop_diagram().")));
	return PointerGetDatum(trigger->tg_trigtuple);
}
