/*
 * arraydiff.c
 *	  How one array becomes another: which of its elements stay, move, go,
 *	  come, or change inside.
 *
 * Which are the same, arrayclass.c says.  The longest common subsequence
 * stays. What is in both besides has moved.  Of what is left, between two
 * elements that stay, the first old one becomes the first new one, and so on;
 * the rest goes, or comes.  (Where elements have keys, those with other keys
 * are others, and go and come.)
 */
#include "postgres.h"

#include "miscadmin.h"

#include "merge/arrayclass.h"
#include "merge/arraydiff.h"

/* ---- Partners ----------------------------------------------------------- */

static void
pair(ArrayComparison *comparison, int old, int new, bool moved)
{
	comparison->old.element[old].partner = new;
	comparison->new.element[new].partner = old;
	comparison->old.element[old].moved = moved;
	comparison->new.element[new].moved = moved;
}

/* What stays, and then what is in both arrays besides: that has moved. */
static void
pair_classes(ArrayComparison *comparison)
{
	LcsSequence olds = {comparison->old.count, comparison->old.classes};
	LcsSequence news = {comparison->new.count, comparison->new.classes};
	LcsIndex	index = lcs_index(news, comparison->class_count);
	int		   *partner = lcs_ints(olds.count);
	int		   *next = lcs_ints(comparison->class_count);

	lcs_find(olds, news, &index, comparison->class_count, partner);
	for (int i = 0; i < olds.count; i++)
	{
		if (partner[i] >= 0)
			pair(comparison, i, partner[i], false);
	}

	memcpy(next, index.start, comparison->class_count * sizeof(int));
	for (int i = 0; i < olds.count; i++)
	{
		int			class = olds.classes[i];
		int			end;

		CHECK_FOR_INTERRUPTS();
		if (partner[i] >= 0 || class == LCS_ALONE)
			continue;
		end = index.start[class + 1];
		while (next[class] < end &&
			   comparison->new.element[index.places[next[class]]].partner >= 0)
			next[class]++;
		if (next[class] < end)
			pair(comparison, i, index.places[next[class]++], true);
	}
	pfree(partner);
	pfree(next);
	pfree(index.start);
	pfree(index.places);
}

static bool
stays(const ArrayElement *element)
{
	return element->partner >= 0 && !element->moved;
}

/* What is left between two that stay becomes what is left there now. */
static void
pair_rest(ArrayComparison *comparison)
{
	ArrayElements *olds = &comparison->old;
	ArrayElements *news = &comparison->new;

	for (int i = 0, j = 0; i < olds->count && j < news->count;)
	{
		ArrayElement *old = &olds->element[i];
		ArrayElement *new = &news->element[j];

		CHECK_FOR_INTERRUPTS();
		if (old->partner < 0 && new->partner < 0)
		{
			pair(comparison, i++, j++, false);
			old->look = true;
		}
		else if (stays(old) && stays(new))
		{
			i++;
			j++;
		}
		else if (old->moved || (old->partner < 0 && stays(new)))
			i++;
		else
			j++;
	}
}

/* ---- Steps -------------------------------------------------------------- */

/*
 * All elements of both arrays in one row, in which those that stay are once.
 * Which are there at the moment is counted in a Fenwick tree: so the number
 * that one has is known at any time, whatever has moved.
 */
typedef struct Row
{
	int			count;
	int		   *tree;			/* from 1 on */
	int		   *old;			/* where in the row the old ones are */
	int		   *new;
} Row;

static void
row_change(Row *row, int place, int change)
{
	for (int i = place + 1; i <= row->count; i += i & -i)
		row->tree[i] += change;
}

/* How many are there before a place */
static int
row_before(const Row *row, int place)
{
	int			count = 0;

	for (int i = place; i > 0; i -= i & -i)
		count += row->tree[i];
	return count;
}

static void
row_init(Row *row, const ArrayComparison *comparison)
{
	const ArrayElements *olds = &comparison->old;
	const ArrayElements *news = &comparison->new;
	int			i = 0;
	int			j = 0;

	row->count = 0;
	row->old = lcs_ints(olds->count);
	row->new = lcs_ints(news->count);
	row->tree = lcs_ints((int64) olds->count + news->count + 1);
	memset(row->tree, 0, (olds->count + news->count + 1) * sizeof(int));
	while (i < olds->count || j < news->count)
	{
		/* What was there, what comes in its place, and what stays behind it */
		for (; i < olds->count && !stays(&olds->element[i]); i++)
		{
			row->old[i] = row->count++;
			row->tree[row->count] = 1;
		}
		for (; j < news->count && !stays(&news->element[j]); j++)
			row->new[j] = row->count++;
		if (i < olds->count)
		{
			row->old[i++] = row->new[j++] = row->count++;
			row->tree[row->count] = 1;
		}
	}
	for (i = 1; i <= row->count; i++)
	{
		if (i + (i & -i) <= row->count)
			row->tree[i + (i & -i)] += row->tree[i];
	}
}

