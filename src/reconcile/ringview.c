/*
 * ringview.c
 *	  What an end would hold after a sync, as far as references lead in rings;
 *	  and what is done about a ring there.
 *
 * Entities are read one by one, by key, and decided about as the sync would.
 * Who is in a ring that the end does not have yet is marked.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "reconcile/chosen.h"
#include "reconcile/company.h"
#include "reconcile/cycle.h"
#include "reconcile/refused.h"
#include "reconcile/ringview.h"

/* An entity in a ring that what was known before has not broken */
typedef struct Unbroken
{
	RingMark   *mark;
	Bitmapset  *held;			/* what may wait for the next pull, or NULL */
} Unbroken;

static const Known *
find_known(const Rings *rings, const char *id)
{
	return rings->known == NULL ? NULL :
		hash_search(rings->known, &id, HASH_FIND, NULL);
}

/*
 * What is known of an entity in a round, to be set.  "id" belongs to the
 * round.
 */
Known *
ringview_know(Rings *rings, const char *id)
{
	bool		is_known;
	Known	   *known = hash_search(rings->known, &id, HASH_ENTER, &is_known);

	if (!is_known)
	{
		known->dependencies = NULL;
		known->copy_of = NULL;
	}
	return known;
}

/* What an entity depends on, with the ring that it is in; NULL: nothing */
static Dependencies *
dependencies_of(const Rings *rings, const char *id)
{
	const Known *known = find_known(rings, id);
	const Ring *ring = rings_find(rings, id);
	Dependencies *dependencies = known != NULL ? known->dependencies : NULL;

	if (ring != NULL)
	{
		Dependencies *with = palloc0(sizeof(Dependencies));

		if (dependencies != NULL)
			*with = *dependencies;
		with->ring = ring;
		return with;
	}
	return dependencies;
}

/*
 * Read any entity, out of the order of the candidates.  The reader is between
 * reader_begin() and reader_end().
 */
void
ringview_read(Rings *rings, Entity *entity, const char *id)
{
	Reader	   *reader = rings->reader;

	memset(entity, 0, sizeof(Entity));
	entity->id = pstrdup(id);
	entity->key = CStringGetTextDatum(id);
	entity->dependencies = dependencies_of(rings, id);

	/* Base rows are not to be walked through to get there. */
	(void) probe_find(&reader->base, reader->link->local->key, entity->key);
	(void) reader_read(reader, entity);
}

static const Jsonb *
doc_before(const View *view, const Entity *entity)
{
	return view->locally ? entity->local.doc : entity->public.doc;
}

/*
 * Note what a resolution does about an entity that was read, for good: before
 * more is known of rings, it is as the caller was shown it.
 */
void
ringview_judge(const Rings *rings, RingMark *mark, const Entity *entity)
{
	const SyncRun *run = rings->rule.run;

	if (mark->is_judged || run == NULL || run->choices == NULL)
		return;
	mark->is_judged = true;
	mark->choice = company_choice(run, entity, &mark->is_changed);
}

/* What a resolution does about an entity; NULL: nothing */
static const Choice *
choice_for(const Rings *rings, const Entity *entity)
{
	const RingMark *mark = ringset_find(rings->set, entity->id);
	bool		is_changed;

	return mark != NULL && mark->is_judged ? mark->choice :
		company_choice(rings->rule.run, entity, &is_changed);
}

/* Decide about an entity as the sync or resolution would. */
static void
decide(const View *view, Entity *entity, Decision *decision)
{
	const RingRule *rule = &view->rings->rule;
	const SyncRun *run = rule->run;

	if (run != NULL && run->choices != NULL)
	{
		const Choice *choice = choice_for(view->rings, entity);

		decision_make(decision, entity, view->direction,
					  choice != NULL ? choice->resolution : RESOLUTION_SKIP,
					  choice != NULL ? &choice->given : NULL);
	}
	else if (run == NULL || (chosen_syncs(run, entity->id) &&
							 !refused_holds(run, entity->id)))
		decision_make(decision, entity, view->direction, rule->resolution,
					  NULL);
	else if (view->locally && chosen_follows(run, entity->id))
		decision_follow(decision, entity);
	else
		memset(decision, 0, sizeof(Decision));
}

static const Jsonb *
doc_after(const View *view, Entity *entity)
{
	Decision	decision;
	const Version *target;

	decide(view, entity, &decision);
	target = view->locally ? decision.local : decision.public;
	return target != NULL ? target->doc : doc_before(view, entity);
}

