/*
 * statement.c
 *	  What a session remembers between the triggers of a statement and between
 *	  the statements of a transaction:
 *
 *	  - which statements that edit entities have begun but not yet written
 *		their records (a sync in between would overlook them), and which of the
 *		rows that they wrote are diagsync's own (ownrows.c);
 *	  - whether this transaction has synced, and how often it edited shared
 *		diagrams otherwise (see seen_own in seen.h).
 *
 * All of it ends with the transaction; open statements also with the
 * subtransaction that they began in.
 *
 * A foreign key's action (ON DELETE CASCADE, SET NULL ...) adds rows to the
 * statement that it acts on, if that is open still: they come in the same
 * transition table, BEFORE STATEMENT does not fire again, and one AFTER
 * STATEMENT fires for all.  So each row is told apart where it is written, and
 * is known by its number: transition tables have no ctid.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "statement/statement.h"

typedef struct OpenStatement
{
	Oid			relid;			/* invalid: rows are written without SQL */
	TriggerEvent event;
	SubTransactionId subid;
	Statement	statement;
} OpenStatement;

static OpenStatement *open_statements = NULL;
static int	open_count = 0;
static int	open_max = 0;

static uint64 shared_edits = 0;
static bool synced = false;

/*
 * A statement whose AFTER STATEMENT triggers have not fired has edited without
 * records: whoever ran it did not run it to its end, or has disabled them.
 */
static void
check_all_closed(void)
{
	for (int i = 0; i < open_count; i++)
	{
		const OpenStatement *open = &open_statements[i];

		if (OidIsValid(open->relid))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("a statement on table \"%s.%s\" has not finished",
							get_namespace_name(get_rel_namespace(open->relid)),
							get_rel_name(open->relid)),
					 errdetail("Its triggers have not fired after it, so its changes would not be captured."),
					 errhint("Let it return all of its rows, and leave the triggers of the table enabled.")));
	}
}

/*
 * At the end of a transaction everything is forgotten.
 */
static void
statement_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			check_all_closed();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			open_count = 0;
			ownrows_reset();
			shared_edits = 0;
			synced = false;
			break;
		default:
			break;
	}
}

/*
 * Statements of a subtransaction that failed are open no longer.
 */
static void
statement_subxact_callback(SubXactEvent event, SubTransactionId mine,
						   SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (open_count > 0 && open_statements[open_count - 1].subid >= mine)
			open_count--;
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		for (int i = 0; i < open_count; i++)
		{
			if (open_statements[i].subid == mine)
				open_statements[i].subid = parent;
		}
	}
}

/*
 * To be called once, when the library is loaded.
 */
void
statement_init(void)
{
	RegisterXactCallback(statement_xact_callback, NULL);
	RegisterSubXactCallback(statement_subxact_callback, NULL);
}

static OpenStatement *
push_statement(Oid relid, TriggerEvent event)
{
	OpenStatement *open;

	if (open_count >= open_max)
	{
		int			size = Max(16, open_max * 2);

		if (open_statements == NULL)
			open_statements = MemoryContextAlloc(TopMemoryContext,
												 size * sizeof(OpenStatement));
		else
			open_statements = repalloc(open_statements,
									   size * sizeof(OpenStatement));
		open_max = size;
	}
	open = &open_statements[open_count++];
	memset(open, 0, sizeof(OpenStatement));
	open->relid = relid;
	open->event = event & TRIGGER_EVENT_OPMASK;
	open->subid = GetCurrentSubTransactionId();
	open->statement.at = GetCurrentTimestamp();
	return open;
}

/*
 * A statement that edits an entity table begins (BEFORE STATEMENT).
 */
void
statement_open(Oid relid, TriggerEvent event)
{
	OpenStatement *open = push_statement(relid, event);

	open->statement.own = ownrows_find(relid, event);

	/*
	 * What the executor stamps its rows with: it was fixed when the query
	 * started, and triggers before this one may have run commands since.
	 */
	open->statement.cid = ActiveSnapshotSet() ?
		GetActiveSnapshot()->curcid : GetCurrentCommandId(false);

	/* INSERT ... ON CONFLICT and MERGE open one for each of their actions. */
	if (open_count > 1 && open[-1].relid == relid &&
		open[-1].statement.cid == open->statement.cid)
		open->statement.at = open[-1].statement.at;
}

