/*
 * routes.h
 *	  What a plain request over HTTP may write.
 */
#ifndef DIAGSYNC_ROUTES_H
#define DIAGSYNC_ROUTES_H

#include "commands/trigger.h"
#include "utils/jsonb.h"

extern Jsonb *route_check_write(TriggerEvent event);
extern void route_check_rename(void);
extern HeapTuple route_keep_absent(const TriggerData *trigger);

#endif							/* DIAGSYNC_ROUTES_H */
