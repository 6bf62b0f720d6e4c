/*
 * settlenotes.h
 *	  What has become of each entity in a resolution.
 */
#ifndef DIAGSYNC_SETTLENOTES_H
#define DIAGSYNC_SETTLENOTES_H

#include "reconcile/syncitem.h"
#include "sync/settle.h"

typedef struct SettleNotes SettleNotes;

extern SettleNotes *settlenotes_begin(Settling *settling, SyncRun *run);
extern bool settlenotes_is_kept_out(const SyncItem *item);
extern void settlenotes_add(SettleNotes *notes, const SyncItem *item,
							const SyncItem *copy);
extern void settlenotes_answer(SettleNotes *notes, Snapshot unchanged);
extern void settlenotes_end(SettleNotes *notes);

#endif							/* DIAGSYNC_SETTLENOTES_H */
