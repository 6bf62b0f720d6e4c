/*
 * dependency.c
 *	  What makes changed entities depend on each other: references that would
 *	  dangle because the other side deleted what they lead to, or close a ring,
 *	  and references that are to follow an entity that "both" gives a new id.
 *
 * All candidates are looked at before any is decided about, so that a decision
 * does not depend on which batch an entity is in.  A reference costs a look
 * whether what it leads to is there.
 *
 * A conflict over a reference may be settled for either side, and then other
 * references would dangle: those of a deleted entity that is kept, of the old
 * version of one whose edit is given up, and to an insert that is given up.
 * These are added as well, in rounds, until there are no more; so whichever
 * side is taken for all of them, nothing dangles.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "reconcile/decision.h"
#include "reconcile/dependency.h"
#include "reconcile/ring.h"

/* An entity that others refer to, as it was found */
typedef struct Looked
{
	char	   *id;				/* NULL: none yet */
	bool		locally;		/* is it deleted there? else in the shared
								 * copy */
	bool		is_deleted;
	Deletion	deletion;
	char	  **accepted;		/* deletion.accepted, sorted */
	char	   *new_id;			/* it gets from "both"; NULL: none */
	bool		has_new_id;		/* that is known */
} Looked;

typedef struct Finder
{
	Reader	   *reader;
	DependencySet *set;
	const Rings *rings;			/* that have been found so far, or NULL */
	bool		renames;		/* look for those, too */
	bool		chaining;		/* not at candidates any more */
	Looked		looked;			/* what was looked at last: many may refer to
								 * the same entity */
	MemoryContext looked_context;
	MemoryContext row_context;
} Finder;

static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * Look at an entity that others refer to: is it deleted in one copy?
 */
static Looked *
look(Finder *finder, const char *id, bool locally)
{
	Looked	   *looked = &finder->looked;
	MemoryContext caller;
	List	   *accepted;

	if (looked->id != NULL && looked->locally == locally &&
		strcmp(looked->id, id) == 0)
		return looked;

	MemoryContextReset(finder->looked_context);
	caller = MemoryContextSwitchTo(finder->looked_context);
	memset(looked, 0, sizeof(Looked));
	looked->id = pstrdup(id);
	looked->locally = locally;
	looked->is_deleted = reader_is_deleted(finder->reader,
										   CStringGetTextDatum(id), locally,
										   &looked->deletion);
	if (looked->is_deleted && looked->deletion.left_at != DT_NOBEGIN)
	{
		/* What both copies edited may be merged to something that exists. */
		Entity		entity = {0};

		entity.id = looked->id;
		entity.key = CStringGetTextDatum(id);
		(void) reader_read(finder->reader, &entity);
		if (entity.merges && entity_merged(&entity)->doc != NULL)
			looked->is_deleted = false;
	}
	accepted = looked->deletion.accepted;
	if (accepted != NIL)
	{
		int			n = 0;
		ListCell   *lc;

		looked->accepted = palloc(list_length(accepted) * sizeof(char *));
		foreach(lc, accepted)
			looked->accepted[n++] = lfirst(lc);
		qsort(looked->accepted, n, sizeof(char *), compare_strings);
	}
	MemoryContextSwitchTo(caller);
	return looked;
}

/* Has a resolution accepted that the entity dangles from what was looked at? */
static bool
is_accepted(const Looked *looked, const Entity *entity)
{
	ListCell   *lc;

	if (looked->accepted != NULL &&
		bsearch(&entity->id, looked->accepted,
				list_length(looked->deletion.accepted), sizeof(char *),
				compare_strings) != NULL)
		return true;
	foreach(lc, entity->accepted)
	{
		if (strcmp(lfirst(lc), looked->id) == 0)
			return true;
	}
	return false;
}

/*
 * The references of one version of an entity that lead to what a side deleted,
 * as a list of Dependency.  "at" is when the version was edited.
 */
static List *
find_deleted(Finder *finder, const Entity *entity, const Jsonb *doc,
			 bool locally,
			 TimestampTz at)
{
	List	   *pairs = NIL;
	ReferenceScan scan;
	JsonValue	id;

	reference_scan(&scan, finder->reader->policy, doc);
	while (reference_next(&scan, &id))
	{
		char	   *other = pnstrdup(id.data, id.len);
		const Looked *looked;
		Dependency *dependency;

		CHECK_FOR_INTERRUPTS();
		if (strcmp(other, entity->id) == 0)
			continue;
		looked = look(finder, other, locally);
		if (looked->deletion.is_insert && !finder->chaining)
			dependencyset_put_insert(finder->set, other, entity->id, locally);
		if (!looked->is_deleted || is_accepted(looked, entity))
			continue;
		dependency = palloc0(sizeof(Dependency));
		dependency->kind = DEPENDENCY_REFERRED_TO;
		dependency->id = other;
		dependency->other = entity->id;
		dependency->deleted_locally = locally;
		dependency->at = Max(at, looked->deletion.left_at);
		dependency->deleted_at = looked->deletion.at;
		pairs = lappend(pairs, dependency);
	}
	return pairs;
}

