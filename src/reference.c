/*
 * reference.c
 *	  References to other entities in a document: where the policy says that
 *	  there is an id, or an array of ids.
 *
 * May call policy.c, pointer.c and jsonvalue.c.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "reference.h"

/*
 * Begin with the first reference of a document (NULL has none).
 */
void
reference_scan(ReferenceScan *scan, const Policy *policy, const Jsonb *doc)
{
	memset(scan, 0, sizeof(ReferenceScan));
	scan->policy = policy;
	scan->document = json_root(doc);
}

/*
 * The next reference: its id, and in scan->place where it is.  False at the
 * end.
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
		if (scan->next >= scan->policy->references)
			return false;
		scan->place = &scan->policy->reference[scan->next++];
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
 * Does a document refer to that id at that place?
 */
bool
reference_is_at(const JsonPointer *place, const Jsonb *doc, JsonValue id)
{
	JsonValue	value = pointer_value(place, json_root(doc));
	JsonMembers elements;

	if (json_is_array(value))
	{
		JsonValue	element;

		json_members(&elements, value);
		while (json_next_element(&elements, &element))
		{
			if (json_identical(element, id))
				return true;
		}
		return false;
	}
	return json_identical(value, id);
}

/*
 * Add a value with the reference inside it led over, which is at the end of the
 * pointer from "depth" on.
 */
static void
add_led(JsonBuild *build, JsonKey key, JsonValue value,
		const JsonPointer *place, int depth, JsonValue from, JsonValue to)
{
	JsonBuild  *made;
	JsonMembers members;
	JsonKey		inner_key = {NULL, 0};
	JsonValue	inner;

	check_stack_depth();
	if (json_is_string(value))
	{
		json_build_value(build, key, to);
		return;
	}
	made = palloc0(sizeof(JsonBuild));
	json_members(&members, value);
	if (depth == place->count)
	{
		made->is_array = true;
		while (json_next_element(&members, &inner))
			json_build_value(made, inner_key,
							 json_identical(inner, from) ? to : inner);
	}
	else
	{
		while (json_next_member(&members, &inner_key, &inner))
		{
			if (json_compare_keys(inner_key, place->keys[depth]) == 0)
				add_led(made, inner_key, inner, place, depth + 1, from, to);
			else
				json_build_value(made, inner_key, inner);
		}
	}
	json_build_made(build, key, made);
}

/*
 * The document with the references to one id led over to another, but for those
 * that one of two other documents (or NULL) has at the same place.  palloc'd, or
 * the document itself where there are none.
 */
Jsonb *
reference_lead(const Policy *policy, Jsonb *doc, const char *from,
			   const char *to, const Jsonb *base, const Jsonb *other)
{
	JsonValue	old = json_string(from);

	for (int i = 0; i < policy->references; i++)
	{
		const JsonPointer *place = &policy->reference[i];
		JsonBuild	build = {0};
		JsonKey		no_key = {NULL, 0};

		if (reference_is_at(place, doc, old) &&
			!reference_is_at(place, base, old) &&
			!reference_is_at(place, other, old))
		{
			add_led(&build, no_key, json_root(doc), place, 0, old,
					json_string(to));
			doc = json_build_end(build.parts[0].made);
		}
	}
	return doc;
}
