/*
 * arraydiff.h
 *	  How one array becomes another.
 */
#ifndef DIAGSYNC_ARRAYDIFF_H
#define DIAGSYNC_ARRAYDIFF_H

#include "merge/policy.h"

typedef enum ArrayStepKind
{
	ARRAY_REMOVE,
	ARRAY_ADD,					/* "new" */
	ARRAY_MOVE,
	ARRAY_INSIDE,				/* "old" becomes "new", if they differ */
	ARRAY_REPLACE,				/* "new" comes in the place of "old" */
} ArrayStepKind;

typedef struct ArrayStep
{
	ArrayStepKind kind;
	int			at;				/* when those before it are done */
	int			from;			/* of ARRAY_MOVE: where it is before */
	int			number;			/* in the new array, when all are done */
	JsonValue	old;
	JsonValue	new;
} ArrayStep;

typedef struct ArrayDiff
{
	int			count;
	int			max;
	ArrayStep  *steps;
} ArrayDiff;

extern bool arraydiff_find(ArrayDiff *diff, const Policy *policy,
						   const PolicyNode *node, JsonValue old,
						   JsonValue new);
extern void arraydiff_free(ArrayDiff *diff);

#endif							/* DIAGSYNC_ARRAYDIFF_H */
