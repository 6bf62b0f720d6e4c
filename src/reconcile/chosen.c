/*
 * chosen.c
 *	  The entities that a sync is limited to: those that the caller names, and
 *	  what has to go along with them so that no reference leads nowhere.
 *
 * Named entities and what they refer to are found by key, and nothing else is
 * read.  So a sync of a few costs what these few cost, however much else has
 * changed.  What refers to an entity, no index tells.  So all changes are
 * looked at, once, where one of the entities is deleted at an end, may be
 * given up because a reference would dangle, or gets a new id by "both".
 *
 * Along go
 * - what is sent refers to, and the other end lacks;
 * - what has changed, and refers to one that an end has deleted;
 * - what hangs together by references that would dangle (dependency.c);
 * - what has changed, and is in a ring with them that would be closed else.
 *
 * A local version that refers to one that gets a new id follows it there.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "reconcile/chosen.h"
#include "reconcile/ring.h"
#include "server/idtable.h"
#include "server/textarg.h"

/* Why an entity is among the chosen ones, the stronger reason last */
typedef enum ChosenKind
{
	CHOSEN_NOT,
	CHOSEN_FOLLOWS,				/* only its references follow a new id */
	CHOSEN_INCLUDED,			/* it goes along */
	CHOSEN_NAMED,				/* the caller has named it */
} ChosenKind;

typedef struct ChosenNode
{
	const char *id;				/* hash key */
	ChosenKind	kind;
	List	   *takes;			/* nodes that go along with it */
	List	   *followers;		/* nodes that follow it to its new id */
} ChosenNode;

typedef struct Chosen
{
	MemoryContext context;
	HTAB	   *nodes;
	List	   *ids;			/* of those that are chosen */
	List	   *waiting;		/* nodes that are so, not yet looked at */
	bool		wide;			/* others may refer to some of them */
} Chosen;

/*
 * The ids in an array that a function was given as an argument about a
 * diagram; palloc'd.  22004 where one is null, 22023 where one is too long to
 * be an entity's.
 */
List *
chosen_arg(Datum array, const char *arg, const char *diagram)
{
	List	   *ids = NIL;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" for diagram \"%s\" must not contain nulls",
							arg, diagram)));
		ids = lappend(ids, textarg_get(values[i], arg, diagram,
									   MAX_ENTITY_ID));
	}
	return ids;
}

static Chosen *
begin(void)
{
	Chosen	   *chosen = palloc0(sizeof(Chosen));

	chosen->context = CurrentMemoryContext;
	chosen->nodes = idtable_create("diagsync chosen entities", 256,
								   sizeof(ChosenNode), chosen->context);
	return chosen;
}

static ChosenNode *
find_node(const Chosen *chosen, const char *id)
{
	return hash_search(chosen->nodes, &id, HASH_FIND, NULL);
}

static ChosenNode *
need_node(Chosen *chosen, const char *id)
{
	bool		found;
	ChosenNode *node = hash_search(chosen->nodes, &id, HASH_ENTER, &found);

	if (!found)
	{
		node->id = MemoryContextStrdup(chosen->context, id);
		node->kind = CHOSEN_NOT;
		node->takes = node->followers = NIL;
	}
	return node;
}

/* Choose an entity, for that reason, unless there is a stronger one. */
static void
choose(Chosen *chosen, ChosenNode *node, ChosenKind kind)
{
	MemoryContext caller = MemoryContextSwitchTo(chosen->context);

	if (node->kind == CHOSEN_NOT)
		chosen->ids = lappend(chosen->ids, unconstify(char *, node->id));
	if (node->kind < CHOSEN_INCLUDED && kind >= CHOSEN_INCLUDED)
		chosen->waiting = lappend(chosen->waiting, node);
	node->kind = Max(node->kind, kind);
	MemoryContextSwitchTo(caller);
}

/* Choose what a document refers to, and the end that is written lacks. */
static void
choose_lacking(SyncRun *run, const Jsonb *doc)
{
	Reader	   *reader = &run->reader;
	bool		push = run->direction == DIRECTION_PUSH;
	Probe	   *written = push ? &reader->public : &reader->local;
	Probe	   *read = push ? &reader->local : &reader->public;
	const Link *link = run->link;
	ReferenceScan scan;
	JsonValue	value;

	reference_scan(&scan, reader->policy, doc);
	while (reference_next(&scan, &value))
	{
		char	   *id = pnstrdup(value.data, value.len);
		Datum		key = CStringGetTextDatum(id);

		CHECK_FOR_INTERRUPTS();
		if (!probe_find(written, push ? link->public->key : link->local->key,
						key) &&
			probe_find(read, push ? link->local->key : link->public->key, key))
			choose(run->chosen, need_node(run->chosen, id), CHOSEN_INCLUDED);
	}
}

/*
 * Choose what goes along with a chosen entity.  What is decided about it here
 * does not know of other entities yet: it is what is done if nothing dangles.
 */
