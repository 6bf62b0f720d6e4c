/*
 * threeway.c
 *	  The three-way merge of a document, in one pass over its three versions in
 *	  step.  docs/merging.md has the rules as a table of cases.
 *
 * Each value is classified: which side changed it, and whether the two sides
 * are the same now.  Where both changed an object differently, what is to be
 * taken from where is noted in parts; the merged document is built from them
 * at the end, of values as they are in their documents.
 *
 * Values that merge only together (a group; what is "latest"; for granularity
 * "entity" all of the document) are a unit: what becomes of each of them is
 * known when all are classified.  What is "latest" inside a group is another
 * unit; what is ignored goes along with what it is in.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "merge/part.h"
#include "merge/policycompare.h"
#include "merge/threeway.h"

/* How a value stands in the three versions, as the policy sees it: its state */
#define LOCAL_CHANGED	0x01
#define PUBLIC_CHANGED	0x02
#define BOTH_CHANGED	(LOCAL_CHANGED | PUBLIC_CHANGED)
#define DIFFER			0x04	/* the two sides */
#define CONFLICT		(BOTH_CHANGED | DIFFER)

/* One of the places that a unit covers, with what is inside */
typedef struct Member
{
	Unit	   *unit;
	int			state;
} Member;

/* A document being classified */
typedef struct Classification
{
	Threeway   *threeway;
	Unit	   *groups;
	JsonPointer path;			/* where we are */
	int			max_depth;
} Classification;

/* ---- How it stands ------------------------------------------------------ */

static int
compare(const Classification *classification, const PolicyNode *node,
		bool without_latest,
		const Three *values)
{
	const Policy *policy = classification->threeway->policy;
	int			state = 0;

	if (!policycompare_values(policy, node, without_latest, values->base,
							  values->local))
		state |= LOCAL_CHANGED;
	if (!policycompare_values(policy, node, without_latest, values->base,
							  values->public))
		state |= PUBLIC_CHANGED;

	if (!policycompare_values(policy, node, without_latest, values->local,
							  values->public))
		state |= DIFFER;
	return state;
}

/* ---- Which value is taken ----------------------------------------------- */

static JsonValue
newer(const Threeway *threeway, const Three *values)
{
	return threeway->local_is_newer ? values->local : values->public;
}

/* A value that nobody changed, as the policy sees it */
static JsonValue
settle(const Threeway *threeway, const Three *values)
{
	if (json_equal(values->local, values->base))
		return values->public;
	if (json_equal(values->public, values->base))
		return values->local;
	return newer(threeway, values);
}

/* The value that is taken as a whole where there is no conflict */
static JsonValue
choose(const Threeway *threeway, int state, const Three *values)
{
	switch (state & BOTH_CHANGED)
	{
		case LOCAL_CHANGED:
			return values->local;
		case PUBLIC_CHANGED:
			return values->public;
		case BOTH_CHANGED:
			return newer(threeway, values);
		default:
			return settle(threeway, values);
	}
}

/* ---- Classifying -------------------------------------------------------- */

static void
enter(Classification *classification, JsonKey key)
{
	JsonPointer *path = &classification->path;

	if (path->count >= classification->max_depth)
	{
		classification->max_depth = classification->max_depth == 0 ? 16 :
			classification->max_depth * 2;
		path->keys = path->keys == NULL ?
			palloc(classification->max_depth * sizeof(JsonKey)) :
			repalloc(path->keys, classification->max_depth * sizeof(JsonKey));
	}
	path->keys[path->count++] = key;
}

static void
leave(Classification *classification)
{
	classification->path.count--;
}

/*
 * Both sides differ where we are; that is a conflict at once, or if the unit
 * comes out as one.
 */
static void
note_clash(Classification *classification, const Three *values, Unit *unit)
{
	Clash	   *clash;

	if (unit != NULL && unit->latest)
		return;
	clash = palloc(sizeof(Clash));
	clash->path = pointer_text(&classification->path);
	clash->values = *values;
	clash->unit = unit;
	classification->threeway->clashes = lappend(classification->threeway->clashes, clash);
}

