/*
 * ringset.c
 *	  The entities that are in rings which a sync would close: which of them
 *	  hang together, and whose references are taken.
 *
 * While rings are looked for, entities are told what the last round has found,
 * and what this one finds becomes known when it ends (ringset_settle()).  What
 * is found only grows: more entities, more of their references, more that
 * hangs together; so there is an end.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "json/document.h"
#include "reconcile/ringset.h"
#include "server/idtable.h"

struct RingSet
{
	MemoryContext context;
	HTAB	   *marks;			/* of RingMark */
};

/*
 * A new set, empty.
 */
RingSet *
ringset_begin(void)
{
	RingSet    *set = palloc0(sizeof(RingSet));

	set->context = AllocSetContextCreate(CurrentMemoryContext,
										 "diagsync ring members",
										 ALLOCSET_SMALL_SIZES);
	set->marks = idtable_create("diagsync ring members", 16,
								sizeof(RingMark), set->context);
	return set;
}

/*
 * The mark of an entity; NULL where it is in no ring.
 */
RingMark *
ringset_find(const RingSet *set, const char *id)
{
	return hash_search(set->marks, &id, HASH_FIND, NULL);
}

static RingMark *
leader_of(RingMark *mark)
{
	while (mark->leader != mark)
	{
		mark->leader = mark->leader->leader;
		mark = mark->leader;
	}
	return mark;
}

/*
 * The mark of an entity, made where there is none: it is in no conflict yet.
 */
RingMark *
ringset_need(RingSet *set, const char *id)
{
	bool		found;
	RingMark   *mark = hash_search(set->marks, &id, HASH_ENTER, &found);

	if (!found)
	{
		memset(mark, 0, sizeof(RingMark));
		mark->id = MemoryContextStrdup(set->context, id);
		mark->leader = mark;
		mark->local_at = mark->public_at = DT_NOBEGIN;
		mark->resolution = RESOLUTION_SKIP;
	}
	return mark;
}

/*
 * Mark an entity as in a ring by these references; *more is set where that was
 * not known.
 */
RingMark *
ringset_mark(RingSet *set, const char *id, const Bitmapset *places,
			 bool *more)
{
	RingMark   *mark = ringset_need(set, id);
	MemoryContext caller;

	if (!mark->next.in_conflict || !bms_is_subset(places, mark->next.places))
	{
		caller = MemoryContextSwitchTo(set->context);
		mark->next.places = bms_add_members(mark->next.places, places);
		mark->next.in_conflict = true;
		MemoryContextSwitchTo(caller);
		*more = true;
	}
	return mark;
}

/*
 * What an entity has in a ring was edited at these times (DT_NOBEGIN: not).
 */
void
ringset_date(RingMark *mark, TimestampTz local_at, TimestampTz public_at)
{
	RingMark   *leader = leader_of(mark);

	leader->local_at = Max(leader->local_at, local_at);
	leader->public_at = Max(leader->public_at, public_at);
}

/*
 * Two marks are of rings that hang together: false where that was known.
 */
bool
ringset_join(RingMark *mark, RingMark *other)
{
	RingMark   *leader = leader_of(mark);

	other = leader_of(other);
	if (leader == other)
		return false;
	leader->local_at = Max(leader->local_at, other->local_at);
	leader->public_at = Max(leader->public_at, other->public_at);
	other->leader = leader;
	return true;
}

/*
 * Are two entities in rings that hang together?
 */
bool
ringset_hang_together(const RingSet *set, const char *id, const char *other)
{
	RingMark   *mark = ringset_find(set, id);
	RingMark   *other_mark = ringset_find(set, other);

	return mark != NULL && mark->ring.in_conflict && other_mark != NULL &&
		other_mark->ring.in_conflict &&
		leader_of(mark) == leader_of(other_mark);
}

/*
 * Nobody's references break the ring that an entity is in: it is left as it
 * is.  False where that was known.
 */
bool
ringset_strand(RingMark *mark)
{
	if (mark->next.is_stuck && mark->next.in_conflict)
		return false;
	mark->next.is_stuck = mark->next.in_conflict = true;
	return true;
}

/*
 * How many entities are in rings that nobody's references break?
 */
int
ringset_stuck(const RingSet *set)
{
	HASH_SEQ_STATUS all;
	RingMark   *mark;
	int			n = 0;

	hash_seq_init(&all, set->marks);
	while ((mark = hash_seq_search(&all)) != NULL)
		n += mark->ring.is_stuck;
	return n;
}

/*
 * A push is not to bring these references to the local end.  False where that
 * was known.
 */
bool
ringset_hold(RingSet *set, RingMark *mark, const Bitmapset *places)
{
	MemoryContext caller;

	if (bms_is_subset(places, mark->next.held))
		return false;
	caller = MemoryContextSwitchTo(set->context);
	mark->next.held = bms_add_members(mark->next.held, places);
	MemoryContextSwitchTo(caller);
	return true;
}

