/*
 * threeway.c
 *	  Three versions of a document compared, in one pass over them in step.
 *	  docs/merging.md has the rules as a table of cases.
 *
 * Each value is classified: which side changed it, and whether the two sides
 * are the same now.  Where both changed an object differently, what is to be
 * taken from where is noted in parts; threewayresult.c builds the merged
 * document from them, of values as they are in their documents.  An array
 * whose elements have keys is classified as an object of them: see elements.c.
 *
 * Values that merge only together (a group; what is "latest"; for granularity
 * "entity" all of the document) are a unit: what becomes of each of them is
 * known when all are classified.  What is "latest" inside a group is another
 * unit; what is ignored goes along with what it is in.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "merge/elements.h"
#include "merge/policycompare.h"

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

/* ---- Classifying -------------------------------------------------------- */

/*
 * Go to a value inside the one where we are.
 */
void
classification_enter(Classification *classification, JsonKey key)
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

/*
 * Go back.
 */
void
classification_leave(Classification *classification)
{
	classification->path.count--;
}

/*
 * Both sides differ where we are; that is a conflict, where "unit" (or NULL)
 * comes out as one.  palloc'd.
 */
Conflict *
classification_conflict(const Classification *classification,
						const Three *values, Unit *unit)
{
	Conflict   *conflict = palloc(sizeof(Conflict));

	conflict->path = pointer_text(&classification->path);
	conflict->values = *values;
	conflict->unit = unit;
	return conflict;
}

static void
note_conflict(Classification *classification, const Three *values, Unit *unit)
{
	Threeway   *threeway = classification->threeway;

	threeway->conflicts = lappend(threeway->conflicts,
								  classification_conflict(classification,
														  values, unit));
}

/*
 * A value of a unit stands so; where it conflicts there is to be shown
 * "values", if not NULL.  Does it conflict?
 */
static bool
note_member(Classification *classification, Unit *unit, int state,
			const Three *values)
{
	if (!(state & BOTH_CHANGED))
		return false;
	unit->state |= state;
	if (!(state & DIFFER) || unit->latest)
		return false;
	if (values != NULL)
		note_conflict(classification, values, unit);
	return true;
}

/*
 * Is there no base of a value, as the policy sees it?
 */
bool
classification_is_added(const Classification *classification,
						const Three *values)
{
	return policycompare_is_absent(classification->threeway->policy,
								   values->base);
}

/* Are all three objects, or the two that both sides added? */
static bool
are_objects(const Classification *classification, const Three *values)
{
	return json_is_object(values->local) && json_is_object(values->public) &&
		(json_is_object(values->base) ||
		 classification_is_added(classification, values));
}

/*
 * A value that some side replaced, or that is no object: tell the groups with
 * members inside it.  They conflict where we are, not inside.
 */
static void
classify_groups_inside(Classification *classification, const PolicyNode *node,
					   const Three *inside, const Three *values, Part *part)
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
			Unit	   *unit = &classification->groups[child->group];

			if (note_member(classification, unit,
							compare(classification, child, true, &three),
							part->kind == PART_CONFLICT ? NULL : values))
				part->inside = lappend(part->inside, unit);
		}
		if (child->groups_below)
			classify_groups_inside(classification, child, &three, values,
								   part);
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

	if (node != NULL && node->latest_below)
		firm = compare(classification, node, true, values);

	if (member != NULL)
		member->state |= firm;

	/* Both sides made it the same object, but for what is "latest" inside. */
	if ((state & DIFFER) && !(firm & DIFFER))
		return classify_objects(classification, node, member, values, state,
								part);

	part->values = *values;
	if (member != NULL)
	{
		part->kind = PART_OF_UNIT;
		part->unit = member->unit;
	}
	else if (firm == CONFLICT)
	{
		part->kind = PART_CONFLICT;
		note_conflict(classification, values, NULL);
	}
	else
		part_set_value(part, part_choose(threeway,
										 (firm & BOTH_CHANGED) ? firm : state,
										 values));
	if (node != NULL && node->groups_below)
		classify_groups_inside(classification, node, values, values, part);
	return state;
}

/*
 * Where nothing has to be merged, one side is taken with all that is in it.
 * With "has_units" that is known when these are: parts are kept until then.
 */
void
classification_take_whole(const Classification *classification, int state,
						  const Three *values, Part *part, bool has_units)
{
	if (state == CONFLICT)
		return;
	part->whole = true;
	part->value = part_choose(classification->threeway, state, values);
	if (has_units)
		return;
	part_free_all(part);
	part_set_value(part, part->value);
}

/*
 * Classify objects, member by member; a base that is no object has none.
 * "state" is what is known of their state.
 */
