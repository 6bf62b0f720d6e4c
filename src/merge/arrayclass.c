/*
 * arrayclass.c
 *	  Which elements of two arrays are the same: those with the same key, where
 *	  the policy names the member that tells elements apart (policy key
 *	  "keys"), else those with the same contents.  Each such set is a class.
 *
 * To know that two elements are the same takes time with their size, and so it
 * would with the depth of arrays inside arrays, if it were asked on each
 * level. So an element that makes up most of an array is not compared: it is
 * taken to be the one that the most of the other array is, and to differ
 * inside.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "merge/arrayclass.h"
#include "merge/keyedarray.h"
#include "merge/policycompare.h"
#include "merge/policyhash.h"

/* Most elements, of those that are not the same at both ends of the arrays */
#define MAX_ELEMENTS 1000000

/* Smaller ones are compared in any case. */
#define HEAVY_BYTES 1024

static bool
is_heavy(JsonValue value, uint32 outer)
{
	return json_is_container(value) && value.len > HEAVY_BYTES &&
		value.len > outer / 2;
}

static bool
has_keys(const ArrayComparison *comparison)
{
	return comparison->node != NULL && comparison->node->element_key.len > 0;
}

/*
 * Have two elements the same key?  They need it to be the same, where the
 * policy says what their key is, even if it ignores the member.
 */
bool
arrayclass_same_keys(const ArrayComparison *comparison, JsonValue a,
					 JsonValue b)
{
	return !has_keys(comparison) ||
		policycompare_keys(comparison->node, a, b);
}

/*
 * Are two elements, of which the second one is the new array's with that
 * number, the same?
 */
static bool
same_elements(ArrayComparison *comparison, JsonValue old, JsonValue new,
			  int number)
{
	const PolicyNode *node = policy_element(comparison->node, number);
	bool		heavy = is_heavy(old, comparison->old.outer);

	if (!arrayclass_same_keys(comparison, old, new))
		return false;
	if (node != NULL && node->ignore)
		return true;
	if (heavy || is_heavy(new, comparison->new.outer))
	{
		if (!heavy || !is_heavy(new, comparison->new.outer))
			return false;
		comparison->heavy_old = old;
		comparison->heavy_new = new;
		comparison->heavy_number = number;
		return true;
	}
	return policycompare_values(comparison->policy, node, false, old, new);
}

static void
take_rest(ArrayElements *elements, JsonMembers *members)
{
	elements->count = members->count - members->next;
	elements->element = MemoryContextAllocHuge(CurrentMemoryContext,
											   Max(elements->count,
												   1) * sizeof(ArrayElement));
	for (int i = 0; i < elements->count; i++)
	{
		ArrayElement *element = &elements->element[i];

		memset(element, 0, sizeof(ArrayElement));
		json_take_element(members, &element->value);
		element->partner = -1;
	}
}

/* Leave out what is the same at the begin and at the end. */
static void
trim(ArrayComparison *comparison, JsonValue old, JsonValue new,
	 bool by_content)
{
	ArrayElements *olds = &comparison->old;
	ArrayElements *news = &comparison->new;
	JsonMembers in_old;
	JsonMembers in_new;

	json_members(&in_old, old);
	json_members(&in_new, new);
	while (by_content && in_old.next < in_old.count && in_new.next < in_new.count)
	{
		JsonMembers before_old = in_old;
		JsonMembers before_new = in_new;
		JsonValue	a;
		JsonValue	b;

		CHECK_FOR_INTERRUPTS();
		json_take_element(&in_old, &a);
		json_take_element(&in_new, &b);
		if (!same_elements(comparison, a, b, comparison->head))
		{
			in_old = before_old;
			in_new = before_new;
			break;
		}
		comparison->head++;
	}
	take_rest(olds, &in_old);
	take_rest(news, &in_new);
	while (by_content && olds->count > 0 && news->count > 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (!same_elements(comparison, olds->element[olds->count - 1].value,
						   news->element[news->count - 1].value,
						   comparison->head + news->count - 1))
			break;
		olds->count--;
		news->count--;
	}
}

static void
allocate_classes(ArrayElements *elements)
{
	elements->classes = lcs_ints(elements->count);
	for (int i = 0; i < elements->count; i++)
		elements->classes[i] = LCS_ALONE;
}

/* ---- Classes by key ----------------------------------------------------- */

/*
 * A class for each key that both arrays have; false where the arrays have no
 * keys, or it is not clear whose they are.
 */
static bool
classify_by_key(ArrayComparison *comparison, JsonValue old, JsonValue new)
{
	KeyedArray	olds;
	KeyedArray	news;
	JsonKey		member;

	if (!has_keys(comparison))
		return false;
	member = comparison->node->element_key;
	if (!keyedarray_open(&olds, old, member) ||
		!keyedarray_open(&news, new, member))
		return false;

	trim(comparison, old, new, false);
	allocate_classes(&comparison->old);
	allocate_classes(&comparison->new);
	for (int a = 0, b = 0; a < olds.count && b < news.count;)
	{
		int			order = keyedarray_compare(&olds.elements[a].key,
											   &news.elements[b].key);

		if (order == 0)
		{
			comparison->old.classes[olds.elements[a].place] =
				comparison->new.classes[news.elements[b].place] =
				comparison->class_count++;
			comparison->old.element[olds.elements[a].place].look = true;
		}
		a += order <= 0;
		b += order >= 0;
	}
	pfree(olds.elements);
	pfree(news.elements);
	return true;
}

/* ---- Classes by content ------------------------------------------------- */

