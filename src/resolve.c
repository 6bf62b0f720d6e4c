/*
 * resolve.c
 *	  One conflict settled: resolve().
 *
 * It writes the local end only; what it leaves as a local change, the next push
 * sends.
 *
 * May call lock.c, apply.c, attempt.c, changes.c and what is below them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "apply.h"
#include "attempt.h"
#include "candidate.h"
#include "changes.h"
#include "content.h"
#include "directory.h"
#include "function.h"
#include "quota.h"
#include "lock.h"
#include "principal.h"
#include "ratelimit.h"
#include "session.h"
#include "synclog.h"
#include "textarg.h"
#include "ties.h"

/* A call and what comes of it */
typedef struct Resolving
{
	char	   *local;
	char	   *entity_id;
	Resolution	resolution;
	Version		given;			/* the document for "merged" */
	char	   *expected;		/* or NULL */
	char	   *public;			/* the far end, once that is known */
	TupleDesc	tupdesc;
	MemoryContext context;		/* for the row and the far end's name */
	HeapTuple	row;
	TransactionId inserter;		/* to be waited for before the next try */
} Resolving;

static void
parse_arguments(FunctionCallInfo fcinfo, Resolving *resolving)
{
	char	   *resolution;

	resolving->local = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										  "local");
	directory_refuse_null(PG_ARGISNULL(1), "entity_id", resolving->local);
	resolving->entity_id = textarg_get(PG_GETARG_DATUM(1), "entity_id",
									   resolving->local, MAX_ENTITY_ID);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" for entity \"%s\" of diagram \"%s\" must not be null",
						"resolution", resolving->entity_id, resolving->local)));
	resolution = textarg_get(PG_GETARG_DATUM(2), "resolution", resolving->local,
							 MAX_WORD);
	if (!resolution_parse(resolution, &resolving->resolution) ||
		resolving->resolution == RESOLUTION_ABORT ||
		resolving->resolution == RESOLUTION_SKIP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown resolution \"%s\" for entity \"%s\" of diagram \"%s\"",
						resolution, resolving->entity_id, resolving->local),
				 errhint("It is local, public, both, newest or merged.")));
	if (resolving->resolution == RESOLUTION_MERGED)
	{
		if (PG_ARGISNULL(3))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("resolution \"merged\" of entity \"%s\" of diagram \"%s\" needs a document",
							resolving->entity_id, resolving->local),
					 errhint("Give the merged entity as \"doc\".")));
		resolving->given.doc = PG_GETARG_JSONB_P(3);
		if (!JB_ROOT_IS_OBJECT(resolving->given.doc))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the merged document for entity \"%s\" of diagram \"%s\" is not an object",
							resolving->entity_id, resolving->local),
					 errhint("An entity is a JSON object.")));
		content_check(resolving->local, resolving->entity_id, PG_GETARG_DATUM(3),
					  quota_applies());
		resolving->given.at = GetCurrentTimestamp();
		resolving->given.by = principal_current();
	}
	else if (!PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("resolution \"%s\" of entity \"%s\" of diagram \"%s\" takes no document",
						resolution, resolving->entity_id, resolving->local),
				 errhint("Only \"merged\" does.")));
	resolving->expected = PG_ARGISNULL(4) ? NULL :
		textarg_get(PG_GETARG_DATUM(4), "expected", resolving->local, MAX_WORD);
}

/* Keep the row to return, where it survives the subtransaction. */
static void
form_row(Resolving *resolving, const Entity *entity)
{
	MemoryContext caller = MemoryContextSwitchTo(resolving->context);

	resolving->row = changes_form_row(entity, resolving->tupdesc);
	MemoryContextSwitchTo(caller);
}

/*
 * Is the entity still as the caller was shown it?  An error where it is, but
 * has no conflict.
 */
static bool
is_as_expected(const Resolving *resolving, const Entity *entity)
{
	if (resolving->expected != NULL &&
		strcmp(resolving->expected, entity_version(entity)) != 0)
		return false;
	if (entity->conflict == CONFLICT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("entity \"%s\" of diagram \"%s\" has no conflict",
						resolving->entity_id, resolving->local),
				 errhint("diagsync.conflicts() lists the conflicts of a diagram.")));
	return true;
}

/*
 * Does one of these entities refer to that one, which was deleted ("all": at
 * either end, else locally)?
 */
static bool
is_target(List *all_ties, const char *id, bool all)
{
	ListCell   *lc;

	foreach(lc, all_ties)
	{
		const Target *target = ties_target(lfirst(lc), id, strlen(id));

		if (target != NULL && (all || target->deleted_locally))
			return true;
	}
	return false;
}

