/*
 * elementorder.c
 *	  The order of the elements of a merged array: those that the base had as
 *	  one side has them; then what was inserted, after its predecessor there,
 *	  the public ones first.
 */
#include "postgres.h"

#include "merge/elementorder.h"

/* Elements in a list, each naming the next */
typedef struct Sequence
{
	const ElementOrder *order;
	const bool *taken;			/* the element is in the merged array */
	bool	   *placed;
	int		   *next;
	int			head;			/* what the first one follows */
} Sequence;

/*
 * Place the wanted elements of a version that are not placed yet, each after
 * its predecessor there.
 */
static void
place(Sequence *sequence, int version, const bool *wanted)
{
	const ElementOrder *order = sequence->order;
	int			before = sequence->head;

	for (int i = 0; i < order->lengths[version]; i++)
	{
		int			element = order->parts[version][i];

		if (!sequence->taken[element])
			continue;
		if (!sequence->placed[element])
		{
			if (!wanted[element])
				continue;
			sequence->next[element] = sequence->next[before];
			sequence->next[before] = element;
			sequence->placed[element] = true;
		}
		before = element;
	}
}

/*
 * The elements of an array that has so many parts: of each that is taken the
 * next one, and behind the last the first.  "side" is whose order those have
 * that the base had.  palloc'd.
 */
int *
elementorder_list(const ElementOrder *order, int count, const bool *taken,
				  Side side)
{
	int			first = side == SIDE_LOCAL ? 1 : 2;
	Sequence	sequence = {order, taken, palloc0(count + 1),
	palloc((count + 1) * sizeof(int)), count};
	bool	   *wanted = palloc0(count + 1);
	bool	   *by_public = palloc0(count + 1);

	sequence.next[count] = ELEMENTORDER_END;
	for (int i = 0; i < order->lengths[0]; i++)
		wanted[order->parts[0][i]] = true;
	for (int i = 0; i < order->lengths[2]; i++)
		by_public[order->parts[2][i]] = true;

	/* What the base had; that side may have deleted it. */
	place(&sequence, first, wanted);
	place(&sequence, 3 - first, wanted);

	/* What is inserted last comes to stand closest to its predecessor. */
	for (int i = 0; i < count; i++)
		wanted[i] = !by_public[i];
	place(&sequence, 1, wanted);
	place(&sequence, 2, by_public);
	return sequence.next;
}
