/*
 * ring.c
 *	  Rings of references that a sync would close, found (policy key
 *	  "acyclic").
 *
 * What counts is what the sync would leave at an end that it writes.  So this
 * goes by what would be decided about each entity: from those whose references
 * differ between the ends up to all that they lead to, each entity once and by
 * key.  Rings of references that an end has already are passed over.
 *
 * The first look is taken while candidates are gone through anyway, as if no
 * reference dangled.  Only where that shows a ring, or something dangles, it
 * is looked again, in rounds: who is left as he is, or has references taken
 * back, may close another ring or let another reference dangle (dependency.c).
 *
 * A push may also bring an edit of the shared copy to the local end, as a part
 * of what it merges, while others that belong to it wait for the next pull.
 * What would close a ring there so waits, too.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "reconcile/chosen.h"
#include "reconcile/ringview.h"
#include "server/compat.h"
#include "server/idtable.h"

static void
add_view(Rings *rings, Direction direction, bool locally)
{
	View	   *view = &rings->views[rings->nviews++];

	view->rings = rings;
	view->direction = direction;
	view->locally = locally;
	view->walk = NULL;
}

static void
begin_walks(Rings *rings)
{
	MemoryContext caller = MemoryContextSwitchTo(rings->context);

	for (int i = 0; i < rings->nviews; i++)
		rings->views[i].walk = ringwalk_begin(ringview_targets, ringview_found,
											  &rings->views[i]);
	MemoryContextSwitchTo(caller);
}

static void
end_walks(Rings *rings)
{
	for (int i = 0; i < rings->nviews; i++)
	{
		if (rings->views[i].walk != NULL)
			ringwalk_end(rings->views[i].walk);
		rings->views[i].walk = NULL;
	}
}

/*
 * Begin to look for rings that a sync would close, or that are in conflict:
 * NULL where the policy lets references lead in rings.
 */