/* The new id that a renamed entity gets, or NULL if it is not among these */
static const Rename *
find_rename(List *renames, const char *id)
{
	ListCell   *lc;

	foreach(lc, renames)
	{
		if (strcmp(((Rename *) lfirst(lc))->id, id) == 0)
			return lfirst(lc);
	}
	return NULL;
}

static int
compare_items(const ListCell *a, const ListCell *b)
{
	return strcmp(((WorkItem *) lfirst(a))->entity.id,
				  ((WorkItem *) lfirst(b))->entity.id);
}

/*
 * Add items for other entities that have to be dealt with along with this one:
 * what follows it to its new id; what was deleted locally, and is restored
 * because this one is and refers to it, or what "both" restores because this one
 * refers to it; what stays deleted, and is to accept that this one refers to it.
 * Whether they are really needed is known when the entity has been read.
 */
static List *
add_others(const Work *work, const char *id, Ties *ties, TieSet *set,
		   Candidates *candidates)
{
	List	   *others = NIL;	/* in ascending ids, but for those just found */
	List	   *referring = list_make1(ties);
	bool		both = work->resolution == RESOLUTION_BOTH;
	bool		restores = ties->referred_to || both;
	bool		more = ties->targets != NIL || ties->copy_id != NULL;

	/* What is restored may refer to more. */
	while (more)
	{
		int			next = 0;
		int			known = list_length(others);
		Datum		key;

		more = false;
		tieset_rewind(set);
		candidates_rewind(candidates);
		while (candidates_next(candidates, &key))
		{
			char	   *other = TextDatumGetCString(key);
			Ties	   *its = tieset_next(set, other, false);
			const Rename *rename;
			WorkItem   *item;

			CHECK_FOR_INTERRUPTS();
			while (next < known &&
				   strcmp(((WorkItem *) list_nth(others, next))->entity.id,
						  other) < 0)
				next++;
			if (its == NULL || strcmp(other, id) == 0 ||
				(next < known &&
				 strcmp(((WorkItem *) list_nth(others, next))->entity.id,
						other) == 0))
			{
				pfree(other);
				continue;
			}

			rename = find_rename(its->renames, id);
			its->renames = NIL;
			item = work_item(other);
			item->entity.ties = its;
			if (rename != NULL)
			{
				its->renames = list_make1(unconstify(Rename *, rename));
				item->role = ROLE_FOLLOWS;
			}
			else if (!is_target(referring, other, both))
				continue;
			else if (restores)
			{
				referring = lappend(referring, its);
				more = true;
			}
			else
			{
				item->role = ROLE_ACCEPTS;
				item->accepts = id;
			}
			others = lappend(others, item);
		}
		list_sort(others, compare_items);
	}
	return others;
}

/*
 * What ties the entity to others, as all candidates show under a snapshot; NULL
 * if nothing does.  "others": set to items for others, in ascending ids, or NULL.
 */
static Ties *
find_ties(Work *work, const char *id, Snapshot snapshot, List **others)
{
	Candidates *candidates;
	TieSet	   *set;
	Ties	   *ties = NULL;

	if (work->reader.policy->references == 0)
		return NULL;
	candidates = candidates_collect(work->link, snapshot);
	set = ties_collect(&work->reader, candidates, snapshot,
					   work->resolution == RESOLUTION_BOTH);
	ties = tieset_next(set, id, true);
	if (ties != NULL && others != NULL)
	{
		*others = add_others(work, id, ties, set, candidates);
		ties->renames = NIL;	/* the others do not get theirs now */
	}
	tieset_end(set);
	candidates_end(candidates);
	return ties;
}

/* Put the item among the others, in ascending ids. */
static List *
with_others(List *others, WorkItem *item)
{
	int			place = 0;

	while (place < list_length(others) &&
		   strcmp(((WorkItem *) list_nth(others, place))->entity.id,
				  item->entity.id) < 0)
		place++;
	return list_insert_nth(others, place, item);
}

/* Is another item needed, by what is decided about this one? */
static bool
is_needed(const Work *work, const WorkItem *item, const WorkItem *other)
{
	const Entity *entity = &item->entity;
	bool		takes_public = item->effect.local == &entity->public;

	if (other == item || other->role == ROLE_FOLLOWS)
		return true;
	if (entity->conflict != CONFLICT_DANGLING)
		return false;
	if (entity->local.doc == NULL && entity->ties->referred_to)
		return takes_public;
	return other->role == ROLE_ACCEPTS ? takes_public :
		work->resolution == RESOLUTION_BOTH;
}

