/*
 * ownersql.c
 *	  SQL commands that diagsync runs itself, their plans kept.
 *
 * They run as the owner of the tables, the way referential-integrity triggers
 * do it, so the caller needs no privilege on captured rows; everything in
 * their text is schema-qualified, operators too (so there is no IS DISTINCT
 * FROM, IN, USING or simple CASE in it).  The caller stays the principal.
 *
 * Plans are made once, and reach rows by key or ctid whatever the settings and
 * statistics are at that moment (planning.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

#include "principal/principal.h"
#include "server/deadlock.h"
#include "statement/ownersql.h"
#include "statement/ownrows.h"
#include "table/planning.h"

/*
 * The plan of a command for a storage type, prepared if need be, on its way to
 * the executor: the caller calls planning_end() when it has been run, and is
 * the tables' owner already and connected to SPI.
 */
static pg_noinline SPIPlanPtr
ownersql_plan(OwnerSql *command, StorageType storage, Planning *planning)
{
	SPIPlanPtr	plan = command->plans[storage];
	CachedPlanSource *source;

	if (plan == NULL)
	{
		char	   *sql = psprintf(command->sql, storage_schema(storage));

		plan = SPI_prepare(sql, command->nargs, command->argtypes);
		if (plan == NULL)
			elog(ERROR, "SPI_prepare returned %s for %s",
				 SPI_result_code_string(SPI_result), sql);
		if (SPI_keepplan(plan) != 0)
			elog(ERROR, "SPI_keepplan failed for %s", sql);
		command->plans[storage] = plan;
	}
	source = linitial(SPI_plan_get_plan_sources(plan));
	planning_begin(planning, source->query_string, command->whole);
	return plan;
}

/* The snapshot that a command runs under, or NULL to leave it to SPI. */
static Snapshot
choose_snapshot(int flags)
{
	if (flags & OWNER_SQL_FRESH)
		return GetLatestSnapshot();
	if (flags & OWNER_SQL_ACTIVE)
		return GetActiveSnapshot();
	return (flags & OWNER_SQL_EXEMPT) ? GetTransactionSnapshot() : InvalidSnapshot;
}

/*
 * Note what a command of diagsync's own writes: the table that its text names,
 * and what is to be in the rows that it inserts.
 */
static void
describe(OwnStatement *own, const OwnerSql *command, SPIPlanPtr plan,
		 const Datum *values)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));
	Node	   *statement = source->raw_parse_tree->stmt;
	RangeVar   *table;

	if (IsA(statement, InsertStmt))
	{
		own->event = TRIGGER_EVENT_INSERT;
		table = ((InsertStmt *) statement)->relation;
		if (command->diagram_arg > 0)
			own->diagram = values[command->diagram_arg - 1];
		if (command->ids_arg > 0)
			own->ids = values[command->ids_arg - 1];
	}
	else if (IsA(statement, UpdateStmt))
	{
		own->event = TRIGGER_EVENT_UPDATE;
		table = ((UpdateStmt *) statement)->relation;
	}
	else if (IsA(statement, DeleteStmt))
	{
		own->event = TRIGGER_EVENT_DELETE;
		table = ((DeleteStmt *) statement)->relation;
	}
	else
		return;					/* it writes nothing */
	own->relid = get_relname_relid(table->relname,
								   get_namespace_oid(table->schemaname,
													 false));
}

/* "own" is for what is exempt. */
static int
execute(SPIPlanPtr plan, Datum *values, const char *nulls, int flags,
		const OwnStatement *own)
{
	Snapshot	snapshot = choose_snapshot(flags);
	SnapshotData marked;
	Snapshot	crosscheck = InvalidSnapshot;

	if (flags & OWNER_SQL_EXEMPT)
	{
		ownrows_mark(own, &marked, snapshot);
		snapshot = &marked;
	}

	/*
	 * Rows that a transaction snapshot does not show must not be written: it
	 * would show two versions of them afterwards.  So that is 40001.
	 */
	if ((flags & OWNER_SQL_FRESH) && IsolationUsesXactSnapshot())
		crosscheck = GetTransactionSnapshot();

	if (snapshot != InvalidSnapshot)
		return SPI_execute_snapshot(plan, values, nulls, snapshot,
									crosscheck, false, true, 0);
	return SPI_execute_plan(plan, values, nulls,
							(flags & OWNER_SQL_READ) != 0, 0);
}

