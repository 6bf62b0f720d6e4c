/*
 * edittime.h
 *	  The time of an edit.
 */
#ifndef DIAGSYNC_EDITTIME_H
#define DIAGSYNC_EDITTIME_H

#include "survey.h"

extern void edittime_catch_up(const Deed *deed, TriggerData *trigger);

#endif							/* DIAGSYNC_EDITTIME_H */
