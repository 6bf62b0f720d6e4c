/*
 * policycompare.c
 *	  Values compared as a merge policy sees it: what is ignored left out,
 *	  numbers within the tolerance taken as equal.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "json/document.h"
#include "merge/policycompare.h"
#include "server/compat.h"

static bool
same_numbers(const Policy *policy, JsonValue a, JsonValue b)
{
	Numeric		difference;
	Datum		distance;
	bool		is_too_large = false;
	bool		is_close;

	if (json_equal_numbers(a, b))
		return true;
	if (policy->tolerance == NULL)
		return false;
	difference = compat_numeric_sub((Numeric) a.data, (Numeric) b.data,
									&is_too_large);
	if (is_too_large)
		return false;
	distance = DirectFunctionCall1(numeric_abs, NumericGetDatum(difference));
	is_close = DatumGetBool(DirectFunctionCall2(numeric_lt, distance,
												NumericGetDatum(policy->tolerance)));
	pfree(difference);
	pfree(DatumGetPointer(distance));
	return is_close;
}

/* Are differences at this place left out? */
static bool
is_left_out(const PolicyNode *node, bool without_latest)
{
	return node != NULL && (node->ignore || (node->latest && without_latest));
}

/*
 * Is there no value, as a policy sees a property?
 */
bool
policycompare_is_absent(const Policy *policy, JsonValue value)
{
	return !json_exists(value) ||
		(policy->null_is_absent && value.type == JENTRY_ISNULL);
}

static bool same_within(const Policy *policy, const PolicyNode *node,
						bool without_latest, JsonValue a, JsonValue b,
						uint32 outer);

/* Properties, of which null may be none */
static bool
same_properties(const Policy *policy, const PolicyNode *node,
				bool without_latest, JsonValue a, JsonValue b, uint32 outer)
{
	if (policycompare_is_absent(policy, a) ||
		policycompare_is_absent(policy, b))
		return policycompare_is_absent(policy, a) ==
			policycompare_is_absent(policy, b);
	return same_within(policy, node, without_latest, a, b, outer);
}

static bool
same_objects(const Policy *policy, const PolicyNode *node, bool without_latest,
			 JsonValue a, JsonValue b)
{
	JsonMembers in_a;
	JsonMembers in_b;
	JsonKey		key_a;
	JsonKey		key_b;
	JsonValue	value_a;
	JsonValue	value_b;
	bool		more_a;
	bool		more_b;

	json_members(&in_a, a);
	json_members(&in_b, b);
	more_a = json_next_member(&in_a, &key_a, &value_a);
	more_b = json_next_member(&in_b, &key_b, &value_b);
	while (more_a || more_b)
	{
		int			order = !more_a ? 1 : !more_b ? -1 :
			json_compare_keys(key_a, key_b);
		const PolicyNode *child = policy_child(node,
											   order <= 0 ? key_a : key_b);

		if (!is_left_out(child, without_latest) &&
			(order == 0 ?
			 !same_properties(policy, child, without_latest, value_a, value_b,
							  a.len) :
			 !policycompare_is_absent(policy, order < 0 ? value_a : value_b)))
			return false;
		if (order <= 0)
			more_a = json_next_member(&in_a, &key_a, &value_a);
		if (order >= 0)
			more_b = json_next_member(&in_b, &key_b, &value_b);
	}
	return true;
}

/*
 * Have two elements of an array, of which the policy says what tells its
 * elements apart, the same key?  No tolerance is for it.
 */
bool
policycompare_keys(const PolicyNode *node, JsonValue a, JsonValue b)
{
	JsonValue	key_a = json_member(a, node->element_key);
	JsonValue	key_b = json_member(b, node->element_key);

	return json_identical(key_a, key_b) ||
		(json_exists(key_a) && json_exists(key_b) && json_equal(key_a, key_b));
}

static bool
same_arrays(const Policy *policy, const PolicyNode *node, JsonValue a,
			JsonValue b)
{
	JsonMembers in_a;
	JsonMembers in_b;
	JsonValue	value_a;
	JsonValue	value_b;

	/*
	 * As long, and both or neither a lone scalar, which is stored as an array
	 */
	if (((const JsonbContainer *) a.data)->header !=
		((const JsonbContainer *) b.data)->header)
		return false;
	if (JsonContainerIsScalar((const JsonbContainer *) a.data))
		node = NULL;
	json_members(&in_a, a);
	json_members(&in_b, b);
	for (int i = 0; json_next_element(&in_a, &value_a); i++)
	{
		const PolicyNode *element = policy_element(node, i);

		json_take_element(&in_b, &value_b);
		if (node != NULL && node->element_key.len > 0 &&
			!policycompare_keys(node, value_a, value_b))
			return false;

		/* Here an array is one value: no part of it is "latest". */
		if (!(element != NULL && element->ignore) &&
			!same_within(policy, element, false, value_a, value_b, a.len))
			return false;
	}
	return true;
}

static bool
same_within(const Policy *policy, const PolicyNode *node, bool without_latest,
			JsonValue a, JsonValue b, uint32 outer)
{
	if (json_identical_within(a, b, outer))
		return true;
	if (json_is_object(a) && json_is_object(b))
	{
		check_stack_depth();
		CHECK_FOR_INTERRUPTS();
		return same_objects(policy, node, without_latest, a, b);
	}
	if (json_is_array(a) && json_is_array(b))
	{
		check_stack_depth();
		CHECK_FOR_INTERRUPTS();
		return same_arrays(policy, node, a, b);
	}
	return json_is_number(a) && json_is_number(b) && same_numbers(policy, a,
																  b);
}

/*
 * Are two values the same, as a policy sees it?  "node" is what it says of
 * them; "without_latest": whatever is "latest" inside them.  An error (54001)
 * where they are nested too deep.
 */
bool
policycompare_values(const Policy *policy, const PolicyNode *node,
					 bool without_latest,
					 JsonValue a, JsonValue b)
{
	if (policy->tolerance == NULL && !policy->null_is_absent &&
		(node == NULL || node->count == 0))
		return json_equal(a, b);
	return json_identical(a, b) ||
		same_properties(policy, node, without_latest, a, b, 0);
}

/*
 * Are two documents the same?  NULL is one that does not exist, and the same
 * as only another such.
 */
bool
policycompare_documents(const Policy *policy, const Jsonb *a, const Jsonb *b)
{
	return policycompare_values(policy, &policy->root, false, json_root(a),
								json_root(b));
}

/*
 * The same of two versions of an entity with that id: whether they repeat it
 * is no difference, and documents that are nested too deep are compared byte
 * by byte.
 */
bool
policycompare_versions(const Policy *policy, Jsonb *a, const Jsonb *b,
					   const text *id)
{
	a = document_with_ids_as(a, b, id);
	if (document_is_too_deep(a) || document_is_too_deep(b))
		return document_identical(a, b);
	return policycompare_documents(policy, a, b);
}
