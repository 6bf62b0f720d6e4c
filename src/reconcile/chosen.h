/*
 * chosen.h
 *	  The entities that a sync is limited to.
 */
#ifndef DIAGSYNC_CHOSEN_H
#define DIAGSYNC_CHOSEN_H

#include "reconcile/syncitem.h"

extern List *chosen_arg(Datum array, const char *arg, const char *diagram);
extern Candidates *chosen_collect(SyncRun *run, List *ids, Snapshot snapshot);
extern bool chosen_syncs(const SyncRun *run, const char *id);
extern bool chosen_follows(const SyncRun *run, const char *id);
extern void chosen_limit(const SyncRun *run, Dependencies *dependencies);
extern void chosen_mark(const SyncRun *run, SyncItem *item);

#endif							/* DIAGSYNC_CHOSEN_H */
