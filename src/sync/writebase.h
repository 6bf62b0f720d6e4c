/*
 * writebase.h
 *	  The base rows of a batch, written.
 */
#ifndef DIAGSYNC_WRITEBASE_H
#define DIAGSYNC_WRITEBASE_H

#include "nodes/pg_list.h"

#include "reconcile/syncitem.h"

extern PhaseEnd writebase_change(const SyncRun *run, List *items);
extern void writebase_put(SyncRun *run, List *items);

#endif							/* DIAGSYNC_WRITEBASE_H */