static int
classify_objects(Classification *classification, const PolicyNode *node,
				 Member *member, const Three *values, int state, Part *part)
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

		classification_enter(classification, key);
		child = part_add(part);
		child->key = key;
		state |= classification_value(classification, policy_child(node, key),
									  member, &three, outer, child);
		classification_leave(classification);
	}

	/* What nobody changed comes from the side that its unit is taken from. */
	if (member == NULL || (state & BOTH_CHANGED))
		classification_take_whole(classification, state, values, part,
								  member != NULL ||
								  (node != NULL && node->groups_below));
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
	bool		keyed = node != NULL && node->element_key.len > 0 &&
		json_is_array(values->local) && json_is_array(values->public);

	if (as_base_local && as_base_public)
	{
		part_set_value(part, values->base);
		return 0;
	}
	if (!keyed && !are_objects(classification, values))
		return classify_whole(classification, node, NULL, values, part);
	if (keyed || node == NULL || !node->groups_below)
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
	if (keyed)
	{
		KeyedArrays arrays;

		return elements_open(classification, node, values, &arrays) ?
			elements_classify(classification, node, values, &arrays, part) :
			classify_whole(classification, node, NULL, values, part);
	}
	return classify_objects(classification, node, NULL, values,
							classification_is_added(classification, values) ?
							BOTH_CHANGED : 0, part);
}

/*
 * Classify a value, of a unit where "member" is given: notes conflicts and
 * where the merged value comes from, and returns its state.  "outer": how
 * large that is which it is in.
 */
int
classification_value(Classification *classification, const PolicyNode *node,
					 Member *member, const Three *values, uint32 outer,
					 Part *part)
{
	Member		own = {NULL, 0};
	int			state;

	if (node != NULL && node->ignore)
	{
		part_set_value(part, part_settled(classification->threeway, values));
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
	if (node != NULL && node->latest_below &&
		are_objects(classification, values) &&
		!classification_is_added(classification, values))
		state = classify_objects(classification, node, member, values, 0,
								 part);
	else
		state = classify_whole(classification, node, member, values, part);
	if (own.unit != NULL)
		(void) note_member(classification, own.unit, own.state, values);
	return state;
}

static bool
same_place(const Conflict *a, const Conflict *b)
{
	return VARSIZE(a->path) == VARSIZE(b->path) &&
		memcmp(a->path, b->path, VARSIZE(a->path)) == 0;
}

/* Leave what conflicts in the end: of a unit's values each place once. */
static void
keep_conflicts(Threeway *threeway)
{
	List	   *conflicts = NIL;
	ListCell   *lc;

	foreach(lc, threeway->conflicts)
	{
		Conflict   *conflict = lfirst(lc);

		if ((conflict->unit == NULL || conflict->unit->state == CONFLICT) &&
			(conflicts == NIL || !same_place(llast(conflicts), conflict)))
			conflicts = lappend(conflicts, conflict);
	}
	threeway->conflicts = conflicts;
}

/*
 * Two documents that have the same id by chance are no merge of each other:
 * they conflict as a whole where no common member does, unless they differ in
 * nothing but what is "latest".
 */
static void
refuse_chance(Classification *classification, const Three *values)
{
	Threeway   *threeway = classification->threeway;

	if (threeway->policy->root.latest ||
		policycompare_values(threeway->policy, &threeway->policy->root, true,
							 values->local, values->public))
		return;
	part_free_all(threeway->part);
	threeway->part->kind = PART_CONFLICT;
	threeway->part->values = *values;
	note_conflict(classification, values, NULL);
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
	threeway->conflicts = NIL;
	threeway->part = palloc0(sizeof(Part));
	state = classification_value(&classification, &policy->root, NULL, &values,
								 PG_UINT32_MAX, threeway->part);
	threeway->local_changed = (state & LOCAL_CHANGED) != 0;
	threeway->public_changed = (state & PUBLIC_CHANGED) != 0;
	threeway->differ = (state & DIFFER) != 0;
	if (threeway->conflicts != NIL)
		keep_conflicts(threeway);
	if (threeway->conflicts == NIL && state == CONFLICT &&
		threeway->base == NULL)
		refuse_chance(&classification, &values);

	/* As a whole, too: one side is taken with all that is in it. */
	if (threeway->conflicts != NIL)
		(void) part_settle(threeway->part);
	else
		classification_take_whole(&classification, state, &values,
								  threeway->part, false);
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
	threeway->conflicts = NIL;
	threeway->part = palloc0(sizeof(Part));
	if (state == CONFLICT)
	{
		note_conflict(&classification, &values, NULL);
		threeway->part->kind = PART_CONFLICT;
		threeway->part->values = values;
	}
	else
		part_set_value(threeway->part, (state & LOCAL_CHANGED) ?
					   values.local : values.public);
	threeway->local_changed = (state & LOCAL_CHANGED) != 0;
	threeway->public_changed = (state & PUBLIC_CHANGED) != 0;
	threeway->differ = (state & DIFFER) != 0;
}