/*
 * A value of a unit stands so; where it clashes there is to be shown "values",
 * if not NULL.
 */
static void
note_member(Classification *classification, Unit *unit, int state,
			const Three *values)
{
	if (!(state & BOTH_CHANGED))
		return;
	unit->state |= state;
	if ((state & DIFFER) && values != NULL)
		note_clash(classification, values, unit);
}

static bool
are_objects(const Three *values)
{
	return json_is_object(values->base) && json_is_object(values->local) &&
		json_is_object(values->public);
}

static int	classify(Classification *classification, const PolicyNode *node,
					 Member *member,
					 const Three *values, uint32 outer, Part *part);

/*
 * A value that some side replaced, or that is no object: tell the groups with
 * members inside it.  They clash where we are, not inside.
 */
static void
classify_groups_inside(Classification *classification, const PolicyNode *node,
					   const Three *inside, const Three *values,
					   bool in_conflict)
{
	check_stack_depth();
	for (int i = 0; i < node->count; i++)
	{
		const PolicyNode *child = node->children[i];
		Three		three = {json_member(inside->base, child->key),
			json_member(inside->local, child->key),
		json_member(inside->public, child->key)};

		if (child->group != NO_GROUP)
		{
			note_member(classification, &classification->groups[child->group],
						compare(classification, child, true, &three),
						in_conflict ? NULL : values);
		}
		if (child->groups_below)
			classify_groups_inside(classification, child, &three, values,
								   in_conflict);
	}
}

static int	classify_objects(Classification *classification,
							 const PolicyNode *node,
							 Member *member, const Three *values, int state,
							 Part *part);

/*
 * Classify a value as a whole: that is no object on some side, or of a unit.
 */
static int
classify_whole(Classification *classification, const PolicyNode *node,
			   Member *member,
			   const Three *values, Part *part)
{
	const Threeway *threeway = classification->threeway;
	int			state = compare(classification, node, false, values);
	int			firm = state;	/* what is "latest" inside left out */
	bool		in_conflict = false;

	if (node != NULL && node->latest_below)
		firm = compare(classification, node, true, values);

	if (member != NULL)
		member->state |= firm;

	/* Both sides made it the same object, but for what is "latest" inside. */
	if ((state & DIFFER) && !(firm & DIFFER))
		return classify_objects(classification, node, member, values, state,
								part);

	if (member != NULL)
	{
		part->kind = PART_OF_UNIT;
		part->unit = member->unit;
		part->values = *values;
	}
	else
	{
		in_conflict = firm == CONFLICT;
		if (in_conflict)
			note_clash(classification, values, NULL);
		part_set_value(part, choose(threeway,
									(firm & BOTH_CHANGED) ? firm : state,
									values));
	}
	if (node != NULL && node->groups_below)
		classify_groups_inside(classification, node, values, values,
							   in_conflict);
	return state;
}

/*
 * Classify objects, member by member; a base that is no object has none.
 * "state" is what is known of their state.
 */
static int
classify_objects(Classification *classification, const PolicyNode *node,
				 Member *member,
				 const Three *values, int state, Part *part)
{
	JsonCursor	cursors[3];
	uint32		outer = Max(Max(values->base.len, values->local.len),
							values->public.len);

	check_stack_depth();
	part->kind = PART_OBJECT;
	json_cursor_open(&cursors[0], values->base);
	json_cursor_open(&cursors[1], values->local);
	json_cursor_open(&cursors[2], values->public);
	for (;;)
	{
		const JsonKey *first = NULL;
		JsonKey		key;
		Three		three;
		Part	   *child;

		for (int i = 0; i < 3; i++)
		{
			if (cursors[i].more &&
				(first == NULL ||
				 json_compare_keys(cursors[i].key, *first) < 0))
				first = &cursors[i].key;
		}
		if (first == NULL)
			break;
		CHECK_FOR_INTERRUPTS();
		key = *first;
		three.base = json_cursor_take(&cursors[0], key);
		three.local = json_cursor_take(&cursors[1], key);
		three.public = json_cursor_take(&cursors[2], key);

		enter(classification, key);
		child = part_add(part);
		child->key = key;
		state |= classify(classification, policy_child(node, key), member,
						  &three, outer,
						  child);
		leave(classification);
	}

	/*
	 * Where nothing has to be merged, one side is taken with all that is in
	 * it. What nobody changed comes from the side that its unit is taken
	 * from.
	 */
	if (state != CONFLICT && (member == NULL || (state & BOTH_CHANGED)))
	{
		part_free_all(part);
		part_set_value(part, choose(classification->threeway, state, values));
	}
	return state;
}

