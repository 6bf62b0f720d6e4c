/*
 * refusal.c
 *	  Entities that an end of a link does not take: a CHECK, a unique key or a
 *	  trigger of the application raises an error, or a limit does.
 *
 * In the ordinary case nothing is done about it: a batch is written as it is,
 * and the constraints that are deferred and the limits are checked in the end.
 * Where that fails, all is rolled back, and done again carefully: each batch
 * in a subtransaction of its own, and where that fails by halves, down to the
 * entities that are refused.  These stay as they are at both ends, found again
 * by the next sync, and the rest is written; refused.c knows which they are,
 * and what has to wait for them.  What was refused alone, though not for its
 * own sake, is tried once more after the rest of its batch.
 *
 * Errors that are about the call, the session or the server (serialization,
 * resources, cancel, locks, what cannot happen) are nobody's refusal.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "directory/quota.h"
#include "server/httperror.h"
#include "server/subxact.h"
#include "statement/deferred.h"
#include "sync/refusal.h"
#include "sync/write.h"

/* A part of a batch, to be written whole or not at all */
typedef struct Part
{
	SyncRun    *run;
	List	   *constraints;	/* that can be deferred */
	List	   *items;
	PhaseEnd	end;
} Part;

/* An item that was refused, until it is tried once more */
typedef struct Refused
{
	SyncItem   *item;
	ErrorData  *error;
	bool		own;			/* the limit is one of diagsync's */
} Refused;

/*
 * May an error with that SQLSTATE be an entity's refusal?
 */
static bool
is_refusal(int sqlerrcode)
{
	static const char *const others[] = {
		"08", "0A", "0B", "25", "26", "27", "2D", "34", "3B", "40", "53", "55",
		"57", "58", "72", "F0", "XX",
	};
	const char *code = unpack_sql_state(sqlerrcode);

	for (size_t i = 0; i < lengthof(others); i++)
	{
		if (strncmp(code, others[i], 2) == 0)
			return false;
	}
	return true;
}

/*
 * A sync has failed with the current error, and was rolled back: is it to be
 * done again carefully?  Then the error is flushed.
 */
bool
refusal_begin(Refusals *refusals)
{
	if (!refusals->writing || refusals->careful || !is_refusal(geterrcode()))
		return false;
	FlushErrorState();
	refusals->writing = refusals->counting = false;
	refusals->careful = true;
	return true;
}

/* Has an end room for what the items bring it? */
static void
check_room(const SyncRun *run, List *items, bool locally)
{
	const Diagram *diagram = locally ? run->link->local : run->link->public;
	int64		inserted = 0;
	int64		bytes = 0;
	ListCell   *lc;

	foreach(lc, items)
	{
		const SyncItem *item = lfirst(lc);
		const Version *target = locally ? item->decision.local :
			item->decision.public;

		if (target == NULL || target->doc == NULL)
			continue;
		bytes += (int64) VARSIZE(target->doc);
		if ((locally ? item->entity.local.doc : item->entity.public.doc) == NULL)
			inserted++;
	}
	quota_check_bytes(diagram, bytes);
	quota_check_entities(diagram, inserted);
}

static SubxactEnd
write_part(void *arg)
{
	Part	   *part = arg;
	Refusals   *refusals = part->run->refusals;

	part->end = write_items(part->run, part->items);
	if (part->end != PHASE_DONE)
		return SUBXACT_UNDONE;
	deferred_check(part->constraints);
	if (quota_applies())
	{
		refusals->counting = true;
		check_room(part->run, part->items, true);
		if (part->run->direction == DIRECTION_PUSH)
			check_room(part->run, part->items, false);
		refusals->counting = false;
	}
	return SUBXACT_DONE;
}

/* The items with the copies that they make */
static List *
with_copies(List *originals)
{
	List	   *items = list_copy(originals);
	ListCell   *lc;

	foreach(lc, originals)
	{
		SyncItem   *item = lfirst(lc);

		if (item->copy != NULL)
			items = lappend(items, item->copy);
	}
	return items;
}

/*
 * Write items, whole or not at all.  The error where they are refused, or
 * NULL.
 */
