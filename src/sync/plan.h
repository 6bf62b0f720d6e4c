/*
 * plan.h
 *	  The plan of a sync.
 */
#ifndef DIAGSYNC_PLAN_H
#define DIAGSYNC_PLAN_H

#include "sync/phases.h"

extern void plan_begin(Sync *sync, const Link *link);
extern void plan_add(Sync *sync, const SyncItem *item);
extern void plan_end(Sync *sync);

#endif							/* DIAGSYNC_PLAN_H */
