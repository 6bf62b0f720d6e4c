/*
 * reference.c
 *	  References to other entities in a document: where the policy says that
 *	  there is an id, or an array of ids.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "merge/reference.h"

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

/*
 * A container with the references inside it redirected, which are at the end
 * of the pointer from "depth" on.
 */
static JsonBuild *
lead(const Leading *leading, JsonValue container, int depth)
{
	const JsonPointer *place = leading->place;
	JsonBuild  *made = palloc0(sizeof(JsonBuild));
	JsonMembers members;
	JsonKey		key = {NULL, 0};
	JsonValue	value;

	check_stack_depth();
	json_members(&members, container);
	if (depth == place->count)
	{
		made->is_array = true;
		while (json_next_element(&members, &value))
		{
			CHECK_FOR_INTERRUPTS();
			json_build_value(made, key, new_id_of(leading, value));
		}
		return made;
	}
	while (json_next_member(&members, &key, &value))
	{
		if (json_compare_keys(key, place->keys[depth]) != 0)
			json_build_value(made, key, value);
		else if (json_is_container(value))
			json_build_made(made, key, lead(leading, value, depth + 1));
		else
			json_build_value(made, key, new_id_of(leading, value));
	}
	return made;
}

/* Is there anything to be redirected? */
static bool
is_to_be_led(const Leading *leading, const Jsonb *doc)
{
	JsonValue	value = pointer_value(leading->place, json_root(doc));
	JsonMembers elements;

	if (json_is_array(value))
	{
		JsonValue	element;

		json_members(&elements, value);
		while (json_next_element(&elements, &element))
		{
			if (new_id_of(leading, element).data != element.data)
				return true;
		}
		return false;
	}
	return new_id_of(leading, value).data != value.data;
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

		if (is_to_be_led(&leading, doc))
			doc = json_build_end(lead(&leading, json_root(doc), 0));
	}
	return doc;
}
