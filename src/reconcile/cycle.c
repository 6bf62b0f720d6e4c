/*
 * cycle.c
 *	  An entity in a ring that a sync would close: what it is to hold so that
 *	  there is none.
 *
 * Of the whole ring, one side's references are taken back, each with its
 * group. All else of an entity merges, as if it were not in a ring.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "json/document.h"
#include "merge/unit.h"
#include "reconcile/cycle.h"

/* The ring that an entity is in conflict for, or NULL */
static const Ring *
ring_of(const Entity *entity)
{
	const Dependencies *dependencies = entity->dependencies;

	return dependencies != NULL && dependencies->ring != NULL &&
		dependencies->ring->in_conflict &&
		entity->conflict != CONFLICT_UNKNOWN ? dependencies->ring : NULL;
}

/*
 * Where in its document an entity is in a ring: a list of JsonPointer, NIL
 * where it is in none.
 */
List *
cycle_places(const Entity *entity)
{
	const Policy *policy = entity->threeway.policy;
	const Ring *ring = ring_of(entity);
	List	   *places = NIL;
	int			number = -1;

	while (ring != NULL &&
		   (number = bms_next_member(ring->places, number)) >= 0)
	{
		JsonPointer *place = palloc(sizeof(JsonPointer));

		*place = reference_acyclic_place(policy, number);
		places = lappend(places, place);
	}
	return places;
}

/*
 * A digest of who is in rings with an entity; NULL: nobody, as far as
 * conflicts are shown.
 */
const char *
cycle_members(const Entity *entity)
{
	const Ring *ring = ring_of(entity);

	return ring != NULL ? ring->members : NULL;
}

/*
 * Is an entity in a ring that neither side's references break?
 */
bool
cycle_is_stuck(const Entity *entity)
{
	const Ring *ring = ring_of(entity);

	return ring != NULL && ring->is_stuck;
}

/*
 * Is an entity in a ring, and in no other conflict, that one side's references
 * break?
 */
bool
cycle_is_settled(const Entity *entity)
{
	const Ring *ring = ring_of(entity);

	return entity->conflict == CONFLICT_CYCLE && ring != NULL &&
		!ring->is_stuck && ring->side != RING_LEFT;
}

/*
 * An error (55000) where what was chosen for an entity of a local diagram
 * would leave a ring there that it does not have.
 */
void
cycle_check_settled(const Entity *entity, const char *local,
					Resolution resolution)
{
	if (resolution != RESOLUTION_MERGED && cycle_is_stuck(entity))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("resolution \"%s\" of entity \"%s\" of diagram \"%s\" would leave a ring of references",
						resolution_name(resolution), entity->id, local),
				 errdetail("What that side has leads in a ring by itself, or with entities that are in conflict otherwise."),
				 errhint("Choose the other side, or resolve the other conflicts first.")));
}

/* An object without what is at the end of the pointer, from "depth" on */
static JsonBuild *
without(JsonValue object, const JsonPointer *place, int depth)
{
	JsonBuild  *made = palloc0(sizeof(JsonBuild));
	JsonMembers members;
	JsonKey		key;
	JsonValue	value;

	check_stack_depth();
	json_members(&members, object);
	while (json_next_member(&members, &key, &value))
	{
		bool		is_on_way = json_compare_keys(key,
												  place->keys[depth]) == 0;
		bool		is_last = depth == place->count - 1;

		CHECK_FOR_INTERRUPTS();
		if (is_on_way && !is_last && json_is_object(value))
			json_build_made(made, key, without(value, place, depth + 1));
		else if (!is_on_way || !is_last)
			json_build_value(made, key, value);
	}
	return made;
}

/*
 * A document with what it has at a place, and in the group around it, as a
 * side has it, or as it was before where that side does not have the entity.
 * Where it was not there before, that goes.
 */
static Jsonb *
break_at(const Entity *entity, Jsonb *doc, int place, RingSide side)
{
	const Threeway *threeway = &entity->threeway;
	JsonPointer pointer = reference_acyclic_place(threeway->policy, place);
	const Jsonb *like = side == RING_LOCAL ? threeway->local :
		threeway->public;

	if (like == NULL)
		like = threeway->base;
	if (like == NULL)
		return json_build_end(without(json_root(doc), &pointer, 0));
	if (!threeway->policy->by_property)
		return unconstify(Jsonb *, like);
	return unit_take(threeway->policy, doc, like, &pointer);
}

/*
 * A version with what it has at places as a side has it; the version itself
 * where that is so already.
 */
static const Version *
break_places(const Entity *entity, const Version *version,
			 const Bitmapset *places, RingSide side)
{
	Version    *broken;
	Jsonb	   *doc = version->doc;
	int			place = -1;

	while ((place = bms_next_member(places, place)) >= 0)
		doc = break_at(entity, doc, place, side);
	if (document_equal(doc, version->doc))
		return version;
	if (document_equal(doc, entity->threeway.local))
		return &entity->local;
	if (document_equal(doc, entity->threeway.public))
		return &entity->public;
	broken = palloc(sizeof(Version));
	*broken = *version;
	broken->doc = doc;
	ItemPointerSetInvalid(&broken->tid);
	return broken;
}

/*
 * A version of an entity with what it has in the ring as the side has it whose
 * references are taken; the version itself where that is so already.
 */
const Version *
cycle_break(const Entity *entity, const Version *version)
{
	const Ring *ring = ring_of(entity);

	if (version->doc == NULL || ring == NULL || ring->side == RING_LEFT)
		return version;
	return break_places(entity, version, ring->places, ring->side);
}

/*
 * What a push brings to the local end: a version but for references that would
 * be in a ring there; the version itself where there are none.
 */
const Version *
cycle_hold(const Entity *entity, const Version *version)
{
	const Dependencies *dependencies = entity->dependencies;

	if (version->doc == NULL || dependencies == NULL ||
		dependencies->ring == NULL || dependencies->ring->held == NULL)
		return version;
	return break_places(entity, version, dependencies->ring->held, RING_LOCAL);
}

/*
 * What an entity becomes whose only conflict is that it is in a ring: the
 * edits of both sides, but for the references of one.
 */
const Version *
cycle_settled(Entity *entity)
{
	return cycle_break(entity, entity->merges ? entity_merged(entity) :
					   entity->local_change != CHANGE_NONE ? &entity->local :
					   &entity->public);
}