/* The document of the copy that "both" makes of an entity; NULL: of none */
static const Jsonb *
doc_of_copy(const View *view, Entity *entity)
{
	Decision	decision;

	decide(view, entity, &decision);
	if (!decision.copies)
		return NULL;
	return cycle_break(entity, decision_redirect(entity, &entity->local))->doc;
}

/*
 * Where an entity leads to, as an end would hold it: see RingTargets.
 */
List *
ringview_targets(void *arg, const char *id)
{
	View	   *view = arg;
	Rings	   *rings = view->rings;
	MemoryContext caller = MemoryContextSwitchTo(rings->row_context);
	const Known *known = find_known(rings, id);
	const char *copy_of = known != NULL ? known->copy_of : NULL;
	Entity		entity;
	const Jsonb *doc;
	ReferenceScan scan;
	JsonValue	target;
	List	   *targets = NIL;

	if (rings->given != NULL && strcmp(rings->given->id, id) == 0)
		doc = doc_after(view, rings->given);
	else
	{
		ringview_read(rings, &entity, copy_of != NULL ? copy_of : id);
		doc = copy_of != NULL ? doc_of_copy(view, &entity) :
			doc_after(view, &entity);
	}
	reference_scan_acyclic(&scan, rings->reader->policy, doc);
	MemoryContextSwitchTo(caller);
	while (reference_next(&scan, &target))
	{
		char	   *other = pnstrdup(target.data, target.len);

		if (copy_of != NULL && strcmp(other, copy_of) == 0)
			other = pstrdup(id);
		targets = lappend(targets, other);
	}
	MemoryContextReset(rings->row_context);
	return targets;
}