/*
 * Classify a value that is in no unit.  Where two versions are identical,
 * there is no need to go into it.
 */
static int
classify_property(Classification *classification, const PolicyNode *node,
				  const Three *values,
				  uint32 outer, Part *part)
{
	const Policy *policy = classification->threeway->policy;
	bool		as_base_local = json_identical_within(values->local,
													  values->base, outer);
	bool		as_base_public = json_identical_within(values->public,
													   values->base, outer);

	if (as_base_local && as_base_public)
	{
		part_set_value(part, values->base);
		return 0;
	}
	if (!are_objects(values))
		return classify_whole(classification, node, NULL, values, part);
	if (node == NULL || !node->groups_below)
	{
		if (as_base_local)
		{
			part_set_value(part, values->public);
			return policycompare_values(policy, node, false, values->base,
										values->public) ? 0 :
				PUBLIC_CHANGED | DIFFER;
		}
		if (as_base_public)
		{
			part_set_value(part, values->local);
			return policycompare_values(policy, node, false, values->base,
										values->local) ? 0 :
				LOCAL_CHANGED | DIFFER;
		}
		if (json_identical_within(values->local, values->public, outer))
		{
			part_set_value(part, values->local);
			return policycompare_values(policy, node, false, values->base,
										values->local) ? 0 :
				BOTH_CHANGED;
		}
	}
	return classify_objects(classification, node, NULL, values, 0, part);
}

/*
 * Classify a value, of a unit where "member" is given: notes conflicts and
 * where the merged value comes from, and returns its state.  "outer": how
 * large that is which it is in.
 */
static int
classify(Classification *classification, const PolicyNode *node,
		 Member *member,
		 const Three *values, uint32 outer, Part *part)
{
	Member		own = {NULL, 0};
	int			state;

	if (node != NULL && node->ignore)
	{
		part_set_value(part, settle(classification->threeway, values));
		return 0;
	}

	if (node != NULL && node->latest)
	{
		own.unit = palloc0(sizeof(Unit));
		own.unit->latest = true;
	}
	else if (node != NULL && node->group != NO_GROUP)
		own.unit = &classification->groups[node->group];
	if (own.unit != NULL)
		member = &own;

	if (member == NULL)
		return classify_property(classification, node, values, outer, part);
	if (node != NULL && node->latest_below && are_objects(values))
		state = classify_objects(classification, node, member, values, 0,
								 part);
	else
		state = classify_whole(classification, node, member, values, part);
	if (own.unit != NULL)
		note_member(classification, own.unit, own.state, values);
	return state;
}

static bool
same_place(const Clash *a, const Clash *b)
{
	return VARSIZE(a->path) == VARSIZE(b->path) &&
		memcmp(a->path, b->path, VARSIZE(a->path)) == 0;
}

/* Leave conflicts only: clashes of units that came out as one, each once. */
static void
keep_conflicts(Threeway *threeway)
{
	List	   *conflicts = NIL;
	ListCell   *lc;

	foreach(lc, threeway->clashes)
	{
		Clash	   *clash = lfirst(lc);

		if ((clash->unit == NULL || clash->unit->state == CONFLICT) &&
			(conflicts == NIL ||
			 !same_place(llast(conflicts), clash)))
			conflicts = lappend(conflicts, clash);
	}
	threeway->clashes = conflicts;
}

/*
 * Classify the three versions of a document.  What is palloc'd is for
 * threeway_merged().  An error (54001) where they are nested too deep.
 */