static ArrayStep *
add_step(ArrayDiff *diff, ArrayStepKind kind, int at)
{
	ArrayStep  *step;

	if (diff->count >= diff->max)
	{
		diff->max = Max(diff->max * 2, 16);
		diff->steps = diff->steps == NULL ?
			palloc(diff->max * sizeof(ArrayStep)) :
			repalloc_huge(diff->steps, diff->max * sizeof(ArrayStep));
	}
	step = &diff->steps[diff->count++];
	memset(step, 0, sizeof(ArrayStep));
	step->kind = kind;
	step->at = at;
	return step;
}

/* An element that becomes another one */
static void
look_inside(ArrayDiff *diff, const ArrayComparison *comparison, int at,
			int number,
			JsonValue old, JsonValue new)
{
	ArrayStep  *step = add_step(diff, arrayclass_same_keys(comparison, old,
														   new) ?
								ARRAY_INSIDE : ARRAY_REPLACE, at);

	step->number = number;
	step->old = old;
	step->new = new;
}

/* The one that was not compared, though it may be at its place. */
static void
look_into_heavy(ArrayDiff *diff, const ArrayComparison *comparison)
{
	look_inside(diff, comparison, comparison->heavy_number,
				comparison->heavy_number, comparison->heavy_old,
				comparison->heavy_new);
}

/* An element of the new array is brought to its place, if it is not there. */
static void
step_to(ArrayDiff *diff, Row *row, const ArrayComparison *comparison,
		int number)
{
	const ArrayElement *new = &comparison->new.element[number];
	const ArrayElement *old = new->partner < 0 ? NULL :
		&comparison->old.element[new->partner];
	int			place = row->new[number];
	int			head = comparison->head;
	int			from = -1;

	if (new->moved)
	{
		from = head + row_before(row, row->old[new->partner]);
		row_change(row, row->old[new->partner], -1);
	}
	if (!stays(new))
	{
		int			at = head + row_before(row, place);

		if (old == NULL)
			add_step(diff, ARRAY_ADD, at)->new = new->value;
		else if (from != at)
			add_step(diff, ARRAY_MOVE, at)->from = from;
		row_change(row, place, 1);
	}
	if (old != NULL && old->look)
		look_inside(diff, comparison, head + row_before(row, place),
					head + number,
					old->value, new->value);
}

static void
make_steps(ArrayDiff *diff, const ArrayComparison *comparison)
{
	const ArrayElements *olds = &comparison->old;
	const ArrayElements *news = &comparison->new;
	Row			row;
	int			i = 0;

	row_init(&row, comparison);
	for (int j = 0; j <= news->count; j++)
	{
		int			end = j < news->count ? row.new[j] : row.count;

		CHECK_FOR_INTERRUPTS();
		for (; i < olds->count && row.old[i] < end; i++)
		{
			if (olds->element[i].partner >= 0)
				continue;
			add_step(diff, ARRAY_REMOVE,
					 comparison->head + row_before(&row, row.old[i]));
			row_change(&row, row.old[i], -1);
		}
		if (j < news->count)
			step_to(diff, &row, comparison, j);
	}
	pfree(row.tree);
	pfree(row.old);
	pfree(row.new);
}

/*
 * The steps that make a new array of an old one, one after the other.  "node"
 * is what the policy says of the array; what it ignores makes no step.  False
 * where too many elements would have to be looked at.  palloc'd.
 */
bool
arraydiff_find(ArrayDiff *diff, const Policy *policy, const PolicyNode *node,
			   JsonValue old, JsonValue new)
{
	ArrayComparison comparison = {.policy = policy,.node = node};
	bool		found = arrayclass_find(&comparison, old, new);

	memset(diff, 0, sizeof(ArrayDiff));
	if (found)
	{
		bool		heavy = json_exists(comparison.heavy_old);
		bool		in_head = comparison.heavy_number < comparison.head;

		pair_classes(&comparison);
		if (!comparison.by_key)
			pair_rest(&comparison);
		if (heavy && in_head)
			look_into_heavy(diff, &comparison);
		make_steps(diff, &comparison);
		if (heavy && !in_head)
			look_into_heavy(diff, &comparison);
	}
	arrayclass_free(&comparison);
	return found;
}

/*
 * Free the steps.
 */
void
arraydiff_free(ArrayDiff *diff)
{
	if (diff->steps != NULL)
		pfree(diff->steps);
}
