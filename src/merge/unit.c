/*
 * unit.c
 *	  Places of a document taken from another one, each with what merges only
 *	  together with it.
 *
 * So a side wins a place that conflicts for another reason than what is there:
 * that is a reference, say, which would dangle.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/pg_list.h"

#include "merge/keyedarray.h"
#include "merge/unit.h"

/* A place on its way from one document into another */
typedef struct Taking
{
	const Policy *policy;
	const JsonKey *keys;		/* where it is */
	int			count;
} Taking;

static const JsonValue none = {JENTRY_ISNULL, NULL, 0};

static JsonValue take(const Taking *taking, const PolicyNode *node, int depth,
					  JsonValue here, JsonValue there);

/* An object with another value under a key, which may not exist.  palloc'd. */
static JsonValue
with_member(JsonValue object, JsonKey key, JsonValue value)
{
	JsonBuild	build = {0};
	JsonMembers members;
	JsonKey		next;
	JsonValue	inside;
	bool		done = !json_exists(value);

	json_members(&members, object);
	while (json_next_member(&members, &next, &inside))
	{
		int			order = json_compare_keys(next, key);

		if (!done && order >= 0)
		{
			json_build_value(&build, key, value);
			done = true;
		}
		if (order != 0)
			json_build_value(&build, next, inside);
	}
	if (!done)
		json_build_value(&build, key, value);
	return json_root(json_build_end(&build));
}

/* The element that has a name, or NULL */
static const KeyedElement *
find_element(const KeyedArray *array, JsonKey member, JsonKey token)
{
	for (int i = 0; i < array->count; i++)
	{
		JsonKey		name = keyedarray_token(member,
											&array->elements[i].key);

		CHECK_FOR_INTERRUPTS();
		if (json_compare_keys(name, token) == 0)
			return &array->elements[i];
	}
	return NULL;
}

/*
 * An array with another value for one of its elements: in its place, or at the
 * end if it is new; without it, if the value does not exist.  palloc'd.
 */
static JsonValue
with_element(JsonValue array, const KeyedElement *old, JsonValue value)
{
	JsonBuild	build = {.is_array = true};
	JsonMembers members;
	JsonKey		no_key = {NULL, 0};
	JsonValue	element;

	json_members(&members, array);
	for (int i = 0; json_next_element(&members, &element); i++)
	{
		if (old == NULL || old->place != i)
			json_build_value(&build, no_key, element);
		else if (json_exists(value))
			json_build_value(&build, no_key, value);
	}
	if (old == NULL && json_exists(value))
		json_build_value(&build, no_key, value);
	return json_root(json_build_end(&build));
}

/* The same for elements, of which each has the groups inside it to itself */
static JsonValue
take_element(const Taking *taking, const PolicyNode *node, int depth,
			 JsonValue here, JsonValue there)
{
	KeyedArray	array_here;
	KeyedArray	array_there;
	const KeyedElement *old;
	const KeyedElement *new;
	JsonKey		token = taking->keys[depth];

	if (!keyedarray_open(&array_here, here, node->element_key) ||
		!keyedarray_open(&array_there, there, node->element_key))
		return there;
	old = find_element(&array_here, node->element_key, token);
	new = find_element(&array_there, node->element_key, token);
	return with_element(here, old,
						take(taking, policy_any_element(node), depth + 1,
							 old != NULL ? old->value : none,
							 new != NULL ? new->value : none));
}

/*
 * A value with what is at the end of the place taken from another value, or at
 * what is around it, where that is not of the same kind in both.
 */
static JsonValue
take(const Taking *taking, const PolicyNode *node, int depth, JsonValue here,
	 JsonValue there)
{
	JsonKey		key;

	check_stack_depth();
	if (depth == taking->count || !json_exists(here) || !json_exists(there))
		return there;
	key = taking->keys[depth];
	if (json_is_array(here) && json_is_array(there) && node != NULL &&
		node->element_key.len > 0)
		return take_element(taking, node, depth, here, there);
	if (!json_is_object(here) || !json_is_object(there))
		return there;
	return with_member(here, key,
					   take(taking, policy_child(node, key), depth + 1,
							json_member(here, key),
							json_member(there, key)));
}

