/*
 * trigger.h
 *	  What the triggers of the storage tables begin with.
 */
#ifndef DIAGSYNC_TRIGGER_H
#define DIAGSYNC_TRIGGER_H

#include "commands/trigger.h"
#include "fmgr.h"

#include "server/compat.h"
#include "table/storage.h"

extern TriggerData *trigger_check(FunctionCallInfo fcinfo,
								  const char *function,
								  bool row, bool before, StorageType *storage,
								  StorageTable *table);
pg_noreturn extern void trigger_refuse_unopened(TriggerData *trigger);

#endif							/* DIAGSYNC_TRIGGER_H */
