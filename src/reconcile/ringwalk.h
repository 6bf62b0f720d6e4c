/*
 * ringwalk.h
 *	  Rings in a graph of entities.
 */
#ifndef DIAGSYNC_RINGWALK_H
#define DIAGSYNC_RINGWALK_H

#include "nodes/pg_list.h"

/* What an entity leads to: ids (palloc'd, as the list is) */
typedef List *(*RingTargets) (void *arg, const char *id);

/* Entities (ids) that lie in rings together; they are valid for the call */
typedef void (*RingFound) (void *arg, List *ids);

typedef struct RingWalk RingWalk;

extern RingWalk *ringwalk_begin(RingTargets targets, RingFound found,
								void *arg);
extern void ringwalk_from(RingWalk *walk, const char *id);
extern void ringwalk_end(RingWalk *walk);

#endif							/* DIAGSYNC_RINGWALK_H */
