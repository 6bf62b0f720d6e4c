/*
 * threewayresult.c
 *	  What comes of a three-way merge: the merged document, and where it
 *	  conflicts.
 *
 * Where there are conflicts, one side wins each of them; all else merges.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "merge/elementorder.h"

/* A document being built */
typedef struct Building
{
	const Threeway *threeway;
	Side		winner;			/* of conflicts; SIDE_NONE: there are none */
} Building;

/*
 * The places of conflicts as an array of JSON Pointers.  palloc'd.
 */
ArrayType *
threeway_paths(List *conflicts)
{
	int			n = 0;
	Datum	   *paths = palloc(list_length(conflicts) * sizeof(Datum));
	ListCell   *lc;

	foreach(lc, conflicts)
	{
		const Conflict *conflict = lfirst(lc);

		paths[n++] = PointerGetDatum(conflict->path);
	}
	return construct_array(paths, n, TEXTOID, -1, false, TYPALIGN_INT);
}

/* The value of the side that wins conflicts */
static JsonValue
winning(const Building *building, const Part *part)
{
	Assert(building->winner != SIDE_NONE);
	return building->winner == SIDE_LOCAL ? part->values.local :
		part->values.public;
}

/* The value of a part that is not made of parts; it may not exist. */
static JsonValue
value_of(const Building *building, const Part *part)
{
	ListCell   *lc;

	if (part->kind == PART_CONFLICT ||
		(part->kind == PART_OF_UNIT && part_unit_conflicts(part->unit)))
		return winning(building, part);
	foreach(lc, part->inside)
	{
		if (part_unit_conflicts(lfirst(lc)))
			return winning(building, part);
	}
	if (part->kind == PART_OF_UNIT)
		return part_choose(building->threeway, part->unit->state,
						   &part->values);
	return part->value;
}

/* Is a part an object or array that has to be made? */
static bool
is_made(const Part *part)
{
	return (part->kind == PART_OBJECT || part->kind == PART_ARRAY) &&
		!part->whole;
}

static JsonBuild *make(const Building *building, const Part *part);

/* Add a part to an object or array in the making, if it exists. */
static void
add(const Building *building, JsonBuild *build, const Part *part)
{
	JsonValue	value;

	if (is_made(part))
	{
		json_build_made(build, part->key, make(building, part));
		return;
	}
	value = value_of(building, part);
	if (json_exists(value))
		json_build_value(build, part->key, value);
}

/* Add the elements of an array, in their order. */
static void
add_elements(const Building *building, JsonBuild *build, const Part *array)
{
	int			n = array->count;
	bool	   *taken = palloc0(n + 1);
	Side		side = array->order->side;
	int		   *next;

	for (int i = 0; i < n; i++)
		taken[i] = is_made(&array->parts[i]) ||
			json_exists(value_of(building, &array->parts[i]));
	next = elementorder_list(array->order, n, taken,
							 side == SIDE_NONE ? building->winner : side);
	for (int i = next[n]; i != ELEMENTORDER_END; i = next[i])
		add(building, build, &array->parts[i]);
}

static JsonBuild *
make(const Building *building, const Part *part)
{
	JsonBuild  *build = palloc0(sizeof(JsonBuild));

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	build->is_array = part->kind == PART_ARRAY;
	if (build->is_array)
		add_elements(building, build, part);
	else
	{
		for (int i = 0; i < part->count; i++)
			add(building, build, &part->parts[i]);
	}
	return build;
}

/*
 * The merged document of three versions that were classified; "winner" is the
 * side that wins where they conflict, SIDE_NONE where they do not.  palloc'd,
 * or that of one of the two sides; NULL where it is deleted.
 */
Jsonb *
threeway_merged(const Threeway *threeway, Side winner)
{
	Building	building = {threeway, winner};
	JsonValue	value;

	Assert(threeway->conflicts == NIL || winner != SIDE_NONE);
	if (is_made(threeway->part))
		return json_build_end(make(&building, threeway->part));
	value = value_of(&building, threeway->part);
	if (!json_exists(value))
		return NULL;

	/* What is taken as a whole is one of the two. */
	if (value.data == json_root(threeway->local).data)
		return unconstify(Jsonb *, threeway->local);
	Assert(value.data == json_root(threeway->public).data);
	return unconstify(Jsonb *, threeway->public);
}