typedef struct Hashed
{
	uint64		hash;
	int			number;			/* those of the new array after the old ones */
} Hashed;

static int
compare_hashes(const void *a, const void *b)
{
	const Hashed *left = a;
	const Hashed *right = b;

	CHECK_FOR_INTERRUPTS();
	if (left->hash != right->hash)
		return left->hash < right->hash ? -1 : 1;
	return left->number < right->number ? -1 : 1;
}

/* What the policy says of each element alike */
static const PolicyNode *
node_of_all(const ArrayComparison *comparison)
{
	const PolicyNode *node = comparison->node;

	/* Where it tells them apart by number, what is the same is so anywhere. */
	if (node == NULL || node->count > 1)
		return NULL;
	return policy_any_element(node);
}

static bool
same_class(const ArrayComparison *comparison, const PolicyNode *node,
		   JsonValue a,
		   JsonValue b)
{
	if (!arrayclass_same_keys(comparison, a, b))
		return false;
	if (node == NULL)
		return json_equal(a, b);
	return node->ignore ||
		policycompare_values(comparison->policy, node, false, a, b);
}

static ArrayElement *
numbered(ArrayComparison *comparison, int number, int **class)
{
	ArrayElements *elements = &comparison->old;

	if (number >= elements->count)
	{
		number -= elements->count;
		elements = &comparison->new;
	}
	*class = &elements->classes[number];
	return &elements->element[number];
}

/* Hash all elements but those that are most of their array. */
static int
hash_elements(ArrayComparison *comparison, const ArrayElements *elements,
			  int offset,
			  Hashed *hashed)
{
	const PolicyNode *node = node_of_all(comparison);
	int			count = 0;

	for (int i = 0; i < elements->count; i++)
	{
		JsonValue	value = elements->element[i].value;

		CHECK_FOR_INTERRUPTS();
		if (is_heavy(value, elements->outer))
			continue;
		hashed[count].number = offset + i;
		hashed[count].hash = node != NULL && node->ignore ? 0 :
			policyhash_value(comparison->policy, node, value);
		if (has_keys(comparison))
		{
			JsonValue	key = json_member(value,
										  comparison->node->element_key);

			if (json_exists(key))
				hashed[count].hash ^= policyhash_value(comparison->policy,
													   NULL, key);
		}
		count++;
	}
	return count;
}

/* Those that are most of their arrays are taken to be the same. */
static void
classify_heavy(ArrayComparison *comparison)
{
	ArrayElements *arrays[] = {&comparison->old, &comparison->new};
	int			found[] = {-1, -1};

	for (int side = 0; side < 2; side++)
	{
		for (int i = 0; i < arrays[side]->count; i++)
		{
			if (is_heavy(arrays[side]->element[i].value, arrays[side]->outer))
				found[side] = i;
		}
	}
	if (found[0] < 0 || found[1] < 0)
		return;
	if (!arrayclass_same_keys(comparison, arrays[0]->element[found[0]].value,
							  arrays[1]->element[found[1]].value))
		return;
	comparison->old.classes[found[0]] =
		comparison->new.classes[found[1]] = comparison->class_count++;
	comparison->old.element[found[0]].look = true;
}

static void
classify_by_content(ArrayComparison *comparison)
{
	const PolicyNode *node = node_of_all(comparison);
	int			olds = comparison->old.count;
	Hashed	   *hashed = MemoryContextAllocHuge(CurrentMemoryContext,
												Max(olds + comparison->new.count, 1) * sizeof(Hashed));
	int			count;

	allocate_classes(&comparison->old);
	allocate_classes(&comparison->new);
	count = hash_elements(comparison, &comparison->old, 0, hashed);
	count += hash_elements(comparison, &comparison->new, olds, hashed + count);
	qsort(hashed, count, sizeof(Hashed), compare_hashes);
	for (int i = 0, next; i < count; i = next)
	{
		int		   *class;
		int			number = comparison->class_count;
		ArrayElement *first = numbered(comparison, hashed[i].number, &class);

		for (next = i + 1; next < count && hashed[next].hash == hashed[i].hash;)
			next++;
		if (hashed[i].number >= olds || hashed[next - 1].number < olds)
			continue;			/* in one array alone */
		*class = number;
		comparison->class_count++;
		for (int k = i + 1; k < next; k++)
		{
			ArrayElement *element = numbered(comparison, hashed[k].number,
											 &class);

			CHECK_FOR_INTERRUPTS();
			if (same_class(comparison, node, first->value, element->value))
				*class = number;
		}
	}
	pfree(hashed);
	classify_heavy(comparison);
}

/*
 * Find what is the same in an old and a new array, as the policy set in the
 * comparison sees it.  False where too many elements would have to be looked
 * at.  To be freed by arrayclass_free() in any case.
 */
bool
arrayclass_find(ArrayComparison *comparison, JsonValue old, JsonValue new)
{
	comparison->old.outer = old.len;
	comparison->new.outer = new.len;
	comparison->by_key = classify_by_key(comparison, old, new);
	if (comparison->by_key)
		return true;
	trim(comparison, old, new, true);
	if (comparison->old.count > MAX_ELEMENTS ||
		comparison->new.count > MAX_ELEMENTS)
		return false;
	classify_by_content(comparison);
	return true;
}

static void
free_elements(ArrayElements *elements)
{
	pfree(elements->element);
	if (elements->classes != NULL)
		pfree(elements->classes);
}

/*
 * Free what arrayclass_find() allocated.
 */
void
arrayclass_free(ArrayComparison *comparison)
{
	free_elements(&comparison->old);
	free_elements(&comparison->new);
}
