/*
 * part.c
 *	  What a merged document is made of: values of its versions, or objects and
 *	  arrays of such parts.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "merge/part.h"

/*
 * A new part of an object or array that is made of parts; what it is has to be
 * set.  palloc'd.
 */
Part *
part_add(Part *object)
{
	Part	   *part;

	if (object->count >= object->max)
	{
		object->max = object->max == 0 ? 16 : object->max * 2;
		object->parts = object->parts == NULL ?
			palloc(object->max * sizeof(Part)) :
			repalloc_huge(object->parts, object->max * sizeof(Part));
	}

	/* What its kind does not need stays as it is. */
	part = &object->parts[object->count++];
	part->kind = PART_VALUE;
	part->whole = false;
	part->inside = NIL;
	part->count = part->max = 0;
	part->parts = NULL;
	return part;
}

/*
 * Free the parts of an object or array.
 */
void
part_free_all(Part *object)
{
	for (int i = 0; i < object->count; i++)
	{
		if (object->parts[i].parts != NULL)
			part_free_all(&object->parts[i]);
	}
	if (object->parts != NULL)
		pfree(object->parts);
	object->parts = NULL;
	object->count = object->max = 0;
}

/*
 * Take this value.
 */
void
part_set_value(Part *part, JsonValue value)
{
	part->kind = PART_VALUE;
	part->value = value;
}

/*
 * Is a unit, of which all values are known, in conflict?
 */
bool
part_unit_conflicts(const Unit *unit)
{
	return unit->state == CONFLICT && !unit->latest;
}

/*
 * When all units are known: is anything inside a part in conflict?  What was
 * to be taken as a whole becomes a value where nothing is, and else is made.
 */
bool
part_settle(Part *part)
{
	bool		conflicts = part->kind == PART_CONFLICT ||
		(part->kind == PART_OF_UNIT && part_unit_conflicts(part->unit)) ||
		(part->kind == PART_ARRAY && part->order->side == SIDE_NONE);
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, part->inside)
		conflicts = conflicts || part_unit_conflicts(lfirst(lc));
	for (int i = 0; i < part->count; i++)
		conflicts = part_settle(&part->parts[i]) || conflicts;
	if (part->whole && !conflicts)
	{
		part_free_all(part);
		part_set_value(part, part->value);
	}
	part->whole = false;
	return conflicts;
}

/* ---- Which value is taken ----------------------------------------------- */

/*
 * A value of the version that was edited later.
 */
JsonValue
part_newer(const Threeway *threeway, const Three *values)
{
	return threeway->local_is_newer ? values->local : values->public;
}

/*
 * A value that nobody changed, as the policy sees it.
 */
JsonValue
part_settled(const Threeway *threeway, const Three *values)
{
	if (json_equal(values->local, values->base))
		return values->public;
	if (json_equal(values->public, values->base))
		return values->local;
	return part_newer(threeway, values);
}

/*
 * The value that is taken as a whole where there is no conflict.
 */
JsonValue
part_choose(const Threeway *threeway, int state, const Three *values)
{
	switch (state & BOTH_CHANGED)
	{
		case LOCAL_CHANGED:
			return values->local;
		case PUBLIC_CHANGED:
			return values->public;
		case BOTH_CHANGED:
			return part_newer(threeway, values);
		default:
			return part_settled(threeway, values);
	}
}
