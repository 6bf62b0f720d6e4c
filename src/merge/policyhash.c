/*
 * policyhash.c
 *	  Hashes of values, as a merge policy sees them: of values that are equal
 *	  but for what it ignores they are the same.  (The tolerance cannot be in a
 *	  hash: numbers that are close may have different ones.)
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"

#include "merge/policycompare.h"
#include "merge/policyhash.h"

static uint64
hash_bytes_of(JsonValue value)
{
	return hash_bytes_extended((const unsigned char *) value.data,
							   (int) value.len, 0);
}

/* (hash_numeric() says the same of a number and its opposite.) */
static uint64
hash_number(JsonValue value)
{
	Datum		number = NumericGetDatum((Numeric) value.data);
	Datum		zero = DirectFunctionCall1(int4_numeric, Int32GetDatum(0));
	bool		negative = DatumGetBool(DirectFunctionCall2(numeric_lt, number,
															zero));

	pfree(DatumGetPointer(zero));
	return DatumGetUInt64(DirectFunctionCall2(hash_numeric_extended, number,
											  Int64GetDatum(negative ? 1 : 0)));
}

static uint64
hash_members(const Policy *policy, const PolicyNode *node, JsonValue object)
{
	uint64		hash = 0;
	JsonMembers members;
	JsonKey		key;
	JsonValue	value;

	json_members(&members, object);
	while (json_next_member(&members, &key, &value))
	{
		const PolicyNode *child = policy_child(node, key);
		JsonValue	name = {JENTRY_ISSTRING, key.name, key.len};

		if ((child != NULL && child->ignore) ||
			policycompare_is_absent(policy, value))
			continue;
		hash = hash_combine64(hash, hash_bytes_of(name));
		hash = hash_combine64(hash, policyhash_value(policy, child, value));
	}
	return hash;
}

static uint64
hash_elements(const Policy *policy, const PolicyNode *node, JsonValue array)
{
	JsonMembers elements;
	JsonValue	value;
	uint64		hash;

	json_members(&elements, array);
	hash = elements.count;
	while (json_next_element(&elements, &value))
	{
		const PolicyNode *element = policy_element(node, elements.next - 1);

		hash = hash_combine64(hash, element != NULL && element->ignore ? 0 :
							  policyhash_value(policy, element, value));
	}
	return hash;
}

/*
 * The hash of a value that exists.  "node" is what the policy says of it; that
 * it is ignored itself is not looked at.  An error (54001) where it is nested
 * too deep.
 */
uint64
policyhash_value(const Policy *policy, const PolicyNode *node, JsonValue value)
{
	uint64		hash;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_is_object(value))
		hash = hash_members(policy, node, value);
	else if (json_is_array(value))
		hash = hash_elements(policy, node, value);
	else if (json_is_number(value))
		hash = hash_number(value);
	else
		hash = hash_bytes_of(value);
	return hash_combine64(hash, json_is_object(value) ? 1 : value.type);
}
