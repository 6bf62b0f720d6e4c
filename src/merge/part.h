/*
 * part.h
 *	  What a merged document is made of.
 */
#ifndef DIAGSYNC_PART_H
#define DIAGSYNC_PART_H

#include "merge/threeway.h"

/* Values that merge only together */
typedef struct Unit
{
	int			state;			/* of all of them */
	bool		latest;			/* it never conflicts */
} Unit;

typedef enum PartKind
{
	PART_VALUE,					/* a value, or none */
	PART_OF_UNIT,				/* of the side that the unit is taken from */
	PART_OBJECT,				/* made of parts */
} PartKind;

/* Where a value of the merged document comes from */
struct Part
{
	PartKind	kind;
	JsonKey		key;			/* in the object that it is part of */
	Three		values;			/* PART_VALUE: local is the value */
	const Unit *unit;
	int			count;
	int			max;
	Part	   *parts;
};

extern Part *part_add(Part *object);
extern void part_free_all(Part *object);
extern void part_set_value(Part *part, JsonValue value);

#endif							/* DIAGSYNC_PART_H */
