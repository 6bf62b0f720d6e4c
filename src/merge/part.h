/*
 * part.h
 *	  What a merged document is made of.
 */
#ifndef DIAGSYNC_PART_H
#define DIAGSYNC_PART_H

#include "merge/threeway.h"

/* How a value stands in the three versions, as the policy sees it: its state */
#define LOCAL_CHANGED	0x01
#define PUBLIC_CHANGED	0x02
#define BOTH_CHANGED	(LOCAL_CHANGED | PUBLIC_CHANGED)
#define DIFFER			0x04	/* the two sides */
#define CONFLICT		(BOTH_CHANGED | DIFFER)

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
	PART_CONFLICT,				/* of the side that wins conflicts */
	PART_OBJECT,				/* made of parts */
	PART_ARRAY,					/* made of parts that are elements with keys */
} PartKind;

/* Where a value of the merged document comes from */
struct Part
{
	PartKind	kind;
	bool		whole;			/* an object or array that is "value" unless a
								 * unit with values inside it conflicts */
	JsonKey		key;			/* in the object that it is part of */
	JsonValue	value;			/* of a PART_VALUE, or where "whole" */
	Three		values;			/* where "value" does not say it */
	const Unit *unit;
	List	   *inside;			/* units that differ inside: where one
								 * conflicts, so does this value */
	int			count;
	int			max;
	Part	   *parts;
	struct ElementOrder *order; /* of an array */
};

/* In which order the elements of an array are, each told by its part */
typedef struct ElementOrder
{
	Side		side;			/* whose order is taken; SIDE_NONE: that of
								 * the side that wins conflicts */
	int			lengths[3];		/* of base, local and public */
	int		   *parts[3];
} ElementOrder;

extern Part *part_add(Part *object);
extern void part_free_all(Part *object);
extern void part_set_value(Part *part, JsonValue value);
extern bool part_settle(Part *part);

extern JsonValue part_newer(const Threeway *threeway, const Three *values);
extern JsonValue part_settled(const Threeway *threeway, const Three *values);
extern JsonValue part_choose(const Threeway *threeway, int state,
							 const Three *values);
extern bool part_unit_conflicts(const Unit *unit);

#endif							/* DIAGSYNC_PART_H */
