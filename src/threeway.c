/*
 * threeway.c
 *	  The three-way merge of a document, in one pass over its three versions in
 *	  step.  docs/merging.md has the rules as a table of cases.
 *
 * Each value is weighed: which side changed it, and whether the two sides are
 * the same now.  Where both changed an object differently, what is to be taken
 * from where is noted in parts; the merged document is built from them at the
 * end, of values as they are in their documents.
 *
 * Values that merge only together (a group; what is "latest"; for granularity
 * "entity" all of the document) are a unit: what becomes of each of them is
 * known when all are weighed.  What is "latest" inside a group is another unit;
 * what is ignored goes along with what it is in.
 *
 * May call same.c, policy.c, pointer.c and jsonvalue.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "same.h"
#include "threeway.h"

/* How a value stands in the three versions, as the policy sees it: its state */
#define LOCAL_CHANGED	0x01
#define PUBLIC_CHANGED	0x02
#define BOTH_CHANGED	(LOCAL_CHANGED | PUBLIC_CHANGED)
#define DIFFER			0x04	/* the two sides */
#define CONFLICT		(BOTH_CHANGED | DIFFER)

/* Values that merge only together */
typedef struct Unit
{
	int			state;			/* of all of them */
	bool		latest;			/* it never conflicts */
} Unit;

/* One of the places that a unit covers, with what is inside */
typedef struct Member
{
	Unit	   *unit;
	int			state;
} Member;

typedef enum PartKind
{
	PART_VALUE,					/* a value, or none */
	PART_OF_UNIT,				/* of the side that the unit is taken from */
	PART_OBJECT,				/* made of parts */
} PartKind;

/* Where a value of the merged document comes from */
struct Part
{
	PartKind	kind;
	JsonKey		key;			/* in the object that it is part of */
	Three		values;			/* PART_VALUE: local is the value */
	const Unit *unit;
	int			count;
	int			max;
	Part	   *parts;
};

/* A document being weighed */
typedef struct Weighing
{
	Threeway   *threeway;
	Unit	   *groups;
	JsonPointer path;			/* where we are */
	int			max_depth;
} Weighing;

/* ---- How it stands --------------------------------------------------------- */

static int
compare(const Weighing *weighing, const PolicyNode *node, bool without_latest,
		const Three *values)
{
	const Policy *policy = weighing->threeway->policy;
	int			state = 0;

	if (!same_values(policy, node, without_latest, values->base, values->local))
		state |= LOCAL_CHANGED;
	if (!same_values(policy, node, without_latest, values->base, values->public))
		state |= PUBLIC_CHANGED;

	if (!same_values(policy, node, without_latest, values->local, values->public))
		state |= DIFFER;
	return state;
}

/* ---- Which value is taken ------------------------------------------------ */

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

/* ---- Weighing ------------------------------------------------------------ */

static void
enter(Weighing *weighing, JsonKey key)
{
	JsonPointer *path = &weighing->path;

	if (path->count >= weighing->max_depth)
	{
		weighing->max_depth = weighing->max_depth == 0 ? 16 :
			weighing->max_depth * 2;
		path->keys = path->keys == NULL ?
			palloc(weighing->max_depth * sizeof(JsonKey)) :
			repalloc(path->keys, weighing->max_depth * sizeof(JsonKey));
	}
	path->keys[path->count++] = key;
}

static void
leave(Weighing *weighing)
{
	weighing->path.count--;
}

/*
 * Both sides differ where we are; that is a conflict at once, or if the unit
 * comes out as one.
 */
static void
note_clash(Weighing *weighing, const Three *values, Unit *unit)
{
	Clash	   *clash;

	if (unit != NULL && unit->latest)
		return;
	clash = palloc(sizeof(Clash));
	clash->path = pointer_text(&weighing->path);
	clash->values = *values;
	clash->unit = unit;
	weighing->threeway->clashes = lappend(weighing->threeway->clashes, clash);
}

/*
 * A value of a unit stands so; where it clashes there is to be shown "values",
 * if not NULL.
 */
static void
note_member(Weighing *weighing, Unit *unit, int state, const Three *values)
{
	if (!(state & BOTH_CHANGED))
		return;
	unit->state |= state;
	if ((state & DIFFER) && values != NULL)
		note_clash(weighing, values, unit);
}

static void
set_value(Part *part, JsonValue value)
{
	part->kind = PART_VALUE;
	part->values.local = value;
}

static bool
are_objects(const Three *values)
{
	return json_is_object(values->base) && json_is_object(values->local) &&
		json_is_object(values->public);
}

static int	weigh(Weighing *weighing, const PolicyNode *node, Member *member,
				  const Three *values, uint32 outer, Part *part);