/*
 * The time of what is edited now: when the statement that was opened last (and
 * is open still) was opened, by the clock; now, where none is open.
 */
TimestampTz
statement_edit_time(void)
{
	return open_count > 0 ? open_statements[open_count - 1].statement.at :
		GetCurrentTimestamp();
}

/*
 * Rows are about to be written without SQL: no sync may run within.
 */
void
statement_open_direct(void)
{
	(void) push_statement(InvalidOid, 0);
}

/*
 * They are written.
 */
void
statement_close_direct(void)
{
	Assert(open_count > 0 && !OidIsValid(open_statements[open_count - 1].relid));
	open_count--;
}

/* The statement that fires a trigger: the one that was opened last */
static OpenStatement *
find_statement(Oid relid, TriggerEvent event)
{
	for (int i = open_count - 1; i >= 0; i--)
	{
		OpenStatement *open = &open_statements[i];

		if (open->relid == relid &&
			open->event == (event & TRIGGER_EVENT_OPMASK))
			return open;
	}
	return NULL;
}

static void
note_own(Statement *statement)
{
	int64		row = statement->rows;
	int			n = statement->nown_runs;

	statement->own_rows++;
	if (n > 0 && statement->own_runs[n - 1].last == row - 1)
	{
		statement->own_runs[n - 1].last = row;
		return;
	}
	if (n >= statement->max_own_runs)
	{
		int			size = Max(16, n * 2);

		if (n == 0)
			statement->own_runs = MemoryContextAlloc(TopTransactionContext,
													 size * sizeof(Run));
		else
			statement->own_runs = repalloc(statement->own_runs,
										   size * sizeof(Run));
		statement->max_own_runs = size;
	}
	statement->own_runs[n].first = statement->own_runs[n].last = row;
	statement->nown_runs++;
}

/*
 * A row is about to be updated or deleted (BEFORE ROW); *own tells whether by
 * diagsync itself.  False if no statement on that table is open: then its
 * edits would have no records.
 */
bool
statement_note_row(Oid relid, TriggerEvent event, HeapTuple old, bool *own)
{
	OpenStatement *open = find_statement(relid, event);

	if (open == NULL)
		return false;
	*own = open->statement.own != NULL && ownrows_find(relid, event) != NULL;
	if (*own)
		note_own(&open->statement);
	open->statement.rows++;
	if (TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(old->t_data)) &&
		HeapTupleHeaderGetCmin(old->t_data) >= open->statement.cid)
		open->statement.repeats = true;
	return true;
}

/*
 * A statement writes its records now (AFTER STATEMENT), and is open no longer.
 *  Sets *statement to what was noted about it; false if its beginning was not
 * noted.
 */
bool
statement_close(Oid relid, TriggerEvent event, Statement *statement)
{
	OpenStatement *open = find_statement(relid, event);
	int			after;

	if (open == NULL)
		return false;
	*statement = open->statement;
	after = open_count - 1 - (int) (open - open_statements);
	memmove(open, open + 1, after * sizeof(OpenStatement));
	open_count--;
	return true;
}

/*
 * Free what was noted about a statement that is closed.
 */
void
statement_free(Statement *statement)
{
	if (statement->own_runs != NULL)
		pfree(statement->own_runs);
	statement->own_runs = NULL;
}

/*
 * Was a row of this table, if its transaction is ours and "cid" wrote it,
 * written within another statement on the table that is still open than the
 * one that fires the trigger?  Of one of diagsync's own that is what foreign
 * keys have added, since it has no records of the others.
 */
bool
statement_is_written_within(Oid relid, TriggerEvent event, CommandId cid)
{
	const OpenStatement *firing = find_statement(relid, event);

	for (int i = 0; i < open_count; i++)
	{
		const OpenStatement *open = &open_statements[i];
		const Statement *statement = &open->statement;

		if (open->relid != relid || open == firing)
			continue;
		if (statement->own == NULL ? cid >= statement->cid :
			cid > statement->cid && statement->rows > statement->own_rows)
			return true;
	}
	return false;
}