static Jsonb *
take_place(const Policy *policy, Jsonb *doc, const Jsonb *other,
		   const JsonKey *keys, int count)
{
	Taking		taking = {policy, keys, count};

	return json_document(take(&taking, &policy->root, 0, json_root(doc),
							  json_root(other)));
}

/* What the policy says of a value inside another one; is it an element? */
static const PolicyNode *
inside(const PolicyNode *node, JsonKey key, bool *is_element)
{
	const PolicyNode *child = policy_child(node, key);

	*is_element = child == NULL && node != NULL && node->element_key.len > 0;
	return *is_element ? policy_any_element(node) : child;
}

/* How deep do pointers lead further, at most? */
static int
depth_below(const PolicyNode *node)
{
	int			depth = 0;

	check_stack_depth();
	for (int i = 0; i < node->count; i++)
		depth = Max(depth, 1 + depth_below(node->children[i]));
	return depth;
}

/* Is a child of a node what it says of elements, with groups of their own? */
static bool
is_of_elements(const PolicyNode *node, const PolicyNode *child)
{
	return node->element_key.len > 0 &&
		json_compare_keys(child->key, json_key("*")) == 0;
}

/*
 * Take all values of a group.  "keys" has room for those below the node, which
 * is at the first "count" of them.
 */
static Jsonb *
take_group(const Policy *policy, Jsonb *doc, const Jsonb *other,
		   const PolicyNode *node, int group, JsonKey *keys, int count)
{
	check_stack_depth();
	if (node->group == group)
		return take_place(policy, doc, other, keys, count);
	for (int i = 0; i < node->count; i++)
	{
		const PolicyNode *child = node->children[i];

		if (is_of_elements(node, child) ||
			!(child->group == group || child->groups_below))
			continue;
		keys[count] = child->key;
		doc = take_group(policy, doc, other, child, group, keys, count + 1);
	}
	return doc;
}

/* The groups with values inside a node: a list of their numbers */
static List *
groups_in(const PolicyNode *node, List *groups)
{
	check_stack_depth();
	if (node->group != NO_GROUP)
		groups = list_append_unique_int(groups, node->group);
	for (int i = 0; i < node->count; i++)
	{
		if (!is_of_elements(node, node->children[i]))
			groups = groups_in(node->children[i], groups);
	}
	return groups;
}

/*
 * A document with a place taken from another document, and with it the other
 * values of its group.  In a place elements are named as in conflicts; an
 * array whose elements have no names is one value.  palloc'd.
 */
Jsonb *
unit_take(const Policy *policy, Jsonb *doc, const Jsonb *other,
		  const JsonPointer *place)
{
	const PolicyNode *node = &policy->root;
	const PolicyNode *scope = node; /* what has its groups to itself */
	int			scope_depth = 0;
	List	   *groups = NIL;
	ListCell   *lc;

	for (int i = 0; i < place->count && node != NULL &&
		 node->group == NO_GROUP; i++)
	{
		bool		is_element;

		node = inside(node, place->keys[i], &is_element);
		if (is_element)
		{
			scope = node;
			scope_depth = i + 1;
		}
	}
	if (node != NULL)
		groups = groups_in(node, NIL);
	doc = take_place(policy, doc, other, place->keys, place->count);
	foreach(lc, groups)
	{
		JsonKey    *keys = palloc((scope_depth + depth_below(scope) + 1) *
								  sizeof(JsonKey));

		memcpy(keys, place->keys, scope_depth * sizeof(JsonKey));
		doc = take_group(policy, doc, other, scope, lfirst_int(lc), keys,
						 scope_depth);
	}
	return doc;
}
