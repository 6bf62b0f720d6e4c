/*
 * ringview.c
 *	  What an end would hold after a sync, as far as references lead in rings:
 *	  read entity by entity, by key, and decided about as the sync would.
 */
#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "sync/cycle.h"
#include "sync/ringview.h"

static const Known *
find_known(const Rings *rings, const char *id)
{
	return rings->known == NULL ? NULL :
		hash_search(rings->known, &id, HASH_FIND, NULL);
}

/*
 * What is known of an entity in a round, to be set.  "id" belongs to the round.
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

static const Jsonb *
doc_after(const View *view, Entity *entity)
{
	Decision	decision;
	const Version *target;

	decision_make(&decision, entity, view->direction,
				  ringset_rule_for(&view->rings->rule, entity->id), NULL);
	target = view->locally ? decision.local : decision.public;
	return target != NULL ? target->doc : doc_before(view, entity);
}

/* The document of the copy that "both" makes of an entity; NULL: of none */
static const Jsonb *
doc_of_copy(const View *view, Entity *entity)
{
	Decision	decision;

	decision_make(&decision, entity, view->direction,
				  ringset_rule_for(&view->rings->rule, entity->id), NULL);
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
			(!added && (has_changed(policy, number, &entity->local, &entity->base) ||
						has_changed(policy, number, &entity->public, &entity->base))))
			places = bms_add_member(places, number);
	}
	return places;
}

/*
 * Read the entity with an id that was come by in a ring: of a copy, the one
 * that it is made of.  Returns whether it is a copy.
 */
bool
ringview_read_member(Rings *rings, Entity *entity, const char *id)
{
	const Known *known = find_known(rings, id);
	bool		is_copy = known != NULL && known->copy_of != NULL;

	ringview_read(rings, entity, is_copy ? known->copy_of : id);
	return is_copy;
}
