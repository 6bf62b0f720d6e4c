/*
 * cycle.h
 *	  An entity in a ring that a sync would close.
 */
#ifndef DIAGSYNC_CYCLE_H
#define DIAGSYNC_CYCLE_H

#include "reconcile/decision.h"

extern List *cycle_places(const Entity *entity);
extern const char *cycle_members(const Entity *entity);
extern bool cycle_is_settled(const Entity *entity);
extern void cycle_check_settled(const Entity *entity, const char *local,
								Resolution resolution);
extern bool cycle_is_stuck(const Entity *entity);
extern const Version *cycle_break(const Entity *entity,
								  const Version *version);
extern const Version *cycle_hold(const Entity *entity,
								 const Version *version);
extern const Version *cycle_settled(Entity *entity);

#endif							/* DIAGSYNC_CYCLE_H */
