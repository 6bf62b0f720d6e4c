/*
 * refusal.h
 *	  Finding out which entities an end of a link does not take.
 */
#ifndef DIAGSYNC_REFUSAL_H
#define DIAGSYNC_REFUSAL_H

#include "reconcile/refused.h"

extern bool refusal_begin(Refusals *refusals);
extern PhaseEnd refusal_write(SyncRun *run, List *items);
extern void refusal_begin_run(SyncRun *run);
extern void refusal_check_end(SyncRun *run, void (*check) (void *arg),
							  void *arg);

#endif							/* DIAGSYNC_REFUSAL_H */
