/*
 * session.c
 *	  What a session remembers between the triggers of a statement and between
 *	  the statements of a transaction:
 *
 *	  - whether a statement is one of diagsync's own, which keep their books
 *		themselves: its triggers fire at the depth noted here, and it is the
 *		first to begin there; what an application's trigger writes meanwhile
 *		fires one deeper, and what a function in a trigger's WHEN writes begins
 *		later;
 *	  - which statements that edit entities have begun but not yet written
 *		their books (a sync in between would overlook them);
 *	  - whether this transaction has synced, and how often it edited shared
 *		diagrams otherwise (see seen_own in seen.h).
 *
 * All of it ends with the transaction; open statements also with the
 * subtransaction that they began in.
 *
 * Calls nothing else of diagsync.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "session.h"

typedef struct OpenStatement
{
	Oid			relid;
	TriggerEvent event;
	int			depth;			/* of its triggers */
	SubTransactionId subid;
	Statement	statement;
} OpenStatement;

static OpenStatement *open_statements = NULL;
static int	open_count = 0;
static int	open_max = 0;

static const Exemption no_exemption = {0, false, false};
static Exemption exemption = {0, false, false};
static uint64 shared_edits = 0;
static bool synced = false;

/*
 * At the end of a transaction everything is forgotten.
 */
static void
session_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			open_count = 0;
			exemption = no_exemption;
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
session_subxact_callback(SubXactEvent event, SubTransactionId mine,
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
session_init(void)
{
	RegisterXactCallback(session_xact_callback, NULL);
	RegisterSubXactCallback(session_subxact_callback, NULL);
}

static int
trigger_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}

/* Is a statement open whose triggers fire at this depth? */
static bool
is_open_at(int depth)
{
	for (int i = open_count - 1; i >= 0; i--)
	{
		if (open_statements[i].depth == depth)
			return true;
	}
	return false;
}

/*
 * Does the trigger that asks fire for a statement of diagsync's own?
 */
bool
session_is_exempt(void)
{
	int			depth = trigger_depth();

	return exemption.depth != 0 && exemption.depth == depth &&
		(!exemption.entities || (exemption.begun && !is_open_at(depth)));
}

/*
 * What is exempt just now.
 */
Exemption
session_exemption(void)
{
	return exemption;
}

/*
 * Exempt a statement that is about to run; "entities" says whether it writes
 * entities, whose tables tell when it begins.
 */
void
session_exempt(bool entities)
{
	exemption.depth = trigger_depth() + 1;
	exemption.entities = entities;
	exemption.begun = false;
}

/*
 * It has run, or failed: exempt again what was before.
 */
void
session_end_exempt(Exemption before)
{
	exemption = before;
}

/*
 * A statement that edits an entity table begins (BEFORE STATEMENT); where it is
 * diagsync's own, that is all that is noted.
 */
void
session_open_statement(Oid relid, TriggerEvent event)
{
	OpenStatement *open;
	int			depth = trigger_depth();

	if (exemption.entities && exemption.depth == depth && !exemption.begun)
	{
		exemption.begun = true;
		return;
	}

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
	open->relid = relid;
	open->event = event & TRIGGER_EVENT_OPMASK;
	open->depth = depth;
	open->subid = GetCurrentSubTransactionId();
	memset(&open->statement, 0, sizeof(Statement));

	/*
	 * What the executor stamps its rows with: it was fixed when the query
	 * started, and triggers before this one may have run commands since.
	 */
	open->statement.cid = ActiveSnapshotSet() ?
		GetActiveSnapshot()->curcid : GetCurrentCommandId(false);
}

/*
 * It writes its books now (AFTER STATEMENT), and is open no longer.  Returns
 * what was noted about it (nothing if its beginning was not noted, as when the
 * trigger is enabled while it runs).
 */
Statement
session_close_statement(Oid relid, TriggerEvent event)
{
	Statement	statement = {0};

	for (int i = open_count - 1; i >= 0; i--)
	{
		OpenStatement *open = &open_statements[i];

		if (open->relid == relid &&
			open->event == (event & TRIGGER_EVENT_OPMASK))
		{
			statement = open->statement;
			memmove(open, open + 1,
					(open_count - i - 1) * sizeof(OpenStatement));
			open_count--;
			break;
		}
	}
	return statement;
}

/*
 * Was a row of this table, if its transaction is ours and "cid" wrote it,
 * written within a statement on the table that is still open, around the one
 * that fires the trigger?  (Its own rows are older than itself.)
 */
bool
session_is_written_within(Oid relid, CommandId cid)
{
	for (int i = 0; i < open_count; i++)
	{
		if (open_statements[i].relid == relid)
			return cid >= open_statements[i].statement.cid;
	}
	return false;
}

/* Is there one around it, so that the question makes sense? */
bool
session_is_nested(Oid relid)
{
	int			n = 0;

	for (int i = 0; i < open_count; i++)
		n += open_statements[i].relid == relid;
	return n > 1;
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
 * books of a statement around it.
 */
void
session_leave_row(Oid relid, TriggerEvent event, const char *diagram,
				  const char *id)
{
	for (int i = open_count - 1; i >= 0; i--)
	{
		if (open_statements[i].relid == relid &&
			open_statements[i].event == (event & TRIGGER_EVENT_OPMASK))
		{
			keys_add(&open_statements[i].statement.left, diagram, id);
			break;
		}
	}
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
session_is_changing(Oid relid)
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
session_note_made(Oid relid, const char *diagram, const char *id)
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
 * books of that statement are written.
 */
void
session_check_closed(const char *function, const char *diagram,
					 const char *entity)
{
	if (open_count > 0 || exemption.depth != 0)
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
				 errdetail("What that statement changes is not noted yet, and the sync would overlook it."),
				 errhint("Call it in a statement of its own, not from RETURNING or from a trigger of an entity table.")));
}

/*
 * Check that a function that writes may run: 25006 in a read-only transaction
 * and on a standby, 55006 inside a statement that edits entities.
 */
void
session_check_may_write(const char *function, const char *diagram,
						const char *entity)
{
	PreventCommandIfReadOnly(psprintf("diagsync.%s()", function));
	session_check_closed(function, diagram, entity);
}

/*
 * A shared diagram was edited by something else than a sync.
 */
void
session_note_shared_edit(void)
{
	shared_edits++;
}

/*
 * How often that happened in this transaction, rolled back or not.
 */
uint64
session_shared_edits(void)
{
	return shared_edits;
}

/*
 * This transaction has recorded itself as seen_own of some link.
 */
void
session_note_sync(void)
{
	synced = true;
}

/*
 * Has it, rolled back or not?
 */
bool
session_synced(void)
{
	return synced;
}