static bool
has_id(List *ids, JsonValue id)
{
	int			low = 0;
	int			high = list_length(ids);
	JsonKey		key = {id.data, id.len};

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		const char *other = list_nth(ids, middle);
		int			order = memcmp(other, key.name,
								   Min((int) strlen(other), key.len));

		if (order == 0)
			order = (int) strlen(other) - key.len;
		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Has a version another reference than the base, by the number of a pointer? */
static bool
has_changed(const Policy *policy, int number, const Version *version,
			const Version *base)
{
	JsonPointer place = reference_acyclic_place(policy, number);

	return version->doc != NULL &&
		!json_equal(pointer_value(&place, json_root(version->doc)),
					pointer_value(&place, json_root(base->doc)));
}

/*
 * The references of an entity to some ids (NIL: to any) by which an end would
 * differ from what it has ("added"), or by which the versions do, too: numbers
 * of their places.
 */
Bitmapset *
ringview_changed(const View *view, Entity *entity, List *ids, bool added)
{
	const Policy *policy = view->rings->reader->policy;
	const Jsonb *before = doc_before(view, entity);
	Bitmapset  *places = NULL;
	ReferenceScan scan;
	JsonValue	id;

	reference_scan_acyclic(&scan, policy, doc_after(view, entity));
	while (reference_next(&scan, &id))
	{
		int			number = scan.pointer - policy->acyclic;

		if (ids != NIL && !has_id(ids, id))
			continue;
		if (!reference_is_at(scan.pointer, before, id) ||
			(!added && (has_changed(policy, number, &entity->local,
									&entity->base) ||
						has_changed(policy, number, &entity->public,
									&entity->base))))
			places = bms_add_member(places, number);
	}
	return places;
}

/*
 * Read the entity with an id that was come by in a ring: of a copy, the one
 * that it is made of.  Returns whether it is a copy.
 */
static bool
read_member(Rings *rings, Entity *entity, const char *id)
{
	const Known *known = find_known(rings, id);
	bool		is_copy = known != NULL && known->copy_of != NULL;

	ringview_read(rings, entity, is_copy ? known->copy_of : id);
	return is_copy;
}

static int
compare_ids(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* All references of an entity that lead in no ring by themselves */
static Bitmapset *
all_places(const Policy *policy)
{
	Bitmapset  *places = NULL;

	for (int i = 0; i < policy->acyclics; i++)
		places = bms_add_member(places, i);
	return places;
}

/* Would the end have a ring of these entities that it does not have? */
static bool
is_new(View *view, List *ids)
{
	ListCell   *lc;

	foreach(lc, ids)
	{
		Entity		entity;

		CHECK_FOR_INTERRUPTS();
		if (read_member(view->rings, &entity, lfirst(lc)) ||
			ringview_changed(view, &entity, ids, true) != NULL)
			return true;
	}
	return false;
}

/* Note when what an entity has in a ring was edited. */
static void
note_times(RingMark *mark, const Entity *entity, const Bitmapset *places)
{
	const Policy *policy = entity->threeway.policy;
	TimestampTz local_at = DT_NOBEGIN;
	TimestampTz public_at = DT_NOBEGIN;
	int			number = -1;

	while ((number = bms_next_member(places, number)) >= 0)
	{
		JsonPointer place = reference_acyclic_place(policy, number);
		JsonValue	base = pointer_value(&place, json_root(entity->base.doc));

		if (entity->local.doc != NULL &&
			!json_equal(base, pointer_value(&place,
											json_root(entity->local.doc))))
			local_at = entity->local.at;
		if (entity->public.doc != NULL &&
			!json_equal(base, pointer_value(&place,
											json_root(entity->public.doc))))
			public_at = entity->public.at;
	}
	ringset_date(mark, local_at, public_at);
}

/* To be looked at when the round ends, if it has found nothing new */
static void
note_unbroken(Rings *rings, RingMark *mark, const Bitmapset *held)
{
	MemoryContext caller = MemoryContextSwitchTo(rings->round_context);
	Unbroken   *unbroken = palloc(sizeof(Unbroken));

	unbroken->mark = mark;
	unbroken->held = bms_copy(held);
	rings->unbroken = lappend(rings->unbroken, unbroken);
	MemoryContextSwitchTo(caller);
}

/*
 * Mark what changed in a ring.  Where all of that was marked before, what has
 * come of it has not broken the ring.
 */
static bool
mark_ring(View *view, List *ids)
{
	Rings	   *rings = view->rings;
	bool		more = false;
	List	   *marks = NIL;
	ListCell   *lc;

	foreach(lc, ids)
	{
		Entity		entity;
		bool		is_copy = read_member(rings, &entity, lfirst(lc));
		Bitmapset  *places = is_copy ? all_places(rings->reader->policy) :
			ringview_changed(view, &entity, ids, false);
		RingMark   *mark;

		CHECK_FOR_INTERRUPTS();
		if (places == NULL || (entity.local_change == CHANGE_NONE &&
							   entity.public_change == CHANGE_NONE))
			continue;
		mark = ringset_mark(rings->set, entity.id, places, &more);
		mark->has_conflict = entity.conflict != CONFLICT_NONE &&
			entity.conflict != CONFLICT_CYCLE;
		ringview_judge(rings, mark, &entity);
		note_times(mark, &entity, places);
		if (marks != NIL)
			more |= ringset_join(linitial(marks), mark);
		marks = lappend(marks, mark);
	}
	foreach(lc, more ? NIL : marks)
		note_unbroken(rings, lfirst(lc), NULL);
	return more;
}

/*
 * A push would close a ring at the local end by what it brings there: that is
 * to wait for the next pull, unless something else breaks the ring.
 */
static void
hold_ring(View *view, List *ids)
{
	Rings	   *rings = view->rings;
	ListCell   *lc;

	foreach(lc, ids)
	{
		Entity		entity;
		bool		is_copy = read_member(rings, &entity, lfirst(lc));
		Bitmapset  *places = is_copy ? all_places(rings->reader->policy) :
			ringview_changed(view, &entity, ids, true);

		CHECK_FOR_INTERRUPTS();
		if (places != NULL)
			note_unbroken(rings, ringset_need(rings->set, entity.id), places);
	}
}

/*
 * Entities that lie in rings together were found, of a view: see RingFound.
 */
void
ringview_found(void *arg, List *ids)
{
	View	   *view = arg;
	Rings	   *rings = view->rings;
	MemoryContext caller;

	if (!rings->searching)
	{
		rings->suspicious = true;
		return;
	}
	caller = MemoryContextSwitchTo(rings->row_context);
	ids = list_copy(ids);
	list_sort(ids, compare_ids);
	if (!is_new(view, ids))
		 /* it is there already */ ;
	else if (view->direction == DIRECTION_PUSH && view->locally)
		hold_ring(view, ids);
	else
		rings->more |= mark_ring(view, ids);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(rings->row_context);
}

/*
 * A round has found nothing new, but rings are left that nobody's references
 * break.  What a push brings to the local end can wait; where there is none of
 * that (any more), all of the ring is left as it is.
 */
bool
ringview_leave(Rings *rings)
{
	bool		more = false;
	ListCell   *lc;

	foreach(lc, rings->unbroken)
	{
		Unbroken   *unbroken = lfirst(lc);

		if (unbroken->held != NULL)
			more |= ringset_hold(rings->set, unbroken->mark, unbroken->held);
	}
	foreach(lc, more ? NIL : rings->unbroken)
	{
		Unbroken   *unbroken = lfirst(lc);

		if (unbroken->held != NULL)
			(void) ringset_mark(rings->set, unbroken->mark->id,
								unbroken->held, &more);
		more |= ringset_strand(unbroken->mark);
	}
	return more;
}