/* What is done about the conflict of an entity that is in a ring */
static Resolution
resolution_of(const RingRule *rule, const RingMark *mark)
{
	if (rule->direction != DIRECTION_NONE || rule->run == NULL)
		return rule->resolution;
	return mark->choice != NULL ? mark->choice->resolution : RESOLUTION_SKIP;
}

/* All of the rings that hang together are settled by one rule, if by any. */
static void
choose_rules(RingSet *set, const RingRule *rule)
{
	HASH_SEQ_STATUS all;
	RingMark   *mark;

	hash_seq_init(&all, set->marks);
	while ((mark = hash_seq_search(&all)) != NULL)
	{
		mark->resolution = RESOLUTION_SKIP;
		mark->disputed = false;
	}
	hash_seq_init(&all, set->marks);
	while ((mark = hash_seq_search(&all)) != NULL)
	{
		Resolution	resolution = resolution_of(rule, mark);
		RingMark   *leader = leader_of(mark);

		leader->disputed |= mark->is_changed;
		if (resolution == RESOLUTION_ABORT || resolution == RESOLUTION_SKIP ||
			resolution == RESOLUTION_MERGED)
			continue;
		leader->disputed |= leader->resolution != RESOLUTION_SKIP &&
			leader->resolution != resolution;
		leader->resolution = resolution;
	}
}

/* Whose references a rule takes */
static RingSide
side_of(const RingMark *leader)
{
	switch (leader->resolution)
	{
		case RESOLUTION_LOCAL:
			return RING_LOCAL;
		case RESOLUTION_PUBLIC:
		case RESOLUTION_BOTH:
			return RING_PUBLIC;
		case RESOLUTION_NEWEST:
			return leader->local_at > leader->public_at ? RING_LOCAL :
				RING_PUBLIC;
		default:
			return RING_LEFT;
	}
}

/*
 * From now on entities are told of what was found so far, and what the rule
 * makes of it.
 */
void
ringset_settle(RingSet *set, const RingRule *rule)
{
	MemoryContext caller = MemoryContextSwitchTo(set->context);
	HASH_SEQ_STATUS all;
	RingMark   *mark;

	choose_rules(set, rule);
	hash_seq_init(&all, set->marks);
	while ((mark = hash_seq_search(&all)) != NULL)
	{
		RingMark   *leader = leader_of(mark);

		mark->next.side = side_of(leader);
		mark->next.is_stuck |= leader->disputed;
		mark->next.members = mark->ring.members;
		mark->ring = mark->next;
		mark->ring.places = bms_copy(mark->next.places);
		mark->ring.held = bms_copy(mark->next.held);
	}
	MemoryContextSwitchTo(caller);
}

static int
compare_ids(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/*
 * The ids of all that are in a ring, or of those in rings that hang together
 * with that of one entity; ascending.
 */
List *
ringset_ids(const RingSet *set, const char *with)
{
	HASH_SEQ_STATUS all;
	RingMark   *mark;
	RingMark   *one = with != NULL ? ringset_find(set, with) : NULL;
	List	   *ids = NIL;

	if (with != NULL && one == NULL)
		return NIL;
	hash_seq_init(&all, set->marks);
	while ((mark = hash_seq_search(&all)) != NULL)
	{
		if (mark->next.in_conflict &&
			(one == NULL || leader_of(mark) == leader_of(one)))
			ids = lappend(ids, unconstify(char *, mark->id));
	}
	list_sort(ids, compare_ids);
	return ids;
}

static int
compare_members(const ListCell *a, const ListCell *b)
{
	RingMark   *mark = lfirst(a);
	RingMark   *other = lfirst(b);
	RingMark   *leader = leader_of(mark);
	RingMark   *other_leader = leader_of(other);

	if (leader != other_leader)
		return strcmp(leader->id, other_leader->id);
	return strcmp(mark->id, other->id);
}

/*
 * Note of each entity who is in rings with it, for the version that callers
 * are shown.
 */
void
ringset_seal(RingSet *set)
{
	MemoryContext caller = MemoryContextSwitchTo(set->context);
	HASH_SEQ_STATUS all;
	RingMark   *mark;
	List	   *marks = NIL;
	int			first = 0;

	hash_seq_init(&all, set->marks);
	while ((mark = hash_seq_search(&all)) != NULL)
	{
		if (mark->next.in_conflict)
			marks = lappend(marks, mark);
	}
	list_sort(marks, compare_members);
	while (first < list_length(marks))
	{
		RingMark   *leader = leader_of(list_nth(marks, first));
		Digest	   *digest = digest_begin();
		char	   *hex;
		int			end;

		for (end = first; end < list_length(marks) &&
			 leader_of(list_nth(marks, end)) == leader; end++)
			digest_string(digest, ((RingMark *) list_nth(marks, end))->id);
		hex = digest_end(digest);
		for (; first < end; first++)
			((RingMark *) list_nth(marks, first))->ring.members = hex;
	}
	list_free(marks);
	MemoryContextSwitchTo(caller);
}

/*
 * Free the set.
 */
void
ringset_end(RingSet *set)
{
	if (set == NULL)
		return;
	MemoryContextDelete(set->context);
	pfree(set);
}