static List *
needed_items(const Work *work, List *items, const WorkItem *item)
{
	ListCell   *lc;

	foreach(lc, items)
	{
		if (!is_needed(work, item, lfirst(lc)))
			items = foreach_delete_current(items, lc);
	}
	return items;
}

/*
 * Read the items and decide about them.
 */
static void
read_items(Work *work, List *items)
{
	ListCell   *lc;

	foreach(lc, items)
	{
		WorkItem   *item = lfirst(lc);

		(void) reader_read(&work->reader, &item->entity);
		work_decide(work, item);
	}
}

static AttemptEnd
process(void *arg)
{
	Resolving  *resolving = arg;
	Work		work = {0};
	WorkItem   *item = work_item(resolving->entity_id);
	WorkItem   *shown = item;
	List	   *items = NIL;
	Snapshot	snapshot;
	bool		expected;

	work.direction = DIRECTION_NONE;
	work_open(&work, directory_lock_link(resolving->local, NULL, ACCESS_READER),
			  true);
	resolving->public = MemoryContextStrdup(resolving->context,
											work.link->public->id);
	work.resolution = resolving->resolution;
	work.given = &resolving->given;
	work.own = U64FromFullTransactionId(GetTopFullTransactionId());
	work.cautious = true;

	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	item->entity.ties = find_ties(&work, resolving->entity_id, snapshot, &items);
	items = with_others(items, item);
	reader_begin(&work.reader, snapshot);
	UnregisterSnapshot(snapshot);
	read_items(&work, items);
	expected = is_as_expected(resolving, &item->entity);
	items = needed_items(&work, items, item);
	if (expected)
	{
		lock_items(&work, items);
		expected = !work.moved && is_as_expected(resolving, &item->entity);
	}
	if (expected && item->effect.copies)
	{
		shown = work_copy(&work, item);
		items = lappend(items, shown);
	}
	if (expected && !work_has_told_id(item, shown == item ? NULL : shown))
		work.moved = true;
	reader_end(&work.reader);

	if (expected && !work.moved)
	{
		apply_write(&work, items);

		/*
		 * Who syncs or refreshes the link under an older snapshot, in which this
		 * is still a conflict, would record that he has seen what we have not.
		 */
		if (!work.moved)
			directory_touch(work.link->local->id);
		if (quota_applies())
			quota_check_entities(work.link->local, item->effect.copies);
	}
	if (!work.moved)
	{
		snapshot = RegisterSnapshot(GetTransactionSnapshot());
		reader_begin(&work.reader, snapshot);
		shown->entity.ties = NULL;
		(void) reader_read(&work.reader, &shown->entity);
		if (shown->entity.conflict == CONFLICT_NONE &&
			(shown->entity.local_change != CHANGE_NONE ||
			 shown->entity.public_change != CHANGE_NONE))
		{
			/* What comes of it may conflict in another way. */
			reader_end(&work.reader);
			shown->entity.ties = find_ties(&work, shown->entity.id, snapshot,
										   NULL);
			reader_begin(&work.reader, snapshot);
			(void) reader_read(&work.reader, &shown->entity);
		}
		form_row(resolving, &shown->entity);
		reader_end(&work.reader);
		UnregisterSnapshot(snapshot);
	}
	reader_close(&work.reader);
	resolving->inserter = work.inserter;
	return work.moved ? ATTEMPT_AGAIN : expected ? ATTEMPT_DONE : ATTEMPT_UNDONE;
}

/*
 * diagsync.resolve(local, entity_id, resolution, doc, expected)
 *
 * Locks the local directory row FOR NO KEY UPDATE, the shared one FOR KEY SHARE,
 * the local entity and its base row.
 */
DIAGSYNC_FUNCTION(diagsync_resolve)
{
	Resolving	resolving = {0};
	SyncLogEntry entry;
	AttemptEnd	end;

	parse_arguments(fcinfo, &resolving);
	session_check_may_write("resolve", resolving.local, resolving.entity_id);
	if (get_call_result_type(fcinfo, NULL, &resolving.tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	resolving.tupdesc = BlessTupleDesc(resolving.tupdesc);
	resolving.context = CurrentMemoryContext;

	ratelimit_charge("resolve");
	synclog_begin(&entry, "resolve", resolving.local);
	SPI_connect();
	end = attempt_run(process, &resolving, &resolving.inserter,
					  resolving.local);
	entry.public = resolving.public;
	entry.success = end == ATTEMPT_DONE;
	entry.resolved = entry.success ? 1 : 0;
	synclog_write(&entry);
	SPI_finish();
	return HeapTupleGetDatum(resolving.row);
}
