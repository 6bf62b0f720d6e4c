/*
 * capturecheck.h
 *	  Were the captured rows written?
 */
#ifndef DIAGSYNC_CAPTURECHECK_H
#define DIAGSYNC_CAPTURECHECK_H

#include "commands/trigger.h"
#include "executor/tuptable.h"

#include "statement/statement.h"
#include "table/storage.h"

extern bool capturecheck_is_plain(StorageType storage, StorageTable table);
extern void capturecheck_rows(StorageType storage, StorageTable table,
							  TriggerData *edits,
							  bool (*is_noted) (TupleTableSlot *row,
												void *arg), void *arg,
							  const Keys *left);
extern void capturecheck_refuse(StorageType storage, StorageTable table,
								const char *diagram);

#endif							/* DIAGSYNC_CAPTURECHECK_H */
