/*
 * keyedarray.c
 *	  Arrays whose elements are told apart by a member that they all have: a
 *	  string, or a whole number, no two of them the same.
 *
 * In a path an element is named by a token such as refId=A, or id=7 where the
 * key is a number.  A string that begins as a number does, or with a quote, is
 * in quotes: id="7".  That is diagsync's own form; RFC 6901 knows indexes only.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "merge/keyedarray.h"

/*
 * Compare two keys of elements: numbers come before strings.
 */
int
keyedarray_compare(const ElementKey *a, const ElementKey *b)
{
	if (a->is_number != b->is_number)
		return a->is_number ? -1 : 1;
	if (a->is_number)
		return a->number < b->number ? -1 : a->number > b->number;
	return json_compare_keys(a->string, b->string);
}

static int
compare_elements(const void *a, const void *b)
{
	return keyedarray_compare(&((const KeyedElement *) a)->key,
							  &((const KeyedElement *) b)->key);
}

/* A whole number that int64 has room for; false for any other. */
static bool
whole_number(JsonValue value, int64 *number)
{
	Numeric		numeric = (Numeric) value.data;
	Datum		limit = DirectFunctionCall1(int8_numeric,
											Int64GetDatum(PG_INT64_MAX));
	Datum		size = DirectFunctionCall1(numeric_abs, NumericGetDatum(numeric));
	Datum		back;
	bool		fits = DatumGetBool(DirectFunctionCall2(numeric_le, size, limit));

	pfree(DatumGetPointer(size));
	pfree(DatumGetPointer(limit));
	if (!fits)
		return false;
	*number = DatumGetInt64(DirectFunctionCall1(numeric_int8,
												NumericGetDatum(numeric)));
	back = DirectFunctionCall1(int8_numeric, Int64GetDatum(*number));
	fits = DatumGetBool(DirectFunctionCall2(numeric_eq, back,
											NumericGetDatum(numeric)));
	pfree(DatumGetPointer(back));
	return fits;
}

static bool
key_of(JsonValue element, JsonKey member, ElementKey *key)
{
	JsonValue	value = json_member(element, member);

	memset(key, 0, sizeof(ElementKey));
	if (json_is_string(value))
	{
		key->string.name = value.data;
		key->string.len = value.len;
		return true;
	}
	key->is_number = true;
	return json_is_number(value) && whole_number(value, &key->number);
}

/*
 * The elements of an array by their keys, the values of a member; a value that
 * does not exist has none.  False where it is no array, an element has no key,
 * or two have the same.  palloc'd; it points into the value.
 */
bool
keyedarray_open(KeyedArray *array, JsonValue value, JsonKey member)
{
	JsonMembers members;
	JsonValue	element;

	array->count = 0;
	array->elements = NULL;
	if (!json_exists(value))
		return true;
	if (!json_is_array(value) ||
		JsonContainerIsScalar((const JsonbContainer *) value.data))
		return false;

	json_members(&members, value);
	array->elements = MemoryContextAllocHuge(CurrentMemoryContext,
											 Max(members.count, 1) * sizeof(KeyedElement));
	while (json_next_element(&members, &element))
	{
		KeyedElement *next = &array->elements[array->count];

		CHECK_FOR_INTERRUPTS();
		next->value = element;
		next->place = array->count++;
		if (!key_of(element, member, &next->key))
			return false;
	}
	qsort(array->elements, array->count, sizeof(KeyedElement),
		  compare_elements);
	for (int i = 1; i < array->count; i++)
	{
		if (compare_elements(&array->elements[i - 1], &array->elements[i]) == 0)
			return false;
	}
	return true;
}

/* Has a string to be in quotes, so that it is not taken for a number? */
static bool
needs_quotes(JsonKey string)
{
	return string.len > 0 &&
		(string.name[0] == '"' || string.name[0] == '-' ||
		 (string.name[0] >= '0' && string.name[0] <= '9'));
}

/*
 * What an element is called in a path.  palloc'd.
 */
JsonKey
keyedarray_token(JsonKey member, const ElementKey *key)
{
	int			room = member.len + key->string.len + 32;
	char	   *token = palloc(room);
	char	   *end = token + member.len;
	JsonKey		result = {token, 0};
	bool		quoted = !key->is_number && needs_quotes(key->string);

	memcpy(token, member.name, member.len);
	*end++ = '=';
	if (key->is_number)
		end += snprintf(end, room - member.len - 1, INT64_FORMAT,
						key->number);
	else
	{
		if (quoted)
			*end++ = '"';
		memcpy(end, key->string.name, key->string.len);
		end += key->string.len;
		if (quoted)
			*end++ = '"';
	}
	result.len = end - token;
	return result;
}

/*
 * Are the elements of an array named in paths by their keys, as its policy
 * says?
 */
bool
keyedarray_has_names(JsonValue array, const PolicyNode *node)
{
	KeyedArray	keyed;

	return node != NULL && node->element_key.len > 0 &&
		keyedarray_open(&keyed, array, node->element_key);
}

/*
 * What an element with a key is called in a path.  palloc'd.
 */
JsonKey
keyedarray_name(JsonValue element, JsonKey member)
{
	ElementKey	key;

	if (!key_of(element, member, &key))
		elog(ERROR, "element of a keyed array has no key");
	return keyedarray_token(member, &key);
}
