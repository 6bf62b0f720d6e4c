/*
 * classification.h
 *	  A document being classified, value by value: what threeway.c and
 *	  elements.c share.
 */
#ifndef DIAGSYNC_CLASSIFICATION_H
#define DIAGSYNC_CLASSIFICATION_H

#include "merge/part.h"

/* One of the places that a unit covers, with what is inside */
typedef struct Member
{
	Unit	   *unit;
	int			state;
} Member;

/* A document being classified */
typedef struct Classification
{
	Threeway   *threeway;
	Unit	   *groups;
	JsonPointer path;			/* where we are */
	int			max_depth;
} Classification;

extern void classification_enter(Classification *classification, JsonKey key);
extern void classification_leave(Classification *classification);
extern Conflict *classification_conflict(const Classification *classification,
										 const Three *values, Unit *unit);
extern bool classification_is_added(const Classification *classification,
									const Three *values);
extern void classification_take_whole(const Classification *classification,
									  int state, const Three *values,
									  Part *part, bool has_units);
extern int	classification_value(Classification *classification,
								 const PolicyNode *node, Member *member,
								 const Three *values, uint32 outer,
								 Part *part);

#endif							/* DIAGSYNC_CLASSIFICATION_H */
