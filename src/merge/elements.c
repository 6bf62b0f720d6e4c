/*
 * elements.c
 *	  Arrays whose elements have keys, classified: the elements as members of
 *	  an object, and their order as a value of its own.
 *
 * Each element has the groups inside it to itself.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "merge/elements.h"

/* A version among the three */
enum
{
	BASE,
	LOCAL,
	PUBLIC,
	VERSIONS
};

/* Which versions have an element */
#define HAS(version)	(1 << (version))
#define HAS_ALL			(HAS(BASE) | HAS(LOCAL) | HAS(PUBLIC))

static const JsonValue none = {JENTRY_ISNULL, NULL, 0};

/*
 * Two arrays, whose elements the policy tells apart by a member, and what
 * their base is: has each element that member, and no two the same?  They are
 * opened then.  An array that both sides added has no base.
 */
bool
elements_open(const Classification *classification, const PolicyNode *node,
			  const Three *values, KeyedArrays *arrays)
{
	return keyedarray_open(&arrays->base,
						   classification_is_added(classification, values) ?
						   none : values->base, node->element_key) &&
		keyedarray_open(&arrays->local, values->local, node->element_key) &&
		keyedarray_open(&arrays->public, values->public, node->element_key);
}

/* ---- Their order -------------------------------------------------------- */

/*
 * Do two versions have those elements in the same order that are in all of the
 * versions "common"?
 */
static bool
same_order(const ElementOrder *order, const uint8 *has, int a, int b,
		   int common)
{
	int			i = 0;
	int			j = 0;

	for (;;)
	{
		while (i < order->lengths[a] &&
			   (has[order->parts[a][i]] & common) != common)
			i++;
		while (j < order->lengths[b] &&
			   (has[order->parts[b][j]] & common) != common)
			j++;
		if (i >= order->lengths[a] || j >= order->lengths[b])
			return true;
		if (order->parts[a][i++] != order->parts[b][j++])
			return false;
	}
}

/*
 * Classify the order of elements: of those that the base had and both sides
 * have.  Returns the state of the order of all.
 */
static int
classify_order(ElementOrder *order, int count)
{
	uint8	   *has = palloc0(count + 1);
	int			state = 0;
	bool		local;
	bool		public;

	for (int version = 0; version < VERSIONS; version++)
	{
		for (int i = 0; i < order->lengths[version]; i++)
			has[order->parts[version][i]] |= HAS(version);
	}
	local = !same_order(order, has, BASE, LOCAL, HAS_ALL);
	public = !same_order(order, has, BASE, PUBLIC, HAS_ALL);
	order->side = public && !local ? SIDE_PUBLIC : SIDE_LOCAL;
	if (local && public &&
		!same_order(order, has, LOCAL, PUBLIC, HAS_ALL))
		order->side = SIDE_NONE;

	if (!same_order(order, has, BASE, LOCAL, HAS(BASE) | HAS(LOCAL)))
		state |= LOCAL_CHANGED;
	if (!same_order(order, has, BASE, PUBLIC, HAS(BASE) | HAS(PUBLIC)))
		state |= PUBLIC_CHANGED;
	if (!same_order(order, has, LOCAL, PUBLIC, HAS(LOCAL) | HAS(PUBLIC)))
		state |= DIFFER;
	pfree(has);
	return state;
}

/* ---- Elements ----------------------------------------------------------- */

/* Take the next element if it has that key; note that it is that part. */
static JsonValue
take_element(const KeyedArray *array, int *next, const ElementKey *key,
			 int *places, int part)
{
	const KeyedElement *element;

	if (*next >= array->count)
		return none;
	element = &array->elements[*next];
	if (keyedarray_compare(&element->key, key) != 0)
		return none;
	places[element->place] = part;
	(*next)++;
	return element->value;
}

/* The key that comes next in any version, NULL at the end */
static const ElementKey *
next_key(KeyedArray *const versions[], const int next[])
{
	const ElementKey *first = NULL;

	for (int i = 0; i < VERSIONS; i++)
	{
		const ElementKey *key;

		if (next[i] >= versions[i]->count)
			continue;
		key = &versions[i]->elements[next[i]].key;
		if (first == NULL || keyedarray_compare(key, first) < 0)
			first = key;
	}
	return first;
}

static ElementOrder *
make_order(KeyedArray *const versions[])
{
	ElementOrder *order = palloc(sizeof(ElementOrder));

	for (int i = 0; i < VERSIONS; i++)
	{
		order->lengths[i] = versions[i]->count;
		order->parts[i] = MemoryContextAllocHuge(CurrentMemoryContext,
												 Max(versions[i]->count,
													 1) * sizeof(int));
	}
	return order;
}

/*
 * Classify arrays element by element; returns their state.
 */
int
elements_classify(Classification *classification, const PolicyNode *node,
				  const Three *values, KeyedArrays *arrays, Part *part)
{
	KeyedArray *versions[VERSIONS] = {&arrays->base, &arrays->local,
	&arrays->public};
	Threeway   *threeway = classification->threeway;
	const PolicyNode *any = policy_any_element(node);
	int			next[VERSIONS] = {0};
	int			place = list_length(threeway->conflicts);
	int			state = classification_is_added(classification, values) ?
		BOTH_CHANGED : 0;
	Unit	   *groups = classification->groups;
	uint32		outer = Max(Max(values->base.len, values->local.len),
							values->public.len);
	const ElementKey *first;

	check_stack_depth();
	part->kind = PART_ARRAY;
	part->order = make_order(versions);
	while ((first = next_key(versions, next)) != NULL)
	{
		ElementKey	key = *first;
		int			number = part->count;
		Part	   *child = part_add(part);
		Three		three;

		CHECK_FOR_INTERRUPTS();
		three.base = take_element(versions[BASE], &next[BASE], &key,
								  part->order->parts[BASE], number);
		three.local = take_element(versions[LOCAL], &next[LOCAL], &key,
								   part->order->parts[LOCAL], number);
		three.public = take_element(versions[PUBLIC], &next[PUBLIC], &key,
									part->order->parts[PUBLIC], number);
		if (any != NULL && (any->groups_below || any->group != NO_GROUP))
			classification->groups = palloc0((threeway->policy->groups + 1) *
											 sizeof(Unit));
		classification_enter(classification,
							 keyedarray_token(node->element_key, &key));
		state |= classification_value(classification, any, NULL, &three,
									  outer, child);
		classification_leave(classification);
		classification->groups = groups;
	}

	state |= classify_order(part->order, part->count);
	if (part->order->side == SIDE_NONE) /* before what is inside */
		threeway->conflicts = list_insert_nth(threeway->conflicts, place,
											  classification_conflict(classification,
																	  values,
																	  NULL));
	classification_take_whole(classification, state, values, part, false);
	return state;
}
