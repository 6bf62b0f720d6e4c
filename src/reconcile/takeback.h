/*
 * takeback.h
 *	  What is done to take a local change back.
 */
#ifndef DIAGSYNC_TAKEBACK_H
#define DIAGSYNC_TAKEBACK_H

#include "reconcile/decision.h"

extern bool takeback_is_possible(const Entity *entity);
extern void takeback_decide(Decision *decision, const Entity *entity);

#endif							/* DIAGSYNC_TAKEBACK_H */
