/*
 * lcs.c
 *	  The longest common subsequence of two sequences, by the method of Hunt
 *	  and Szymanski: time and memory go with the pairs of elements that are
 *	  alike.
 *
 * Where these are very many (an array of a few values again and again), each
 * element is paired with those alone that are nearest to where it would be if
 * nothing had changed.  Then the subsequence is still common, and the longest
 * where the sequences differ little, but perhaps not the longest.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "merge/lcs.h"

/* Pairs that are looked at, if each element has fewer than one on average */
#define MAX_PAIRS 2000000

/* The end of a common subsequence */
typedef struct Link
{
	int			a;				/* the last elements of it */
	int			b;
	int			before;			/* number of the link before it, or -1 */
} Link;

typedef struct Search
{
	int			length;			/* of the longest one so far */
	int		   *end;			/* for each length, where in b the shortest
								 * way to have it ends */
	int		   *last;			/* and its last link */
	int			links;
	int			max;
	Link	   *link;
} Search;

/*
 * Room for so many integers, however many.  palloc'd.
 */
int *
lcs_ints(int64 count)
{
	return MemoryContextAllocHuge(CurrentMemoryContext,
								  Max(count, 1) * sizeof(int));
}

/*
 * Where the elements of each of so many classes are.  palloc'd.
 */
LcsIndex
lcs_index(LcsSequence sequence, int classes)
{
	LcsIndex	index;

	index.start = lcs_ints((int64) classes + 2);
	index.places = lcs_ints(sequence.count);
	memset(index.start, 0, (classes + 2) * sizeof(int));

	/* Counted two further on, so that filling them in moves them to theirs. */
	for (int i = 0; i < sequence.count; i++)
	{
		if (sequence.classes[i] != LCS_ALONE)
			index.start[sequence.classes[i] + 2]++;
	}
	for (int class = 1; class < classes; class++)
		index.start[class + 1] += index.start[class];
	for (int i = 0; i < sequence.count; i++)
	{
		if (sequence.classes[i] != LCS_ALONE)
			index.places[index.start[sequence.classes[i] + 1]++] = i;
	}
	return index;
}

/* How many places of b each element of a is paired with, at most */
static int
pairs_of_each(LcsSequence a, const LcsIndex *index_b)
{
	int64		pairs = 0;

	for (int i = 0; i < a.count; i++)
	{
		if (a.classes[i] != LCS_ALONE)
			pairs += index_b->start[a.classes[i] + 1] -
				index_b->start[a.classes[i]];
	}
	return pairs <= MAX_PAIRS ? PG_INT32_MAX : Max(MAX_PAIRS / a.count, 1);
}

/* The places from *first to *last that are nearest to one, so many at most */
static void
nearest(const int *places, int *first, int *last, int place, int most)
{
	int			low = *first;
	int			high = *last;

	if (high - low < most)
		return;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (places[middle] < place)
			low = middle + 1;
		else
			high = middle;
	}
	low -= most / 2;
	low = Max(low, *first);
	*first = Min(low, *last - most + 1);
	*last = *first + most - 1;
}

/* An element of a is like one of b. */
static void
note_pair(Search *search, int a, int b)
{
	int			low = 0;
	int			high = search->length;
	Link	   *link;

	/* The shortest subsequence that does not end before */
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (search->end[middle] < b)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < search->length && search->end[low] == b)
		return;
	if (search->links >= search->max)
	{
		search->max *= 2;
		search->link = repalloc_huge(search->link,
									 search->max * sizeof(Link));
	}
	link = &search->link[search->links];
	link->a = a;
	link->b = b;
	link->before = low == 0 ? -1 : search->last[low - 1];
	search->end[low] = b;
	search->last[low] = search->links++;
	if (low == search->length)
		search->length++;
}

/*
 * The longest common subsequence: for each element of a its partner in b, or
 * -1; partners are in ascending order.  "index_b" is where those of b are.
 */
void
lcs_find(LcsSequence a, LcsSequence b, const LcsIndex *index_b, int classes,
		 int *partner)
{
	Search		search = {.max = 1024};
	int			most = pairs_of_each(a, index_b);

	search.end = lcs_ints(Min(a.count, b.count));
	search.last = lcs_ints(Min(a.count, b.count));
	search.link = palloc(search.max * sizeof(Link));
	for (int i = 0; i < a.count; i++)
	{
		int			class = a.classes[i];
		int			first;
		int			last;

		CHECK_FOR_INTERRUPTS();
		partner[i] = -1;
		if (class == LCS_ALONE)
			continue;
		first = index_b->start[class];
		last = index_b->start[class + 1] - 1;
		nearest(index_b->places, &first, &last,
				(int) ((int64) i * b.count / a.count), most);

		/* From behind, so that none comes after another one of this element */
		for (int k = last; k >= first; k--)
			note_pair(&search, i, index_b->places[k]);
	}
	for (int n = search.length == 0 ? -1 : search.last[search.length - 1];
		 n >= 0; n = search.link[n].before)
		partner[search.link[n].a] = search.link[n].b;
	pfree(search.end);
	pfree(search.last);
	pfree(search.link);
}
