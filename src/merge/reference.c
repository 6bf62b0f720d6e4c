/*
 * reference.c
 *	  References to other entities in a document: where the policy says that
 *	  there is an id, or an array of ids.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "merge/keyedarray.h"
#include "merge/reference.h"

/* A reference in an element of an array */
typedef struct Found
{
	JsonPointer *place;
	JsonValue	id;
} Found;

static bool
is_any(JsonKey key)
{
	return key.len == 1 && key.name[0] == '*';
}

/* Does a pointer lead through elements of arrays? */
static bool
has_any(const JsonPointer *pointer)
{
	for (int i = 0; i < pointer->count; i++)
	{
		if (is_any(pointer->keys[i]))
			return true;
	}
	return false;
}

/*
 * Begin with the first reference of a document (NULL has none).
 */
void
reference_scan(ReferenceScan *scan, const Policy *policy, const Jsonb *doc)
{
	reference_scan_value(scan, policy, json_root(doc));
}

/*
 * The same of a document that is a value inside another one.
 */
void
reference_scan_value(ReferenceScan *scan, const Policy *policy, JsonValue doc)
{
	memset(scan, 0, sizeof(ReferenceScan));
	scan->policy = policy;
	scan->pointers = policy->reference;
	scan->count = policy->references;
	scan->document = doc;
}

/*
 * The same of the references that must lead in no ring.
 */
void
reference_scan_acyclic(ReferenceScan *scan, const Policy *policy,
					   const Jsonb *doc)
{
	memset(scan, 0, sizeof(ReferenceScan));
	scan->policy = policy;
	scan->pointers = policy->acyclic;
	scan->count = policy->acyclics;
	scan->document = json_root(doc);
}

/*
 * Where references are that must lead in no ring, by the number of the pointer:
 * of one that leads through elements of arrays, the outermost array.
 */
JsonPointer
reference_acyclic_place(const Policy *policy, int number)
{
	JsonPointer place = policy->acyclic[number];

	for (int i = 0; i < place.count; i++)
	{
		if (is_any(place.keys[i]))
			place.count = i;
	}
	return place;
}

static void
add_found(ReferenceScan *scan, const JsonKey *keys, int count, JsonValue id)
{
	Found	   *found = palloc(sizeof(Found));

	found->place = palloc(sizeof(JsonPointer));
	found->place->count = count;
	found->place->keys = palloc(count * sizeof(JsonKey));
	memcpy(found->place->keys, keys, count * sizeof(JsonKey));
	found->id = id;
	scan->found = lappend(scan->found, found);
}

/*
 * Find the references that a pointer with "*" leads to, inside a value that is
 * at the first "depth" of "keys".
 */
static void
find(ReferenceScan *scan, const PolicyNode *node, JsonValue value,
	 JsonKey *keys, int depth)
{
	const JsonPointer *pointer = scan->pointer;
	JsonMembers elements;
	JsonValue	element;
	bool		keyed;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (depth < pointer->count && !is_any(pointer->keys[depth]))
	{
		keys[depth] = pointer->keys[depth];
		find(scan, policy_child(node, keys[depth]),
			 json_member(value, keys[depth]), keys, depth + 1);
		return;
	}
	if (!json_is_array(value))
	{
		if (depth == pointer->count && json_is_string(value))
			add_found(scan, keys, depth, value);
		return;
	}
	keyed = keyedarray_has_names(value, node);
	json_members(&elements, value);
	for (int i = 0; json_next_element(&elements, &element); i++)
	{
		if (depth == pointer->count)
		{
			if (json_is_string(element))
				add_found(scan, keys, depth, element);
			continue;
		}
		keys[depth] = keyed ? keyedarray_name(element, node->element_key) :
			json_key(psprintf("%d", i));
		find(scan, policy_element(node, i), element, keys, depth + 1);
	}
}

/*
 * The next reference: its id, in scan->place where it is, and in scan->pointer
 * what the policy calls that.  False at the end.
 */
bool
reference_next(ReferenceScan *scan, JsonValue *id)
{
	for (;;)
	{
		while (scan->in_array)
		{
			scan->in_array = json_next_element(&scan->elements, id);
			if (scan->in_array && json_is_string(*id))
				return true;
		}
		if (scan->next_found < list_length(scan->found))
		{
			const Found *found = list_nth(scan->found, scan->next_found++);

			scan->place = found->place;
			*id = found->id;
			return true;
		}
		if (scan->next >= scan->count)
			return false;
		scan->pointer = scan->place = &scan->pointers[scan->next++];
		if (has_any(scan->pointer))
		{
			find(scan, &scan->policy->root, scan->document,
				 palloc(scan->pointer->count * sizeof(JsonKey)), 0);
			continue;
		}
		*id = pointer_value(scan->place, scan->document);
		if (json_is_string(*id))
			return true;
		if (json_is_array(*id))
		{
			json_members(&scan->elements, *id);
			scan->in_array = true;
		}
	}
}

