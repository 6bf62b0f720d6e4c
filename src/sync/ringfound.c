/*
 * ringfound.c
 *	  What is done about a ring that an end would have: who in it is marked, and
 *	  what is left where nobody's references break it.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "sync/ringfound.h"

/* A ring that what was known before has not broken, as far as an entity is in */
typedef struct Unbroken
{
	RingMark   *mark;
	Bitmapset  *held;			/* what may wait for the next pull, or NULL */
} Unbroken;

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
		if (ringview_read_member(view->rings, &entity, lfirst(lc)) ||
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
			!json_equal(base, pointer_value(&place, json_root(entity->local.doc))))
			local_at = entity->local.at;
		if (entity->public.doc != NULL &&
			!json_equal(base, pointer_value(&place, json_root(entity->public.doc))))
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
		bool		is_copy = ringview_read_member(rings, &entity, lfirst(lc));
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
		bool		is_copy = ringview_read_member(rings, &entity, lfirst(lc));
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
ringfound_note(void *arg, List *ids)
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
ringfound_leave(Rings *rings)
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
