/*
 * lock.h
 *	  A batch of entities, locked.
 */
#ifndef DIAGSYNC_LOCK_H
#define DIAGSYNC_LOCK_H

#include "nodes/pg_list.h"

#include "reconcile/syncitem.h"

extern void lock_copies(SyncRun *run, const Link *link, bool write);
extern PhaseEnd lock_items(SyncRun *run, List *items);
extern PhaseEnd lock_check_inserts(SyncRun *run, List *items);

#endif							/* DIAGSYNC_LOCK_H */
