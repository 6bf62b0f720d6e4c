/*
 * arrayclass.h
 *	  Which elements of two arrays are the same.
 */
#ifndef DIAGSYNC_ARRAYCLASS_H
#define DIAGSYNC_ARRAYCLASS_H

#include "merge/lcs.h"
#include "merge/policy.h"

/* An element of one of the arrays, from where they are not the same on */
typedef struct ArrayElement
{
	JsonValue	value;
	int			partner;		/* in the other array, or -1 */
	bool		moved;			/* to its partner */
	bool		look;			/* it can differ from its partner */
} ArrayElement;

typedef struct ArrayElements
{
	uint32		outer;			/* bytes of all the array */
	int			count;
	ArrayElement *element;
	int		   *classes;		/* those of one class are the same */
} ArrayElements;

typedef struct ArrayComparison
{
	const Policy *policy;
	const PolicyNode *node;		/* what it says of the array */
	bool		by_key;			/* elements are told apart by their keys */
	int			head;			/* elements that are the same at the begin */
	ArrayElements old;			/* what is left of the arrays */
	ArrayElements new;
	int			class_count;
	JsonValue	heavy_old;		/* not compared, outside of what is left */
	JsonValue	heavy_new;
	int			heavy_number;	/* in the new array */
} ArrayComparison;

extern bool arrayclass_find(ArrayComparison *comparison, JsonValue old,
							JsonValue new);
extern bool arrayclass_same_keys(const ArrayComparison *comparison,
								 JsonValue a, JsonValue b);
extern void arrayclass_free(ArrayComparison *comparison);

#endif							/* DIAGSYNC_ARRAYCLASS_H */
