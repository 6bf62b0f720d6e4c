/*
 * write.h
 *	  A batch of locked entities, written.
 */
#ifndef DIAGSYNC_WRITE_H
#define DIAGSYNC_WRITE_H

#include "nodes/pg_list.h"

#include "reconcile/syncitem.h"

extern PhaseEnd write_items(SyncRun *run, List *items);

#endif							/* DIAGSYNC_WRITE_H */
