/*
 * account.h
 *	  What a sync has done, counted.
 */
#ifndef DIAGSYNC_ACCOUNT_H
#define DIAGSYNC_ACCOUNT_H

#include "sync/phases.h"

extern void account_deletions(Deletions *deletions, const SyncItem *item);
extern void account_items(Sync *sync, SyncRun *run, List *items,
						  List *copies, List *changing);

#endif							/* DIAGSYNC_ACCOUNT_H */