/*
 * A value that some side replaced, or that is no object: tell the groups with
 * members inside it.  They clash where we are, not inside.
 */
static void
weigh_groups_inside(Weighing *weighing, const PolicyNode *node,
					const Three *inside, const Three *values, bool in_conflict)
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
			note_member(weighing, &weighing->groups[child->group],
						compare(weighing, child, true, &three),
						in_conflict ? NULL : values);
		}
		if (child->groups_below)
			weigh_groups_inside(weighing, child, &three, values, in_conflict);
	}
}

static int	weigh_objects(Weighing *weighing, const PolicyNode *node,
						  Member *member, const Three *values, int state,
						  Part *part);

/*
 * Weigh a value as a whole: that is no object on some side, or of a unit.
 */
static int
weigh_whole(Weighing *weighing, const PolicyNode *node, Member *member,
			const Three *values, Part *part)
{
	const Threeway *threeway = weighing->threeway;
	int			state = compare(weighing, node, false, values);
	int			firm = state;	/* what is "latest" inside left out */
	bool		in_conflict = false;

	if (node != NULL && node->latest_below)
		firm = compare(weighing, node, true, values);

	if (member != NULL)
		member->state |= firm;

	/* Both sides made it the same object, but for what is "latest" inside. */
	if ((state & DIFFER) && !(firm & DIFFER))
		return weigh_objects(weighing, node, member, values, state, part);

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
			note_clash(weighing, values, NULL);
		set_value(part, choose(threeway, (firm & BOTH_CHANGED) ? firm : state,
							   values));
	}
	if (node != NULL && node->groups_below)
		weigh_groups_inside(weighing, node, values, values, in_conflict);
	return state;
}

static Part *
add_part(Part *object)
{
	Part	   *part;

	if (object->count >= object->max)
	{
		object->max = object->max == 0 ? 16 : object->max * 2;
		object->parts = object->parts == NULL ?
			palloc(object->max * sizeof(Part)) :
			repalloc_huge(object->parts, object->max * sizeof(Part));
	}
	part = &object->parts[object->count++];
	memset(part, 0, sizeof(Part));
	return part;
}

static void
free_parts(Part *object)
{
	for (int i = 0; i < object->count; i++)
	{
		if (object->parts[i].kind == PART_OBJECT)
			free_parts(&object->parts[i]);
	}
	if (object->parts != NULL)
		pfree(object->parts);
	object->parts = NULL;
	object->count = object->max = 0;
}

/* The members of an object in one version, as they are stepped through */
typedef struct Cursor
{
	JsonMembers members;
	JsonKey		key;
	JsonValue	value;
	bool		more;
} Cursor;

static void
cursor_next(Cursor *cursor)
{
	cursor->more = json_next_member(&cursor->members, &cursor->key,
									&cursor->value);
}

static void
cursor_open(Cursor *cursor, JsonValue object)
{
	cursor->more = false;
	if (json_is_object(object))
	{
		json_members(&cursor->members, object);
		cursor_next(cursor);
	}
}

/* The value under a key, which comes next if it is there. */
static JsonValue
cursor_take(Cursor *cursor, JsonKey key)
{
	JsonValue	value = {JENTRY_ISNULL, NULL, 0};

	if (cursor->more && json_compare_keys(cursor->key, key) == 0)
	{
		value = cursor->value;
		cursor_next(cursor);
	}
	return value;
}

/*
 * Weigh objects, member by member; a base that is no object has none.  "state"
 * is what is known of their state.
 */
static int
weigh_objects(Weighing *weighing, const PolicyNode *node, Member *member,
			  const Three *values, int state, Part *part)
{
	Cursor		cursors[3];
	uint32		outer = Max(Max(values->base.len, values->local.len),
							values->public.len);

	check_stack_depth();
	part->kind = PART_OBJECT;
	cursor_open(&cursors[0], values->base);
	cursor_open(&cursors[1], values->local);
	cursor_open(&cursors[2], values->public);
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
		three.base = cursor_take(&cursors[0], key);
		three.local = cursor_take(&cursors[1], key);
		three.public = cursor_take(&cursors[2], key);

		enter(weighing, key);
		child = add_part(part);
		child->key = key;
		state |= weigh(weighing, policy_child(node, key), member, &three, outer,
					   child);
		leave(weighing);
	}

	/*
	 * Where nothing has to be merged, one side is taken with all that is in it.
	 * What nobody changed comes from the side that its unit is taken from.
	 */
	if (state != CONFLICT && (member == NULL || (state & BOTH_CHANGED)))
	{
		free_parts(part);
		set_value(part, choose(weighing->threeway, state, values));
	}
	return state;
}