static void
expand(SyncRun *run, const ChosenNode *node)
{
	Chosen	   *chosen = run->chosen;
	Entity		entity = {0};
	Decision	decision;
	const Version *target;
	ListCell   *lc;

	foreach(lc, node->takes)
		choose(chosen, lfirst(lc), CHOSEN_INCLUDED);
	foreach(lc, node->followers)
		choose(chosen, lfirst(lc), CHOSEN_FOLLOWS);
	if (run->reader.policy->references == 0)
		return;

	entity.id = unconstify(char *, node->id);
	entity.key = CStringGetTextDatum(node->id);
	(void) reader_read(&run->reader, &entity);
	decision_make(&decision, &entity, run->direction, run->resolution, NULL);
	target = run->direction == DIRECTION_PUSH ? decision.public :
		decision.local;
	if (target != NULL && target->doc != NULL)
		choose_lacking(run, target->doc);
	if (decision.copies)
		choose_lacking(run, entity.local.doc);
	if (decision.copies ||
		(entity.base.doc != NULL &&
		 (entity.local.doc == NULL) != (entity.public.doc == NULL)))
		chosen->wide = true;
}

/* Choose all that goes along, under a snapshot. */
static void
close_over(SyncRun *run, Snapshot snapshot)
{
	Chosen	   *chosen = run->chosen;
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext,
											  "diagsync chosen entity",
											  ALLOCSET_DEFAULT_SIZES);

	reader_begin(&run->reader, snapshot);
	while (chosen->waiting != NIL)
	{
		ChosenNode *node = llast(chosen->waiting);
		MemoryContext caller = MemoryContextSwitchTo(row);

		CHECK_FOR_INTERRUPTS();
		chosen->waiting = list_delete_last(chosen->waiting);
		expand(run, node);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row);
	}
	reader_end(&run->reader);
	MemoryContextDelete(row);
}

static void
add_to(Chosen *chosen, List **nodes, const char *id)
{
	ChosenNode *node = need_node(chosen, id);
	MemoryContext caller = MemoryContextSwitchTo(chosen->context);

	*nodes = lappend(*nodes, node);
	MemoryContextSwitchTo(caller);
}

/* Note what hangs together by the dependencies of all changes. */
static void
note_dependencies(Chosen *chosen, DependencySet *set)
{
	DependencyKind kind;
	char	   *id;
	char	   *other;

	dependencyset_rewind(set);
	while (dependencyset_read(set, &kind, &id, &other))
	{
		CHECK_FOR_INTERRUPTS();
		switch (kind)
		{
			case DEPENDENCY_REFERRED_TO:
			case DEPENDENCY_TARGET:
				add_to(chosen, &need_node(chosen, id)->takes, other);
				break;
			case DEPENDENCY_COPY:
				add_to(chosen, &need_node(chosen, id)->followers, other);
				break;
			case DEPENDENCY_RENAME:
				break;			/* the same, told to the other one */
		}
		pfree(id);
		pfree(other);
	}
}

/* Note that an entity goes along with what a version refers to, if deleted. */
static void
note_referrer(SyncRun *run, const Entity *entity, const Jsonb *doc,
			  bool locally)
{
	ReferenceScan scan;
	JsonValue	value;
	Deletion	deletion;

	reference_scan(&scan, run->reader.policy, doc);
	while (reference_next(&scan, &value))
	{
		char	   *id = pnstrdup(value.data, value.len);

		CHECK_FOR_INTERRUPTS();
		if (reader_is_deleted(&run->reader, CStringGetTextDatum(id), locally,
							  &deletion))
			add_to(run->chosen, &need_node(run->chosen, id)->takes,
				   entity->id);
	}
}

/* Note what has changed, and refers to what an end has deleted. */
static void
note_referrers(SyncRun *run, Candidates *all, Snapshot snapshot)
{
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext,
											  "diagsync change",
											  ALLOCSET_DEFAULT_SIZES);
	Datum		id;

	candidates_rewind(all);
	reader_begin(&run->reader, snapshot);
	while (candidates_next(all, &id))
	{
		MemoryContext caller = MemoryContextSwitchTo(row);
		Entity		entity = {0};

		CHECK_FOR_INTERRUPTS();
		entity.id = TextDatumGetCString(id);
		entity.key = id;
		(void) reader_read(&run->reader, &entity);
		if (entity.local_change != CHANGE_NONE ||
			entity.public_change != CHANGE_NONE)
		{
			note_referrer(run, &entity, entity.local.doc, false);
			note_referrer(run, &entity, entity.public.doc, true);
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row);
	}
	reader_end(&run->reader);
	MemoryContextDelete(row);
}

/* What makes candidates depend on each other, as far as some are synced. */
static void
collect_dependencies(SyncRun *run, Candidates *candidates, Snapshot snapshot)
{
	RingRule	rule = {run->direction, run->resolution, run};

	run->dependencies = dependencies_collect_for(&run->reader, candidates,
												 snapshot, &rule);
}

/*
 * Has the side that is synced from changed an entity, so that it may break a
 * ring if it goes along?
 */