static ErrorData *
try_items(Part *part, List *originals)
{
	ErrorData  *error;
	ListCell   *lc;

	part->items = with_copies(originals);
	(void) subxact_catch(write_part, part, is_refusal, &error);
	if (error == NULL)
		return NULL;
	foreach(lc, part->items)
	{
		SyncItem   *item = lfirst(lc);

		item->local_outcome = item->public_outcome = OUTCOME_WRITTEN;
		item->copy_failed = false;
	}
	return error;
}

/*
 * Write items, by halves where they are refused; adds those that are refused
 * alone to a list.  False where somebody else was faster.
 */
static bool
write_halves(Part *part, List *originals, List **refused)
{
	ErrorData  *error;
	int			n = list_length(originals);

	CHECK_FOR_INTERRUPTS();
	error = try_items(part, originals);
	if (error == NULL)
		return part->end == PHASE_DONE;
	if (n == 1)
	{
		Refused    *one = palloc(sizeof(Refused));

		one->item = linitial(originals);
		one->error = error;
		one->own = part->run->refusals->counting;
		part->run->refusals->counting = false;
		*refused = lappend(*refused, one);
		return true;
	}
	FreeErrorData(error);
	part->run->refusals->counting = false;
	return write_halves(part, list_truncate(list_copy(originals), n / 2),
						refused) &&
		write_halves(part, list_copy_tail(originals, n / 2), refused);
}

/*
 * What was refused alone may be taken now that the rest is there: as long as
 * one is.
 */
static bool
write_once_more(Part *part, List **refused)
{
	bool		progress = true;

	while (progress && *refused != NIL)
	{
		List	   *before = *refused;
		ListCell   *lc;

		progress = false;
		*refused = NIL;
		foreach(lc, before)
		{
			Refused    *one = lfirst(lc);
			int			n = list_length(*refused);

			if (!write_halves(part, list_make1(one->item), refused))
				return false;
			if (list_length(*refused) == n)
				progress = true;
		}
	}
	return true;
}

/*
 * Write a batch carefully.
 */
static PhaseEnd
write_carefully(SyncRun *run, List *items)
{
	Part		part = {.run = run,.constraints = run->constraints,.end = PHASE_DONE};
	List	   *originals = NIL;
	List	   *refused = NIL;
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);

		if (item->copy_of == NULL)
			originals = lappend(originals, item);
		else
			item->copy_of->copy = item;
	}
	if (!write_halves(&part, originals, &refused))
		return part.end;
	if (list_length(refused) < list_length(originals) &&
		!write_once_more(&part, &refused))
		return part.end;
	foreach(lc, refused)
	{
		Refused    *one = lfirst(lc);

		refused_add(run, one->item, unpack_sql_state(one->error->sqlerrcode),
					httperror_reason(one->error, one->own));
		left = lappend(left, one->item);
	}
	return left == NIL ? PHASE_DONE : write_items(run, left);
}

/*
 * Write the decisions on locked items, and of copies, as write_items() does;
 * where something was refused before, leave out what is.
 */
PhaseEnd
refusal_write(SyncRun *run, List *items)
{
	Refusals   *refusals = run->refusals;
	PhaseEnd	end;

	if (refusals->careful)
		return write_carefully(run, items);
	refusals->writing = true;
	end = write_items(run, items);
	refusals->writing = false;
	return end;
}

/*
 * A sync that writes begins: find the constraints that it has to check.  What
 * the transaction has written before, and not yet checked, is checked now: it
 * is not to be refused later.
 */
void
refusal_begin_run(SyncRun *run)
{
	bool		push = run->direction == DIRECTION_PUSH;

	if (push ? run->direct_public : run->direct_local)
		return;					/* the tables are as diagsync has made them */
	run->constraints = deferred_constraints(NIL, STORAGE_LOCAL);
	if (push)
		run->constraints = deferred_constraints(run->constraints,
												run->link->public->storage);
	deferred_check(run->constraints);
}

/*
 * All is written: check what is to be checked then, constraints that are
 * deferred and limits.  A careful sync has done so with each part.
 */
void
refusal_check_end(SyncRun *run, void (*check) (void *arg), void *arg)
{
	Refusals   *refusals = run->refusals;

	if (refusals->careful)
		return;
	refusals->writing = true;
	deferred_check(run->constraints);
	check(arg);
	refusals->writing = false;
}