/*
 * Weigh a value that is in no unit.  Where two versions are identical, there is
 * no need to go into it.
 */
static int
weigh_property(Weighing *weighing, const PolicyNode *node, const Three *values,
			   uint32 outer, Part *part)
{
	const Policy *policy = weighing->threeway->policy;
	bool		as_base_local = json_identical_within(values->local,
													  values->base, outer);
	bool		as_base_public = json_identical_within(values->public,
													   values->base, outer);

	if (as_base_local && as_base_public)
	{
		set_value(part, values->base);
		return 0;
	}
	if (!are_objects(values))
		return weigh_whole(weighing, node, NULL, values, part);
	if (node == NULL || !node->groups_below)
	{
		if (as_base_local)
		{
			set_value(part, values->public);
			return same_values(policy, node, false, values->base, values->public) ? 0 :
				PUBLIC_CHANGED | DIFFER;
		}
		if (as_base_public)
		{
			set_value(part, values->local);
			return same_values(policy, node, false, values->base, values->local) ? 0 :
				LOCAL_CHANGED | DIFFER;
		}
		if (json_identical_within(values->local, values->public, outer))
		{
			set_value(part, values->local);
			return same_values(policy, node, false, values->base, values->local) ? 0 :
				BOTH_CHANGED;
		}
	}
	return weigh_objects(weighing, node, NULL, values, 0, part);
}

/*
 * Weigh a value, of a unit where "member" is given: notes conflicts and where the
 * merged value comes from, and returns its state.  "outer": how large that is
 * which it is in.
 */
static int
weigh(Weighing *weighing, const PolicyNode *node, Member *member,
	  const Three *values, uint32 outer, Part *part)
{
	Member		own = {NULL, 0};
	int			state;

	if (node != NULL && node->ignore)
	{
		set_value(part, settle(weighing->threeway, values));
		return 0;
	}

	if (node != NULL && node->latest)
	{
		own.unit = palloc0(sizeof(Unit));
		own.unit->latest = true;
	}
	else if (node != NULL && node->group != NO_GROUP)
		own.unit = &weighing->groups[node->group];
	if (own.unit != NULL)
		member = &own;

	if (member == NULL)
		return weigh_property(weighing, node, values, outer, part);
	if (node != NULL && node->latest_below && are_objects(values))
		state = weigh_objects(weighing, node, member, values, 0, part);
	else
		state = weigh_whole(weighing, node, member, values, part);
	if (own.unit != NULL)
		note_member(weighing, own.unit, own.state, values);
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
 * Weigh the three versions of a document.  What is palloc'd is for
 * threeway_merged().  An error (54001) where they are nested too deep.
 */
void
threeway_weigh(Threeway *threeway)
{
	const Policy *policy = threeway->policy;
	Weighing	weighing = {.threeway = threeway};
	Three		values = {json_root(threeway->base),
		json_root(threeway->local), json_root(threeway->public)};
	int			state;

	weighing.groups = palloc0((policy->groups + 1) * sizeof(Unit));
	threeway->clashes = NIL;
	threeway->part = palloc0(sizeof(Part));
	state = weigh(&weighing, &policy->root, NULL, &values, PG_UINT32_MAX,
				  threeway->part);
	threeway->local_changed = (state & LOCAL_CHANGED) != 0;
	threeway->public_changed = (state & PUBLIC_CHANGED) != 0;
	threeway->differ = (state & DIFFER) != 0;
	if (threeway->clashes != NIL)
		keep_conflicts(threeway);

	/* As a whole, too: one side is taken with all that is in it. */
	if (threeway->clashes == NIL && state != CONFLICT)
	{
		free_parts(threeway->part);
		set_value(threeway->part, choose(threeway, state, &values));
	}
}

/*
 * Weigh three versions of which some are nested too deep to be gone into: each is
 * one value, and the same as another to the byte, or not.  What is palloc'd is
 * for threeway_merged().
 */
void
threeway_weigh_whole(Threeway *threeway)
{
	Weighing	weighing = {.threeway = threeway};
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
		note_clash(&weighing, &values, NULL);
	threeway->part = palloc0(sizeof(Part));
	set_value(threeway->part,
			  (state & LOCAL_CHANGED) ? values.local : values.public);
	threeway->local_changed = (state & LOCAL_CHANGED) != 0;
	threeway->public_changed = (state & PUBLIC_CHANGED) != 0;
	threeway->differ = (state & DIFFER) != 0;
}

/* ---- What comes of it ---------------------------------------------------- */

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
 * The merged document of three versions that were weighed and do not conflict.
 * palloc'd, or that of one of the two sides; NULL where it is deleted.
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
