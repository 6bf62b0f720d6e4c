/*
 * lock.h
 *	  A batch of entities, locked.
 */
#ifndef DIAGSYNC_LOCK_H
#define DIAGSYNC_LOCK_H

#include "nodes/pg_list.h"

#include "sync/syncitem.h"

extern PhaseEnd lock_items(SyncRun *run, List *items);
extern PhaseEnd lock_check_inserts(SyncRun *run, List *items);

#endif							/* DIAGSYNC_LOCK_H */
