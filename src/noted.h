/*
 * noted.h
 *	  Were the books written?
 */
#ifndef DIAGSYNC_NOTED_H
#define DIAGSYNC_NOTED_H

#include "commands/trigger.h"
#include "executor/tuptable.h"

#include "session.h"
#include "storage.h"

extern bool noted_is_plain(StorageType storage, StorageTable table);
extern void noted_check(StorageType storage, StorageTable table,
						TriggerData *edits, bool (*is_noted) (TupleTableSlot *row, void *arg), void *arg,
						const Keys *left);
extern void noted_refuse(StorageType storage, StorageTable table,
						 const char *diagram);

#endif							/* DIAGSYNC_NOTED_H */
