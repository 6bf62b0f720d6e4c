/*
 * edittime.h
 *	  The time of an edit.
 */
#ifndef DIAGSYNC_EDITTIME_H
#define DIAGSYNC_EDITTIME_H

#include "capture/statementrows.h"

extern void edittime_catch_up(const StatementRows *capture,
							  TriggerData *trigger);

#endif							/* DIAGSYNC_EDITTIME_H */
