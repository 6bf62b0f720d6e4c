/*
 * condition.h
 *	  Conditional requests: entity tags, If-Match, If-None-Match.
 */
#ifndef DIAGSYNC_CONDITION_H
#define DIAGSYNC_CONDITION_H

#include "commands/trigger.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "directory/directory.h"

extern void condition_refuse(void);
extern void condition_begin(const Diagram *diagram, Snapshot snapshot);
extern void condition_check_row(const TriggerData *trigger,
								StorageType storage);
extern void condition_note_insert(const TriggerData *trigger,
								  StorageType storage, const Jsonb *entity,
								  TimestampTz at, const char *by);
extern void condition_note_row(const TriggerData *trigger, StorageType storage,
							   HeapTuple written);
extern void condition_check_statement(TriggerData *trigger,
									  StorageType storage);

#endif							/* DIAGSYNC_CONDITION_H */