void
threeway_classify(Threeway *threeway)
{
	const Policy *policy = threeway->policy;
	Classification classification = {.threeway = threeway};
	Three		values = {json_root(threeway->base),
	json_root(threeway->local), json_root(threeway->public)};
	int			state;

	classification.groups = palloc0((policy->groups + 1) * sizeof(Unit));
	threeway->clashes = NIL;
	threeway->part = palloc0(sizeof(Part));
	state = classify(&classification, &policy->root, NULL, &values,
					 PG_UINT32_MAX,
					 threeway->part);
	threeway->local_changed = (state & LOCAL_CHANGED) != 0;
	threeway->public_changed = (state & PUBLIC_CHANGED) != 0;
	threeway->differ = (state & DIFFER) != 0;
	if (threeway->clashes != NIL)
		keep_conflicts(threeway);

	/* As a whole, too: one side is taken with all that is in it. */
	if (threeway->clashes == NIL && state != CONFLICT)
	{
		part_free_all(threeway->part);
		part_set_value(threeway->part, choose(threeway, state, &values));
	}
}

/*
 * Classify three versions of which some are nested too deep to be gone into:
 * each is one value, and the same as another to the byte, or not.  What is
 * palloc'd is for threeway_merged().
 */
void
threeway_classify_whole(Threeway *threeway)
{
	Classification classification = {.threeway = threeway};
	Three		values = {json_root(threeway->base),
	json_root(threeway->local), json_root(threeway->public)};
	int			state = 0;

	if (!json_identical(values.base, values.local))
		state |= LOCAL_CHANGED;
	if (!json_identical(values.base, values.public))
		state |= PUBLIC_CHANGED;
	if (!json_identical(values.local, values.public))
		state |= DIFFER;
	threeway->clashes = NIL;
	if (state == CONFLICT)
		note_clash(&classification, &values, NULL);
	threeway->part = palloc0(sizeof(Part));
	part_set_value(threeway->part,
				   (state & LOCAL_CHANGED) ? values.local : values.public);
	threeway->local_changed = (state & LOCAL_CHANGED) != 0;
	threeway->public_changed = (state & PUBLIC_CHANGED) != 0;
	threeway->differ = (state & DIFFER) != 0;
}

/* ---- What comes of it --------------------------------------------------- */

/*
 * The places of conflicts as an array of JSON Pointers.  palloc'd.
 */
ArrayType *
threeway_paths(List *clashes)
{
	int			n = 0;
	Datum	   *paths = palloc(list_length(clashes) * sizeof(Datum));
	ListCell   *lc;

	foreach(lc, clashes)
	{
		const Clash *clash = lfirst(lc);

		paths[n++] = PointerGetDatum(clash->path);
	}
	return construct_array(paths, n, TEXTOID, -1, false, TYPALIGN_INT);
}

static JsonBuild *
build_object(const Threeway *threeway, const Part *object)
{
	JsonBuild  *build = palloc0(sizeof(JsonBuild));

	check_stack_depth();
	for (int i = 0; i < object->count; i++)
	{
		const Part *part = &object->parts[i];
		JsonValue	value = part->values.local;

		if (part->kind == PART_OBJECT)
		{
			json_build_made(build, part->key, build_object(threeway, part));
			continue;
		}
		if (part->kind == PART_OF_UNIT)
			value = choose(threeway, part->unit->state, &part->values);
		if (json_exists(value))
			json_build_value(build, part->key, value);
	}
	return build;
}

/*
 * The merged document of three versions that were classified and do not
 * conflict. palloc'd, or that of one of the two sides; NULL where it is
 * deleted.
 */
Jsonb *
threeway_merged(const Threeway *threeway)
{
	const Part *part = threeway->part;
	JsonValue	value = part->values.local;

	Assert(threeway->clashes == NIL);
	if (part->kind == PART_OBJECT)
		return json_build_end(build_object(threeway, part));
	if (part->kind == PART_OF_UNIT)
		value = choose(threeway, part->unit->state, &part->values);
	if (!json_exists(value))
		return NULL;

	/* What is taken as a whole is one of the two. */
	if (value.data == json_root(threeway->local).data)
		return unconstify(Jsonb *, threeway->local);
	Assert(value.data == json_root(threeway->public).data);
	return unconstify(Jsonb *, threeway->public);
}
