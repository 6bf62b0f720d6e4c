/*
 * edits.h
 *	  Which rows of a statement are edits.
 */
#ifndef DIAGSYNC_EDITS_H
#define DIAGSYNC_EDITS_H

#include "commands/trigger.h"

#include "statement/statement.h"

extern TriggerData *edits_of(TriggerData *trigger, const Statement *statement);
extern void edits_end(TriggerData *edits, const TriggerData *trigger);

#endif							/* DIAGSYNC_EDITS_H */
