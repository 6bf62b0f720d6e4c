/*
 * session.c
 *	  What a session remembers between the triggers of a statement and between
 *	  the statements of a transaction:
 *
 *	  - whether a statement is one of diagsync's own, which keep their books
 *		themselves: those whose triggers fire at the depth noted here; what an
 *		application's trigger writes meanwhile fires one deeper;
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
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "session.h"

typedef struct OpenStatement
{
	Oid			relid;
	TriggerEvent event;
	CommandId	cid;			/* the command that it is */
	SubTransactionId subid;
} OpenStatement;

static OpenStatement *open_statements = NULL;
static int	open_count = 0;
static int	open_max = 0;

static int	exempt_depth = 0;
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
			exempt_depth = 0;
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

/*
 * Does the trigger that asks fire for a statement of diagsync's own?
 */
bool
session_is_exempt(void)
{
	return exempt_depth != 0 && exempt_depth == trigger_depth();
}

/*
 * The trigger depth at which a statement run now would fire its triggers.
 */
int
session_exempt_depth(void)
{
	return trigger_depth() + 1;
}

/*
 * Exempt the statements whose triggers fire at this depth from the books (0:
 * none).  Returns the depth that was set before, to be set again afterwards,
 * on errors too.
 */
int
session_set_exempt(int depth)
{
	int			before = exempt_depth;

	exempt_depth = depth;
	return before;
}

/*
 * A statement that edits an entity table begins (BEFORE STATEMENT).
 */
void
session_open_statement(Oid relid, TriggerEvent event)
{
	OpenStatement *statement;

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
	statement = &open_statements[open_count++];
	statement->relid = relid;
	statement->event = event & TRIGGER_EVENT_OPMASK;
	statement->cid = GetCurrentCommandId(false);
	statement->subid = GetCurrentSubTransactionId();
}

/*
 * It writes its books now (AFTER STATEMENT).  Returns the command that it is;
 * FirstCommandId if its beginning was not noted, as when a trigger is enabled
 * while it runs.
 */
CommandId
session_close_statement(Oid relid, TriggerEvent event)
{
	for (int i = open_count - 1; i >= 0; i--)
	{
		OpenStatement statement = open_statements[i];

		if (statement.relid == relid &&
			statement.event == (event & TRIGGER_EVENT_OPMASK))
		{
			memmove(&open_statements[i], &open_statements[i + 1],
					(open_count - i - 1) * sizeof(OpenStatement));
			open_count--;
			return statement.cid;
		}
	}
	return FirstCommandId;
}

/*
 * Fail with 55006 where a statement of this session is editing entities, or a
 * function of diagsync is at work: a sync inside it would come before the
 * books of that statement are written.
 */
void
session_check_closed(const char *function)
{
	if (open_count > 0 || exempt_depth != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("diagsync.%s() cannot run inside a statement that is editing diagrams",
						function),
				 errdetail("What that statement changes is not noted yet, and the sync would overlook it."),
				 errhint("Call it in a statement of its own, not from RETURNING or from a trigger of an entity table.")));
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
