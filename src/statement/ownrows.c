/*
 * ownrows.c
 *	  Which rows diagsync's own commands write: those record their changes
 *	  themselves, and nothing else does.
 *
 * A row is diagsync's own if a command of diagsync's writes it, in the table
 * and by the operation that the command is for.  A trigger knows the command
 * by the snapshot that it runs under, which bears a mark; whatever an
 * application has hung on the tables (a trigger, its WHEN, a default, a CHECK,
 * an index, a policy, a rule, a foreign key) writes under another snapshot, or
 * another table, or by another operation.  How deep in the stack that happens
 * does not matter.
 *
 * An UPDATE or DELETE of diagsync's reaches its rows by ctid, so each is the
 * version that was locked, and comes once.  An INSERT's row is its own if it
 * has one of the keys that were given, each once: a trigger may have made it
 * another.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"

#include "statement/ownrows.h"

static OwnStatement *running = NULL;	/* the innermost */
static uint32 last_mark = 0;

/*
 * A command is about to run; it is not known yet what it writes.  The struct
 * has to last until ownrows_end().
 */
void
ownrows_begin(OwnStatement *own)
{
	if (++last_mark == 0)
		last_mark = 1;			/* 0 is what other snapshots have */
	memset(own, 0, sizeof(OwnStatement));
	own->mark = last_mark;
	own->around = running;
	running = own;
}

/*
 * It has run, or failed.
 */
void
ownrows_end(const OwnStatement *own)
{
	running = own->around;
}

/*
 * Forget all of them, at the end of a transaction.
 */
void
ownrows_reset(void)
{
	running = NULL;
}

/*
 * Is a command of diagsync's own at work?
 */
bool
ownrows_is_running(void)
{
	return running != NULL;
}

/*
 * Set *marked to the snapshot, with the command's mark: the field is one that
 * snapshots of this kind have no use for, and copies of them keep.  To be
 * given to SPI, which makes a copy.
 */
void
ownrows_mark(const OwnStatement *own, SnapshotData *marked, Snapshot snapshot)
{
	*marked = *snapshot;
	marked->speculativeToken = own->mark;
}

/*
 * The command of diagsync's own for which a trigger of that table fires, or
 * NULL where it fires for something else.
 */
const OwnStatement *
ownrows_find(Oid relid, TriggerEvent event)
{
	if (running != NULL && running->relid == relid &&
		running->event == (event & TRIGGER_EVENT_OPMASK) &&
		ActiveSnapshotSet() &&
		GetActiveSnapshot()->speculativeToken == running->mark)
		return running;
	return NULL;
}

/*
 * Begin to look through the rows that an INSERT of diagsync's own has stored.
 */
void
ownrows_match_begin(OwnRows *rows, const OwnStatement *own)
{
	rows->own = own;
	rows->n = rows->next = 0;
	rows->ids = NULL;
	if (own->ids != (Datum) 0)
		deconstruct_array(DatumGetArrayTypeP(own->ids), TEXTOID, -1, false,
						  TYPALIGN_INT, &rows->ids, NULL, &rows->n);
}

static bool
same_text(Datum a, Datum b)
{
	return DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, a,
												b));
}

/*
 * Is the next row its own?  They come in the order of the keys that it was
 * given, some of which may be missing.
 */
bool
ownrows_match(OwnRows *rows, Datum diagram, Datum id)
{
	if (rows->own->diagram != (Datum) 0 &&
		!same_text(rows->own->diagram, diagram))
		return false;
	if (rows->own->ids == (Datum) 0)
		return true;
	for (int i = rows->next; i < rows->n; i++)
	{
		if (same_text(rows->ids[i], id))
		{
			rows->next = i + 1;
			return true;
		}
	}
	return false;
}
