/*
 * component.c
 *	  Entities that depend on each other by references that would dangle, as
 *	  components: what the rule "newest" makes of one goes for all of it.
 *
 * They are kept in memory (some hundred bytes an entity), as sets with a
 * leader each.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "reconcile/component.h"
#include "server/idtable.h"

/* An entity that depends on others by a reference that would dangle */
typedef struct Component
{
	char	   *id;				/* hash key */
	int			round;			/* in which it was added */
	struct Component *leader;	/* of the component, or itself */

	/* Of a leader: what "newest" makes of all */
	bool		chained;		/* what is kept refers to another deleted */
	bool		some_kept;		/* an edit is newer than a deletion */
	bool		all_kept;		/* other chains depend on them */
} Component;

struct Components
{
	MemoryContext context;
	HTAB	   *hash;			/* NULL: none yet */
	List	   *added;			/* ids of those added in this round */
	int			round;
};

static Component *
find_component(const Components *set, const char *id)
{
	return set->hash == NULL ? NULL :
		hash_search(set->hash, &id, HASH_FIND, NULL);
}

static Component *
need_component(Components *set, const char *id)
{
	Component  *component;
	bool		found;

	if (set->hash == NULL)
	{

		set->hash = idtable_create("diagsync dependencies", 256,
								   sizeof(Component), set->context);
	}
	component = hash_search(set->hash, &id, HASH_ENTER, &found);
	if (!found)
	{
		MemoryContext caller = MemoryContextSwitchTo(set->context);

		component->id = pstrdup(id);
		component->round = set->round;
		component->leader = component;
		component->chained = component->some_kept = component->all_kept = false;
		set->added = lappend(set->added, component->id);
		MemoryContextSwitchTo(caller);
	}
	return component;
}

static Component *
leader_of(Component *component)
{
	while (component->leader != component)
	{
		component->leader = component->leader->leader;
		component = component->leader;
	}
	return component;
}

/*
 * No components yet; they are kept in that memory context.
 */
Components *
components_begin(MemoryContext context)
{
	Components *set = MemoryContextAllocZero(context, sizeof(Components));

	set->context = context;
	return set;
}

/*
 * An entity is to be in a component, if only in one of its own.
 */
void
components_add(Components *set, const char *id)
{
	(void) need_component(set, id);
}

/* Is a deletion older than an edit that refers to what was deleted? */
static bool
is_older(bool locally, TimestampTz deleted_at, TimestampTz at)
{
	return locally ? deleted_at <= at : deleted_at < at;
}

/*
 * A deleted entity, and one that refers to it, are in one component.
 */
void
components_join(Components *set, const Dependency *pair, PairKind kind)
{
	Component  *deleted = leader_of(need_component(set, pair->id));
	Component  *leader = leader_of(need_component(set, pair->other));

	leader->chained |= deleted->chained;
	leader->some_kept |= deleted->some_kept;
	leader->all_kept |= deleted->all_kept;
	deleted->leader = leader;
	switch (kind)
	{
		case PAIR_EDIT:
			leader->some_kept |= is_older(pair->deleted_locally,
										  pair->deleted_at, pair->at);
			break;
		case PAIR_KEPT:
			leader->chained = true;
			break;
		case PAIR_GIVEN_UP:
			leader->all_kept = true;
			break;
	}
}

/*
 * The ids of the entities that got into components since the last call, NIL
 * for none; they belong to the set.
 */
List *
components_next_round(Components *set)
{
	List	   *ids = set->added;

	set->added = NIL;
	set->round++;
	return ids;
}

/*
 * Is an entity one of those that components_next_round() gave last?
 */
bool
components_were_added(const Components *set, const char *id)
{
	const Component *component = find_component(set, id);

	return component != NULL && component->round == set->round - 1;
}

/*
 * The id of an entity that is in a component, as the set keeps it.
 */
const char *
components_id(const Components *set, const char *id)
{
	return find_component(set, id)->id;
}

/*
 * Does an entity stay deleted by the rule "newest", that was deleted at that
 * time, and to which an edit refers, the newest one of that time?  All of a
 * component is kept or stays deleted together.
 */
bool
components_stay_deleted(const Components *set, const char *id, bool locally,
						TimestampTz deleted_at, TimestampTz newest)
{
	const Component *leader = leader_of(find_component(set, id));

	return !is_older(locally, deleted_at, newest) && !leader->all_kept &&
		!(leader->chained && leader->some_kept);
}
