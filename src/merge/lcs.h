/*
 * lcs.h
 *	  The longest common subsequence of two sequences.
 */
#ifndef DIAGSYNC_LCS_H
#define DIAGSYNC_LCS_H

/* What is in no class: it is like nothing else. */
#define LCS_ALONE (-1)

/* A sequence, as the class that each of its elements is in, from 0 on */
typedef struct LcsSequence
{
	int			count;
	const int  *classes;
} LcsSequence;

/* Where the elements of each class are in a sequence, in ascending order */
typedef struct LcsIndex
{
	int		   *start;			/* for each class, in "places"; and the end */
	int		   *places;
} LcsIndex;

extern int *lcs_ints(int64 count);
extern LcsIndex lcs_index(LcsSequence sequence, int classes);
extern void lcs_find(LcsSequence a, LcsSequence b, const LcsIndex *index_b,
					 int classes, int *partner);

#endif							/* DIAGSYNC_LCS_H */