/*
 * Run a command with its parameters, as the tables' owner.  The caller is
 * connected to SPI; what the command returns is in SPI_tuptable.  Returns how
 * many rows it processed.
 */
uint64
ownersql_run(OwnerSql *command, StorageType storage, Datum *values,
			 const char *nulls, int flags)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			save_userid;
	int			save_sec_context;
	char	   *principal = principal_current();
	char	   *save_principal;
	Oid			save_role;
	OwnStatement own;
	int			nestlevel = 0;
	Planning	planning = {.ended = true};
	volatile int result = 0;

	/* On errors the transaction machinery restores these two. */
	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(storage_owner(),
						   save_sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);

	/*
	 * Triggers of applications run as the owner too, so they must not look
	 * for names where the caller wants them to.
	 */
	if (!(flags & OWNER_SQL_RECORDS))
	{
		nestlevel = NewGUCNestLevel();
		(void) set_config_option("search_path", "pg_catalog, pg_temp",
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	}

	save_principal = principal_note(principal, save_userid, &save_role);
	if (flags & OWNER_SQL_EXEMPT)
		ownrows_begin(&own);
	PG_TRY();
	{
		SPIPlanPtr	plan = ownersql_plan(command, storage, &planning);

		if (flags & OWNER_SQL_EXEMPT)
			describe(&own, command, plan, values);
		result = execute(plan, values, nulls, flags, &own);
	}
	PG_FINALLY();
	{
		planning_end(&planning);
		if (flags & OWNER_SQL_EXEMPT)
			ownrows_end(&own);
		(void) principal_note(save_principal, save_role, NULL);
	}
	PG_END_TRY();

	deadlock_keep_watch();
	if (nestlevel > 0)
		AtEOXact_GUC(true, nestlevel);

	SetUserIdAndSecContext(save_userid, save_sec_context);
	MemoryContextSwitchTo(caller);	/* SPI leaves its own */
	pfree(principal);

	if (result < 0)
		elog(ERROR, "SPI_execute_plan returned %s for %s",
			 SPI_result_code_string(result), command->sql);
	return SPI_processed;
}

/*
 * Run a command that only reads, under a snapshot, and return the texts of its
 * first column as a list of palloc'd strings.
 */
List *
ownersql_list(OwnerSql *command, StorageType storage, Datum *values,
			  Snapshot snapshot)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *strings = NIL;

	SPI_connect();
	PushActiveSnapshot(snapshot);
	(void) ownersql_run(command, storage, values, NULL, OWNER_SQL_READ);
	PopActiveSnapshot();
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i],
										  SPI_tuptable->tupdesc, 1, &isnull);

		strings = lappend(strings, TextDatumGetCString(value));
	}
	SPI_finish();
	return strings;
}

/*
 * Open a cursor over a command that only reads, under the active snapshot; as
 * the tables' owner.  The caller is connected to SPI.  The rows must be
 * fetched before anything else of the caller's needs its own rights: they are
 * fetched with the rights that were checked when it was opened.
 */
Portal
ownersql_open(OwnerSql *command, StorageType storage, Datum *values,
			  const char *nulls)
{
	Oid			save_userid;
	int			save_sec_context;
	Planning	planning = {.ended = true};
	Portal volatile portal = NULL;

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(storage_owner(),
						   save_sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	PG_TRY();
	{
		SPIPlanPtr	plan = ownersql_plan(command, storage, &planning);

		portal = SPI_cursor_open(NULL, plan, values, nulls, true);
	}
	PG_FINALLY();
	{
		planning_end(&planning);
	}
	PG_END_TRY();
	SetUserIdAndSecContext(save_userid, save_sec_context);
	return portal;
}
