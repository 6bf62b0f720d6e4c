/*
 * discard.h
 *	  What is done to take a local change back.
 */
#ifndef DIAGSYNC_DISCARD_H
#define DIAGSYNC_DISCARD_H

#include "sync/decision.h"

extern bool discard_is_possible(const Entity *entity);
extern void discard_decide(Decision *decision, const Entity *entity);

#endif							/* DIAGSYNC_DISCARD_H */