Rings *
rings_begin(Reader *reader, const RingRule *rule)
{
	Rings	   *rings;
	MemoryContext caller;

	if (reader->policy->acyclics == 0)
		return NULL;
	rings = palloc0(sizeof(Rings));
	rings->context = AllocSetContextCreate(CurrentMemoryContext,
										   "diagsync rings",
										   ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(rings->context);
	rings->round_context = AllocSetContextCreate(rings->context,
												 "diagsync ring round",
												 ALLOCSET_SMALL_SIZES);
	rings->row_context = AllocSetContextCreate(rings->context,
											   "diagsync ring member",
											   ALLOCSET_DEFAULT_SIZES);
	rings->reader = reader;
	rings->rule = *rule;
	rings->set = ringset_begin();
	rings->tupdesc = CreateTemplateTupleDesc(1);
	TupleDescInitEntry(rings->tupdesc, 1, "id", TEXTOID, -1, 0);
	compat_finish_tupdesc(rings->tupdesc);
	rings->moved = tuplestore_begin_heap(false, false, work_mem);
	if (rule->direction != DIRECTION_PUSH)
		add_view(rings, DIRECTION_PULL, true);
	if (rule->direction != DIRECTION_PULL)
		add_view(rings, DIRECTION_PUSH, false);
	if (rule->direction == DIRECTION_PUSH)
		add_view(rings, DIRECTION_PUSH, true);
	begin_walks(rings);
	MemoryContextSwitchTo(caller);
	return rings;
}

/* Walk from an entity that was read, where an end would get a reference. */
static void
walk_from(Rings *rings, Entity *entity)
{
	rings->given = entity;
	for (int i = 0; i < rings->nviews; i++)
	{
		View	   *view = &rings->views[i];

		if (ringview_changed(view, entity, NIL, true) == NULL)
			continue;
		if (view->direction == DIRECTION_PUSH && !view->locally)
			rings->pushed = true;
		ringwalk_from(view->walk, entity->id);
	}
	rings->given = NULL;
}

/* Do the ends lead to different entities? */
static bool
is_moved(const Policy *policy, const Entity *entity)
{
	for (int i = 0; i < policy->acyclics; i++)
	{
		JsonPointer place = reference_acyclic_place(policy, i);

		if (!json_equal(pointer_value(&place, json_root(entity->local.doc)),
						pointer_value(&place, json_root(entity->public.doc))))
			return true;
	}
	return false;
}

/* Would "both" make a copy of an entity that leads to itself? */
static bool
copies_ring(const Rings *rings, const Entity *entity)
{
	ReferenceScan scan;
	JsonValue	id;

	if (rings->rule.direction == DIRECTION_NONE ||
		rings->rule.resolution != RESOLUTION_BOTH || !decision_copies(entity))
		return false;
	reference_scan_acyclic(&scan, rings->reader->policy, entity->local.doc);
	while (reference_next(&scan, &id))
	{
		if (json_identical(id, json_string(entity->id)))
			return true;
	}
	return false;
}

/*
 * Look at a candidate that was read, as if it depended on nothing.  The reader
 * is between reader_begin() and reader_end().
 */
void
rings_look(Rings *rings, Entity *entity)
{
	Datum		value;
	bool		isnull = false;
	bool		copies = copies_ring(rings, entity);

	if (!copies && !is_moved(rings->reader->policy, entity))
		return;
	rings->has_moved = true;
	rings->suspicious |= copies;
	value = entity->key;
	tuplestore_putvalues(rings->moved, rings->tupdesc, &value, &isnull);
	walk_from(rings, entity);
}

/*
 * All candidates were looked at: may there be a ring, or has something come up
 * by which they are decided about otherwise?
 */
bool
rings_need_search(const Rings *rings, DependencySet *set)
{
	return rings != NULL && rings->has_moved &&
		(rings->suspicious || dependencyset_has_any(set));
}

/* Begin a round: know what entities depend on. */
static void
begin_round(Rings *rings, DependencySet *set, Snapshot snapshot)
{
	MemoryContext caller = MemoryContextSwitchTo(rings->round_context);
	bool		resolving = rings->rule.run != NULL &&
		rings->rule.run->choices != NULL;
	Dependencies *dependencies;
	char	   *id;

	end_walks(rings);
	rings->searching = true;
	rings->more = false;
	rings->known = idtable_create("diagsync ring round", 256,
								  sizeof(Known), rings->round_context);
	dependencyset_rewind(set);
	while ((dependencies = dependencyset_take(set, &id, resolving)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (rings->rule.run != NULL)
			chosen_limit(rings->rule.run, dependencies);
		ringview_know(rings, id)->dependencies = dependencies;
		if (dependencies->copy_id != NULL)
			ringview_know(rings, dependencies->copy_id)->copy_of = id;
	}
	dependencyset_rewind(set);
	begin_walks(rings);
	reader_begin(rings->reader, snapshot);
	MemoryContextSwitchTo(caller);
}

/* End a round: true where it has found what was not known. */
static bool
end_round(Rings *rings)
{
	bool		more;

	reader_end(rings->reader);
	end_walks(rings);
	more = rings->more || ringview_leave(rings);
	rings->unbroken = NIL;
	ringset_settle(rings->set, &rings->rule);
	rings->known = NULL;
	MemoryContextReset(rings->round_context);
	return more;
}

/*
 * The id of the copy that is made of an entity, which gets one that is known
 * in the round if it leads to itself; NULL: of none that anything leads to.
 */
static const char *
copy_of(Rings *rings, const Entity *entity)
{
	MemoryContext caller;
	const char *copy_id;

	if (entity->dependencies != NULL && entity->dependencies->copy_id != NULL)
		return entity->dependencies->copy_id;
	if (!copies_ring(rings, entity))
		return NULL;
	caller = MemoryContextSwitchTo(rings->round_context);
	copy_id = decision_copy_id(rings->reader, entity);
	ringview_know(rings, copy_id)->copy_of = pstrdup(entity->id);
	MemoryContextSwitchTo(caller);
	return copy_id;
}

/* Walk from an entity in a round, and from its copy. */
static void
search_from(Rings *rings, const char *id)
{
	MemoryContext context = AllocSetContextCreate(rings->context,
												  "diagsync ring start",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Entity		entity;
	const char *copy_id;

	CHECK_FOR_INTERRUPTS();
	ringview_read(rings, &entity, id);
	walk_from(rings, &entity);
	copy_id = copy_of(rings, &entity);
	for (int i = 0; copy_id != NULL && i < rings->nviews; i++)
		ringwalk_from(rings->views[i].walk, copy_id);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/*
 * Look for rings in what would be decided about all that moved, with what is
 * known to depend on what.  True where more was found: then the set is to be
 * made anew with that.
 */
bool
rings_search(Rings *rings, DependencySet *set, Snapshot snapshot)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(rings->tupdesc,
													&TTSOpsMinimalTuple);

	begin_round(rings, set, snapshot);
	tuplestore_rescan(rings->moved);
	while (tuplestore_gettupleslot(rings->moved, true, false, slot))
	{
		bool		isnull;
		char	   *id = TextDatumGetCString(slot_getattr(slot, 1, &isnull));

		search_from(rings, id);
		pfree(id);
	}
	ExecDropSingleTupleTableSlot(slot);
	return end_round(rings);
}

/*
 * Rings have been found: no more is looked at, and who is in each is noted.
 */
void
rings_seal(Rings *rings)
{
	if (rings == NULL)
		return;
	end_walks(rings);
	ringset_seal(rings->set);
}

/* Know what a resolution does about those that are in rings already. */
static void
judge_members(Rings *rings)
{
	List	   *ids = ringset_ids(rings->set, NULL);
	ListCell   *lc;

	foreach(lc, ids)
	{
		MemoryContext caller = MemoryContextSwitchTo(rings->row_context);
		Entity		entity;

		CHECK_FOR_INTERRUPTS();
		ringview_read(rings, &entity, lfirst(lc));
		ringview_judge(rings, ringset_find(rings->set, lfirst(lc)), &entity);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(rings->row_context);
	}
	list_free(ids);
}

/*
 * Go on from what is in conflict with what a resolution does about it at the
 * local end: with all that it settles, and all that is in rings with that.
 * True where a ring is left that the last call did not leave: then it is to be
 * called again, with what goes along with less.
 */
bool
rings_settle(Rings *rings, const SyncRun *run, Snapshot snapshot)
{
	int			stuck = ringset_stuck(rings->set);

	if (!rings->has_moved)
		return false;
	rings->rule.direction = DIRECTION_NONE;
	rings->rule.run = run;
	rings->nviews = 0;
	add_view(rings, DIRECTION_NONE, true);
	begin_round(rings, run->dependencies, snapshot);
	judge_members(rings);
	(void) end_round(rings);
	while (rings_search(rings, run->dependencies, snapshot))
		 /* more joins the rings */ ;
	dependencyset_rewind(run->dependencies);
	return ringset_stuck(rings->set) > stuck;
}

/*
 * The ring that an entity is in; NULL: none.  It belongs to the rings.
 */
const Ring *
rings_find(const Rings *rings, const char *id)
{
	const RingMark *mark = ringset_find(rings->set, id);

	return mark != NULL ? &mark->ring : NULL;
}

/*
 * The ids of all entities that are in a ring, ascending.
 */
List *
rings_all(const Rings *rings)
{
	return ringset_ids(rings->set, NULL);
}

/*
 * Is an insert kept as long as another entity keeps its reference to it: since
 * it is in a ring with that one, so that both are left as they are, or in one
 * that is settled, which takes no more from it than its references?
 */
bool
rings_keep(const Rings *rings, const char *id, const char *other)
{
	const RingMark *mark = ringset_find(rings->set, id);

	return ringset_hang_together(rings->set, id, other) ||
		(mark != NULL && mark->ring.in_conflict && !mark->has_conflict &&
		 !mark->ring.is_stuck && mark->ring.side != RING_LEFT);
}

/*
 * Does the push give entities of the shared copy references that they do not
 * have?
 */
bool
rings_are_pushed(const Rings *rings)
{
	return rings->pushed;
}

/*
 * End looking (rings may be NULL).
 */
void
rings_end(Rings *rings)
{
	if (rings == NULL)
		return;
	end_walks(rings);
	tuplestore_end(rings->moved);
	MemoryContextDelete(rings->context);
	pfree(rings);
}
