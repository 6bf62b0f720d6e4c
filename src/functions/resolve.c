/*
 * resolve.c
 *	  One conflict settled: resolve().
 *
 * It writes the local copy only; what it leaves as a local change, the next
 * push sends.
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

#include "directory/content.h"
#include "directory/directory.h"
#include "directory/quota.h"
#include "directory/ratelimit.h"
#include "directory/synclog.h"
#include "functions/changes.h"
#include "principal/principal.h"
#include "server/sqlfunction.h"
#include "server/subxact.h"
#include "server/textarg.h"
#include "statement/statement.h"
#include "sync/dependency.h"
#include "sync/lock.h"
#include "sync/write.h"
#include "tracking/candidate.h"

/* A call and what comes of it */
typedef struct Resolving
{
	char	   *local;
	char	   *entity_id;
	Resolution	resolution;
	Version		given;			/* the document for "merged" */
	char	   *expected;		/* or NULL */
	char	   *public;			/* the shared copy, once that is known */
	TupleDesc	tupdesc;
	MemoryContext context;		/* for the row and the shared copy's name */
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
		content_check(resolving->local, resolving->entity_id,
					  PG_GETARG_DATUM(3),
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
is_target(List *all_dependencies, const char *id, bool all)
{
	ListCell   *lc;

	foreach(lc, all_dependencies)
	{
		const Target *target = dependencies_target(lfirst(lc), id, strlen(id));

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
	return strcmp(((SyncItem *) lfirst(a))->entity.id,
				  ((SyncItem *) lfirst(b))->entity.id);
}

/*
 * Add items for other entities that have to be dealt with along with this one:
 * what follows it to its new id; what was deleted locally, and is restored
 * because this one is and refers to it, or what "both" restores because this
 * one refers to it; what stays deleted, and is to accept that this one refers
 * to it. Whether they are really needed is known when the entity has been
 * read.
 */
static List *
add_others(const SyncRun *run, const char *id, Dependencies *dependencies,
		   DependencySet *set,
		   Candidates *candidates)
{
	List	   *others = NIL;	/* in ascending ids, but for those just found */
	List	   *referring = list_make1(dependencies);
	bool		both = run->resolution == RESOLUTION_BOTH;
	bool		restores = dependencies->referred_to || both;
	bool		more = dependencies->targets != NIL || dependencies->copy_id != NULL;

	/* What is restored may refer to more. */
	while (more)
	{
		int			next = 0;
		int			known = list_length(others);
		Datum		key;

		more = false;
		dependencyset_rewind(set);
		candidates_rewind(candidates);
		while (candidates_next(candidates, &key))
		{
			char	   *other = TextDatumGetCString(key);
			Dependencies *its = dependencyset_next(set, other, false);
			const Rename *rename;
			SyncItem   *item;

			CHECK_FOR_INTERRUPTS();
			while (next < known &&
				   strcmp(((SyncItem *) list_nth(others, next))->entity.id,
						  other) < 0)
				next++;
			if (its == NULL || strcmp(other, id) == 0 ||
				(next < known &&
				 strcmp(((SyncItem *) list_nth(others, next))->entity.id,
						other) == 0))
			{
				pfree(other);
				continue;
			}

			rename = find_rename(its->renames, id);
			its->renames = NIL;
			item = syncitem_new(other);
			item->entity.dependencies = its;
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
 * What the entity depends on, as all candidates show under a snapshot; NULL if
 * nothing does.  "others": set to items for others, in ascending ids, or NULL.
 */
static Dependencies *
find_dependencies(SyncRun *run, const char *id, Snapshot snapshot,
				  List **others)
{
	Candidates *candidates;
	DependencySet *set;
	Dependencies *dependencies = NULL;

	if (run->reader.policy->references == 0)
		return NULL;
	candidates = candidates_collect(run->link, snapshot);
	set = dependencies_collect(&run->reader, candidates, snapshot,
							   run->resolution == RESOLUTION_BOTH);
	dependencies = dependencyset_next(set, id, true);
	if (dependencies != NULL && others != NULL)
	{
		*others = add_others(run, id, dependencies, set, candidates);
		dependencies->renames = NIL;	/* the others do not get theirs now */
	}
	dependencyset_end(set);
	candidates_end(candidates);
	return dependencies;
}

/* Put the item among the others, in ascending ids. */
static List *
with_others(List *others, SyncItem *item)
{
	int			place = 0;

	while (place < list_length(others) &&
		   strcmp(((SyncItem *) list_nth(others, place))->entity.id,
				  item->entity.id) < 0)
		place++;
	return list_insert_nth(others, place, item);
}

/* Is another item needed, by what is decided about this one? */
static bool
is_needed(const SyncRun *run, const SyncItem *item, const SyncItem *other)
{
	const Entity *entity = &item->entity;
	bool		takes_public = item->decision.local == &entity->public;

	if (other == item || other->role == ROLE_FOLLOWS)
		return true;
	if (entity->conflict != CONFLICT_DANGLING)
		return false;
	if (entity->local.doc == NULL && entity->dependencies->referred_to)
		return takes_public;
	return other->role == ROLE_ACCEPTS ? takes_public :
		run->resolution == RESOLUTION_BOTH;
}

static List *
needed_items(const SyncRun *run, List *items, const SyncItem *item)
{
	ListCell   *lc;

	foreach(lc, items)
	{
		if (!is_needed(run, item, lfirst(lc)))
			items = foreach_delete_current(items, lc);
	}
	return items;
}

/*
 * Read the items and decide about them.
 */
static void
read_items(SyncRun *run, List *items)
{
	ListCell   *lc;

	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);

		(void) reader_read(&run->reader, &item->entity);
		syncitem_decide(run, item);
	}
}

/*
 * The row that is answered: the entity as it is now.
 */
static void
show_result(Resolving *resolving, SyncRun *run, SyncItem *shown)
{
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());

	reader_begin(&run->reader, snapshot);
	shown->entity.dependencies = NULL;
	(void) reader_read(&run->reader, &shown->entity);
	if (shown->entity.conflict == CONFLICT_NONE &&
		(shown->entity.local_change != CHANGE_NONE ||
		 shown->entity.public_change != CHANGE_NONE))
	{
		/* What comes of it may conflict in another way. */
		reader_end(&run->reader);
		shown->entity.dependencies = find_dependencies(run,
													   shown->entity.id,
													   snapshot,
													   NULL);
		reader_begin(&run->reader, snapshot);
		(void) reader_read(&run->reader, &shown->entity);
	}
	form_row(resolving, &shown->entity);
	reader_end(&run->reader);
	UnregisterSnapshot(snapshot);
}

static SubxactEnd
process(void *arg)
{
	Resolving  *resolving = arg;
	SyncRun		run = {0};
	SyncItem   *item = syncitem_new(resolving->entity_id);
	SyncItem   *shown = item;
	List	   *items = NIL;
	Snapshot	snapshot;
	bool		expected;
	PhaseEnd	end = PHASE_DONE;

	run.direction = DIRECTION_NONE;
	syncrun_open(&run, directory_lock_link(resolving->local, NULL,
										   ACCESS_READER),
				 true);
	resolving->public = MemoryContextStrdup(resolving->context,
											run.link->public->id);
	run.resolution = resolving->resolution;
	run.given = &resolving->given;
	run.own = U64FromFullTransactionId(GetTopFullTransactionId());
	run.lock_all = true;

	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	item->entity.dependencies = find_dependencies(&run, resolving->entity_id,
												  snapshot, &items);
	items = with_others(items, item);
	reader_begin(&run.reader, snapshot);
	UnregisterSnapshot(snapshot);
	read_items(&run, items);
	expected = is_as_expected(resolving, &item->entity);
	items = needed_items(&run, items, item);
	if (expected)
	{
		end = lock_items(&run, items);
		expected = end == PHASE_DONE &&
			is_as_expected(resolving, &item->entity);
	}
	if (expected && item->decision.copies)
	{
		shown = syncitem_copy(&run, item);
		items = lappend(items, shown);
	}
	if (expected && !syncitem_has_announced_id(item,
											   shown == item ? NULL : shown))
		end = PHASE_OVERTAKEN;
	reader_end(&run.reader);

	if (expected && end == PHASE_DONE)
	{
		end = write_items(&run, items);

		/*
		 * Who syncs or refreshes the link under an older snapshot, in which
		 * this is still a conflict, would record as seen what we
		 * have not.
		 */
		if (end == PHASE_DONE)
			directory_touch(run.link->local->id);
		if (quota_applies())
			quota_check_entities(run.link->local, item->decision.copies);
	}
	if (end == PHASE_DONE)
		show_result(resolving, &run, shown);
	reader_close(&run.reader);
	resolving->inserter = run.inserter;
	if (end == PHASE_OVERTAKEN)
		return SUBXACT_AGAIN;
	return expected ? SUBXACT_DONE : SUBXACT_UNDONE;
}

/*
 * diagsync.resolve(local, entity_id, resolution, doc, expected)
 *
 * Locks the local directory row FOR NO KEY UPDATE, the shared one FOR KEY
 * SHARE, the local entity and its base row.
 */
DIAGSYNC_FUNCTION(diagsync_resolve)
{
	Resolving	resolving = {0};
	SyncLogEntry entry;
	SubxactEnd	end;

	parse_arguments(fcinfo, &resolving);
	statement_check_may_write("resolve", resolving.local, resolving.entity_id);
	if (get_call_result_type(fcinfo, NULL,
							 &resolving.tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	resolving.tupdesc = BlessTupleDesc(resolving.tupdesc);
	resolving.context = CurrentMemoryContext;

	ratelimit_charge("resolve");
	synclog_begin(&entry, "resolve", resolving.local);
	SPI_connect();
	end = subxact_run(process, &resolving, &resolving.inserter,
					  resolving.local);
	entry.public = resolving.public;
	entry.success = end == SUBXACT_DONE;
	entry.resolved = entry.success ? 1 : 0;
	synclog_write(&entry);
	SPI_finish();
	return HeapTupleGetDatum(resolving.row);
}
