/*
 * writeend.h
 *	  The entities of a batch in one copy of a link, written.
 */
#ifndef DIAGSYNC_WRITEEND_H
#define DIAGSYNC_WRITEEND_H

#include "nodes/pg_list.h"

#include "reconcile/syncitem.h"

extern PhaseEnd writeend_write(SyncRun *run, bool is_local, List *items);

#endif							/* DIAGSYNC_WRITEEND_H */
