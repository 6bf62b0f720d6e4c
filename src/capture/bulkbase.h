/*
 * bulkbase.h
 *	  Base rows of many inserted entities.
 */
#ifndef DIAGSYNC_BULKBASE_H
#define DIAGSYNC_BULKBASE_H

#include "commands/trigger.h"

#include "table/storage.h"

typedef bool (*BulkFilter) (TupleTableSlot *row, void *arg);

extern bool bulkbase_insert(TriggerData *trigger, BulkFilter is_edit,
							void *arg);

#endif							/* DIAGSYNC_BULKBASE_H */