/*
 * Is that said of any value that a pointer of the policy leads to from "depth"
 * on, or of an element of an array there?
 */
static bool
any_at(const JsonPointer *pointer, int depth, JsonValue value,
	   bool (*test) (const void *arg, JsonValue id), const void *arg)
{
	JsonMembers elements;
	JsonValue	element;

	check_stack_depth();
	if (depth < pointer->count && !is_any(pointer->keys[depth]))
		return any_at(pointer, depth + 1,
					  json_member(value, pointer->keys[depth]), test, arg);
	if (!json_is_array(value))
		return depth == pointer->count && test(arg, value);
	json_members(&elements, value);
	while (json_next_element(&elements, &element))
	{
		CHECK_FOR_INTERRUPTS();
		if (depth == pointer->count ? test(arg, element) :
			any_at(pointer, depth + 1, element, test, arg))
			return true;
	}
	return false;
}

static bool
is_id(const void *id, JsonValue value)
{
	return json_identical(value, *(const JsonValue *) id);
}

/*
 * Does a document refer to that id where a pointer of the policy says?
 */
bool
reference_is_at(const JsonPointer *pointer, const Jsonb *doc, JsonValue id)
{
	return any_at(pointer, 0, json_root(doc), is_id, &id);
}

/* What is to be redirected, and where from */
typedef struct Leading
{
	const JsonPointer *place;
	List	   *renames;
	const Jsonb *base;
	const Jsonb *other;
} Leading;

/* The new id of a reference that is to be redirected, else the value itself */
static JsonValue
new_id_of(const Leading *leading, JsonValue id)
{
	int			low = 0;
	int			high = list_length(leading->renames);
	JsonKey		key = {id.data, id.len};

	if (!json_is_string(id))
		return id;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		const Rename *rename = list_nth(leading->renames, middle);
		int			len = strlen(rename->id);
		int			order = memcmp(rename->id, key.name, Min(len, key.len));

		if (order == 0)
			order = len - key.len;
		if (order == 0)
		{
			if (reference_is_at(leading->place, leading->base, id) ||
				reference_is_at(leading->place, leading->other, id))
				return id;
			return json_string(rename->new_id);
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return id;
}

static JsonBuild *lead(const Leading *leading, JsonValue container,
					   int depth);

/* Add a value to what is in the making, with references in it redirected. */
static void
add_led(const Leading *leading, JsonBuild *made, JsonKey key, JsonValue value,
		int depth)
{
	if (json_is_container(value) &&
		(depth < leading->place->count || json_is_array(value)))
		json_build_made(made, key, lead(leading, value, depth));
	else
		json_build_value(made, key, depth < leading->place->count ? value :
						 new_id_of(leading, value));
}

/*
 * A container with the references inside it redirected, which are at the end
 * of the pointer from "depth" on.
 */
static JsonBuild *
lead(const Leading *leading, JsonValue container, int depth)
{
	const JsonPointer *place = leading->place;
	bool		here = depth == place->count;
	JsonBuild  *made = palloc0(sizeof(JsonBuild));
	JsonMembers members;
	JsonKey		key = {NULL, 0};
	JsonValue	value;

	check_stack_depth();
	json_members(&members, container);
	made->is_array = json_is_array(container);
	if (made->is_array)
	{
		while (json_next_element(&members, &value))
		{
			CHECK_FOR_INTERRUPTS();
			if (here)
				json_build_value(made, key, new_id_of(leading, value));
			else if (is_any(place->keys[depth]))
				add_led(leading, made, key, value, depth + 1);
			else
				json_build_value(made, key, value);
		}
		return made;
	}
	while (json_next_member(&members, &key, &value))
	{
		if (json_compare_keys(key, place->keys[depth]) != 0)
			json_build_value(made, key, value);
		else
			add_led(leading, made, key, value, depth + 1);
	}
	return made;
}

static bool
is_led(const void *leading, JsonValue id)
{
	return new_id_of(leading, id).data != id.data;
}

/*
 * The document with references to some ids redirected to others ("renames": a
 * list of Rename in ascending ids), but for those that one of two other
 * documents (or NULL) has at the same place.  palloc'd, or the document itself
 * where there are none.
 */
Jsonb *
reference_redirect(const Policy *policy, Jsonb *doc, List *renames,
				   const Jsonb *base, const Jsonb *other)
{
	for (int i = 0; i < policy->references; i++)
	{
		Leading		leading = {&policy->reference[i], renames, base, other};

		if (any_at(leading.place, 0, json_root(doc), is_led, &leading))
			doc = json_build_end(lead(&leading, json_root(doc), 0));
	}
	return doc;
}