static void
keys_add(Keys *keys, const char *diagram, const char *id)
{
	MemoryContext caller = MemoryContextSwitchTo(TopTransactionContext);

	if (keys->n >= keys->max)
	{
		int			size = Max(16, keys->max * 2);

		if (keys->max == 0)
		{
			keys->diagrams = palloc(size * sizeof(char *));
			keys->ids = palloc(size * sizeof(char *));
		}
		else
		{
			keys->diagrams = repalloc(keys->diagrams, size * sizeof(char *));
			keys->ids = repalloc(keys->ids, size * sizeof(char *));
		}
		keys->max = size;
	}
	keys->diagrams[keys->n] = pstrdup(diagram);
	keys->ids[keys->n] = pstrdup(id);
	keys->n++;
	MemoryContextSwitchTo(caller);
}

/*
 * Note about the open statement that fires a trigger: this row is left to the
 * records of a statement around it.
 */
void
statement_leave_row(Oid relid, TriggerEvent event, const char *diagram,
					const char *id)
{
	keys_add(&find_statement(relid, event)->statement.left, diagram, id);
	for (int i = 0; i < open_count; i++)
	{
		if (open_statements[i].relid == relid && TRIGGER_FIRED_BY_DELETE(event))
			open_statements[i].statement.deleted_within = true;
	}
}

/*
 * Is a statement open that updates this table or deletes from it?
 */
bool
statement_is_changing(Oid relid)
{
	for (int i = 0; i < open_count; i++)
	{
		if (open_statements[i].relid == relid &&
			!TRIGGER_FIRED_BY_INSERT(open_statements[i].event))
			return true;
	}
	return false;
}

/*
 * Note about all of those: a base row without a document was made for this id,
 * which they (or what ran within them) may have deleted before.
 */
void
statement_note_made(Oid relid, const char *diagram, const char *id)
{
	for (int i = 0; i < open_count; i++)
	{
		if (open_statements[i].relid == relid &&
			!TRIGGER_FIRED_BY_INSERT(open_statements[i].event))
			keys_add(&open_statements[i].statement.made, diagram, id);
	}
}

/*
 * Fail with 55006 ("diagram" and "entity" are for the message,
 * or NULL) where a statement of this session is editing entities, or a
 * function of diagsync is at work: a sync inside it would come before the
 * records of that statement are written.
 */
void
statement_check_closed(const char *function, const char *diagram,
					   const char *entity)
{
	if (open_count > 0 || ownrows_is_running())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 entity != NULL ?
				 errmsg("diagsync.%s() for entity \"%s\" of diagram \"%s\" cannot run inside a statement that is editing diagrams",
						function, entity, diagram) :
				 diagram != NULL ?
				 errmsg("diagsync.%s() for diagram \"%s\" cannot run inside a statement that is editing diagrams",
						function, diagram) :
				 errmsg("diagsync.%s() cannot run inside a statement that is editing diagrams",
						function),
				 errdetail("The changes of that statement are not captured yet, so the sync would overlook them."),
				 errhint("Call it in a statement of its own, not from RETURNING or from a trigger of an entity table.")));
}

/*
 * Check that a function that writes may run: 25006 in a read-only transaction
 * and on a standby, 55006 inside a statement that edits entities.
 */
void
statement_check_may_write(const char *function, const char *diagram,
						  const char *entity)
{
	PreventCommandIfReadOnly(psprintf("diagsync.%s()", function));
	statement_check_closed(function, diagram, entity);
}

/*
 * A shared diagram was edited by something else than a sync.
 */
void
statement_note_shared_edit(void)
{
	shared_edits++;
}

/*
 * How often that happened in this transaction, rolled back or not.
 */
uint64
statement_shared_edits(void)
{
	return shared_edits;
}

/*
 * This transaction has recorded itself as seen_own of some link.
 */
void
statement_note_sync(void)
{
	synced = true;
}

/*
 * Has it, rolled back or not?
 */
bool
statement_synced(void)
{
	return synced;
}