static void
put_pairs(Finder *finder, List *pairs, bool keep)
{
	ListCell   *lc;

	foreach(lc, pairs)
	{
		Dependency *dependency = lfirst(lc);

		if (keep)
			dependency->at = DT_NOEND;
		dependencyset_put_pair(finder->set, dependency, PAIR_EDIT);
	}
}

/*
 * The id that "both" gives the local version of an entity; NULL where it gives
 * none.
 */
static const char *
new_id_of(Finder *finder, const char *id)
{
	Looked	   *looked = look(finder, id, false);

	if (!looked->has_new_id)
	{
		MemoryContext caller = MemoryContextSwitchTo(finder->looked_context);
		const Ring *ring = finder->rings != NULL ?
			rings_find(finder->rings, id) : NULL;
		Entity		entity = {0};

		entity.id = looked->id;
		entity.key = CStringGetTextDatum(id);
		(void) reader_read(finder->reader, &entity);
		if (decision_copies(&entity) && (ring == NULL || !ring->is_stuck))
			looked->new_id = decision_copy_id(finder->reader, &entity);
		looked->has_new_id = true;
		MemoryContextSwitchTo(caller);
	}
	return looked->new_id;
}

/*
 * The references that only the local side set, to entities that get a new id.
 */
static void
find_renames(Finder *finder, const Entity *entity, const Jsonb *doc)
{
	ReferenceScan scan;
	JsonValue	id;

	reference_scan(&scan, finder->reader->policy, doc);
	while (reference_next(&scan, &id))
	{
		char	   *other = pnstrdup(id.data, id.len);
		Dependency	dependency = {.kind = DEPENDENCY_RENAME};

		CHECK_FOR_INTERRUPTS();
		if (strcmp(other, entity->id) == 0 ||
			(dependency.new_id = new_id_of(finder, other)) == NULL ||
			reference_is_at(scan.pointer, entity->base.doc, id) ||
			reference_is_at(scan.pointer, entity->public.doc, id))
			continue;
		dependency.id = entity->id;
		dependency.other = other;
		dependencyset_put(finder->set, &dependency);
		dependency.kind = DEPENDENCY_COPY;
		dependency.id = other;
		dependency.other = entity->id;
		dependencyset_put(finder->set, &dependency);
	}
}

/* What an entity becomes that a side edited, if that side wins its conflict */
static const Jsonb *
edited_by(Entity *entity, Side side)
{
	if (entity->merges)
		return entity_merged(entity)->doc;
	if (entity->conflict != CONFLICT_NONE)
		return entity_won(entity, side)->doc;
	return side == SIDE_LOCAL ? entity->local.doc : entity->public.doc;
}

static void
find_dependencies(Finder *finder, Entity *entity)
{
	const Jsonb *local_doc = edited_by(entity, SIDE_LOCAL);
	const Jsonb *public_doc = edited_by(entity, SIDE_PUBLIC);
	List	   *deleted_publicly = NIL;
	List	   *deleted_locally = NIL;
	bool		crossed;

	if (entity->local_change != CHANGE_NONE)
		deleted_publicly = find_deleted(finder, entity, local_doc, false,
										entity->local.at);
	if (entity->public_change != CHANGE_NONE)
		deleted_locally = find_deleted(finder, entity, public_doc, true,
									   entity->public.at);

	/*
	 * Where either version refers to what the other side deleted, "newest"
	 * has none to fall back to: what it refers to is kept.
	 */
	crossed = deleted_publicly != NIL && deleted_locally != NIL;
	put_pairs(finder, deleted_publicly, crossed);
	put_pairs(finder, deleted_locally, crossed);

	if (finder->renames && entity->local_change != CHANGE_NONE)
		find_renames(finder, entity, entity->merges ? local_doc :
					 entity->local.doc);
}

static bool
refers_to(Finder *finder, const Jsonb *doc, const char *id)
{
	ReferenceScan scan;
	JsonValue	value;

	reference_scan(&scan, finder->reader->policy, doc);
	while (reference_next(&scan, &value))
	{
		if (json_identical(value, json_string(id)))
			return true;
	}
	return false;
}

/*
 * What a version of an entity refers to that a side deleted, though no edit of
 * the other side does ("edited": what the edit refers to, if there is one).
 */
static void
chain_version(Finder *finder, const Entity *entity, const Jsonb *doc,
			  bool locally,
			  const Jsonb *edited)
{
	bool		is_deleted = entity->base.doc != NULL &&
		(locally ? entity->local.doc : entity->public.doc) == NULL;
	ListCell   *lc;

	foreach(lc, find_deleted(finder, entity, doc, locally, DT_NOBEGIN))
	{
		Dependency *dependency = lfirst(lc);

		/*
		 * That of an edit is known, unless it may be kept for another's sake.
		 */
		if (!is_deleted && refers_to(finder, edited, dependency->id))
			continue;
		dependency->at = DT_NOBEGIN;
		dependencyset_put_pair(finder->set, dependency,
							   is_deleted ? PAIR_KEPT : PAIR_GIVEN_UP);
	}
}