static bool
has_changed(SyncRun *run, char *id, Snapshot snapshot)
{
	Entity		entity = {.id = id,.key = CStringGetTextDatum(id)};

	reader_begin(&run->reader, snapshot);
	(void) reader_read(&run->reader, &entity);
	reader_end(&run->reader);
	return (run->direction == DIRECTION_PUSH ? entity.local_change :
			entity.public_change) != CHANGE_NONE;
}

/*
 * Choose what is in a ring with chosen entities, as far as dependencies are
 * known, and what goes along with that.  Was there any?
 */
static bool
take_rings(SyncRun *run, Snapshot snapshot)
{
	Chosen	   *chosen = run->chosen;
	const Rings *rings = dependencyset_rings(run->dependencies);
	int			n = list_length(chosen->ids);
	ListCell   *lc;

	if (rings == NULL)
		return false;
	foreach(lc, rings_all(rings))
	{
		char	   *id = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (!chosen_syncs(run, id) && has_changed(run, id, snapshot))
			choose(chosen, need_node(chosen, id), CHOSEN_INCLUDED);
	}
	close_over(run, snapshot);
	return list_length(chosen->ids) > n;
}

/*
 * Look at all changes for what refers to the chosen ones, and begin again.  By
 * what is chosen then, other rings may be closed, and let others dangle.
 */
static void
look_at_all(SyncRun *run, Snapshot snapshot)
{
	Chosen	   *chosen = run->chosen;
	Candidates *all = candidates_collect(run->link, snapshot);
	bool		first = true;
	int			n;
	ListCell   *lc;

	do
	{
		n = list_length(chosen->ids);
		run->reader.by_key = false;
		collect_dependencies(run, all, snapshot);
		note_dependencies(chosen, run->dependencies);
		if (first)
			note_referrers(run, all, snapshot);
		first = false;
		candidates_rewind(all);
		run->reader.by_key = true;

		foreach(lc, chosen->ids)
			chosen->waiting = lappend(chosen->waiting,
									  find_node(chosen, lfirst(lc)));
		close_over(run, snapshot);
		if (run->reader.policy->acyclics == 0)
			break;
		(void) take_rings(run, snapshot);
		if (list_length(chosen->ids) > n)
			dependencyset_end(run->dependencies);
	} while (list_length(chosen->ids) > n);
	candidates_end(all);
}

/*
 * The named entities and what goes along with them as candidates, under a
 * registered snapshot; sets run->chosen and run->dependencies.  An id that
 * neither end has is passed over.  Takes no row locks.
 */
Candidates *
chosen_collect(SyncRun *run, List *ids, Snapshot snapshot)
{
	Chosen	   *chosen = begin();
	Candidates *candidates;
	ListCell   *lc;

	run->chosen = chosen;
	run->reader.by_key = true;
	foreach(lc, ids)
		choose(chosen, need_node(chosen, lfirst(lc)), CHOSEN_NAMED);
	close_over(run, snapshot);

	for (;;)
	{
		candidates = candidates_of(chosen->ids);
		collect_dependencies(run, candidates, snapshot);
		if (!take_rings(run, snapshot))
			break;
		dependencyset_end(run->dependencies);
		candidates_end(candidates);
	}
	if (run->dependencies == NULL ||
		!(chosen->wide || dependencyset_has_any(run->dependencies)))
		return candidates;
	dependencyset_end(run->dependencies);
	candidates_end(candidates);
	look_at_all(run, snapshot);
	return candidates_of(chosen->ids);
}

/*
 * Is an entity synced, being chosen, or since all are?
 */
bool
chosen_syncs(const SyncRun *run, const char *id)
{
	const ChosenNode *node;

	if (run->chosen == NULL)
		return true;
	node = find_node(run->chosen, id);
	return node != NULL && node->kind >= CHOSEN_INCLUDED;
}

/*
 * Do only an entity's references follow what gets a new id?
 */
bool
chosen_follows(const SyncRun *run, const char *id)
{
	const ChosenNode *node = run->chosen != NULL ?
		find_node(run->chosen, id) : NULL;

	return node != NULL && node->kind == CHOSEN_FOLLOWS;
}

/*
 * Forget of what an entity depends on (or NULL) new ids of those that are not
 * chosen: they keep theirs.
 */
void
chosen_limit(const SyncRun *run, Dependencies *dependencies)
{
	ListCell   *lc;

	if (run->chosen == NULL || dependencies == NULL)
		return;
	foreach(lc, dependencies->renames)
	{
		if (!chosen_syncs(run, ((Rename *) lfirst(lc))->id))
			dependencies->renames =
				foreach_delete_current(dependencies->renames, lc);
	}
}

/*
 * Tell a new item why it is chosen.  What it refers to keeps its id if it is
 * not.
 */
void
chosen_mark(const SyncRun *run, SyncItem *item)
{
	const ChosenNode *node;

	if (run->chosen == NULL)
		return;
	node = find_node(run->chosen, item->entity.id);
	item->named = node->kind == CHOSEN_NAMED;
	item->follows = node->kind == CHOSEN_FOLLOWS;
	chosen_limit(run, item->entity.dependencies);
}