/*
 * What would dangle if an entity that depends on others already were kept or
 * given up as a whole: as the side has it that does not have the edit, or the
 * deletion.
 */
static void
chain_entity(Finder *finder, const char *id)
{
	Entity		entity = {0};

	entity.id = pstrdup(id);
	entity.key = CStringGetTextDatum(id);
	(void) reader_read(finder->reader, &entity);
	chain_version(finder, &entity, entity.local.doc, false,
				  entity.local_change == CHANGE_NONE ? NULL :
				  edited_by(&entity, SIDE_LOCAL));
	chain_version(finder, &entity, entity.public.doc, true,
				  entity.public_change == CHANGE_NONE ? NULL :
				  edited_by(&entity, SIDE_PUBLIC));
}

/*
 * Add what depends on what was added, until there is no more.
 */
static void
chain(Finder *finder)
{
	List	   *ids;

	finder->chaining = true;
	while ((ids = dependencyset_next_round(finder->set)) != NIL)
	{
		ListCell   *lc;

		foreach(lc, ids)
		{
			MemoryContext caller = MemoryContextSwitchTo(finder->row_context);

			CHECK_FOR_INTERRUPTS();
			chain_entity(finder, lfirst(lc));
			MemoryContextSwitchTo(caller);
			MemoryContextReset(finder->row_context);
		}
		dependencyset_pair_inserts(finder->set);
	}
}

/* Look at all candidates, and at rings among them where "rings" is not NULL. */
static void
look_at_candidates(Finder *finder, Candidates *candidates, Rings *rings)
{
	Datum		id;

	while (candidates_next(candidates, &id))
	{
		MemoryContext caller = MemoryContextSwitchTo(finder->row_context);
		Entity		entity = {0};

		CHECK_FOR_INTERRUPTS();
		entity.id = TextDatumGetCString(id);
		entity.key = id;
		(void) reader_read(finder->reader, &entity);
		find_dependencies(finder, &entity);
		if (rings != NULL)
			rings_look(rings, &entity);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(finder->row_context);
	}
	candidates_rewind(candidates);
}

/*
 * What makes the candidates depend on each other.  The rings (or NULL) that
 * have been found so far join in; "first": they are looked for.
 */
static DependencySet *
collect_round(Reader *reader, Candidates *candidates, Snapshot snapshot,
			  bool renames, Rings *rings, bool first)
{
	Finder		finder = {.reader = reader,.rings = rings,.renames = renames};
	ListCell   *lc;

	finder.set = dependencyset_begin();
	finder.row_context = AllocSetContextCreate(CurrentMemoryContext,
											   "diagsync dependencies",
											   ALLOCSET_DEFAULT_SIZES);
	finder.looked_context = AllocSetContextCreate(CurrentMemoryContext,
												  "diagsync target",
												  ALLOCSET_SMALL_SIZES);
	dependencyset_set_rings(finder.set, rings);
	reader_begin(reader, snapshot);
	look_at_candidates(&finder, candidates, first ? rings : NULL);
	foreach(lc, rings != NULL ? rings_all(rings) : NIL)
		dependencyset_put_member(finder.set, lfirst(lc));
	chain(&finder);
	reader_end(reader);
	MemoryContextDelete(finder.row_context);
	MemoryContextDelete(finder.looked_context);
	dependencyset_settle(finder.set);
	return finder.set;
}

/*
 * Find what makes the candidates depend on each other, under a registered
 * snapshot, for a sync or resolution that does that about conflicts; the
 * candidates are rewound.  NULL where the policy knows no references.
 */
DependencySet *
dependencies_collect_for(Reader *reader, Candidates *candidates,
						 Snapshot snapshot, const RingRule *rule)
{
	bool		renames = rule->resolution == RESOLUTION_BOTH;
	RingRule	shown = {DIRECTION_NONE, RESOLUTION_SKIP, NULL};
	Rings	   *rings;
	DependencySet *set;

	if (reader->policy->references == 0 && reader->policy->acyclics == 0)
		return NULL;
	rings = rings_begin(reader,
						rule->direction == DIRECTION_NONE ? &shown : rule);
	set = collect_round(reader, candidates, snapshot, renames, rings, true);
	if (rings_need_search(rings, set))
	{
		/* What is in a ring may let something dangle, and vice versa. */
		while (rings_search(rings, set, snapshot))
		{
			dependencyset_set_rings(set, NULL);
			dependencyset_end(set);
			set = collect_round(reader, candidates, snapshot, renames, rings,
								false);
		}
	}
	rings_seal(rings);
	return set;
}

/*
 * The same for what is shown of conflicts.  "renames": also what follows an
 * entity that the resolution "both" gives a new id.
 */
DependencySet *
dependencies_collect(Reader *reader, Candidates *candidates, Snapshot snapshot,
					 bool renames)
{
	RingRule	rule = {DIRECTION_NONE, RESOLUTION_SKIP, NULL};

	if (renames)
		rule.resolution = RESOLUTION_BOTH;
	return dependencies_collect_for(reader, candidates, snapshot, &rule);
}
