/*
 * apply.h
 *	  A batch of locked entities, written.
 */
#ifndef DIAGSYNC_APPLY_H
#define DIAGSYNC_APPLY_H

#include "nodes/pg_list.h"

#include "work.h"

extern void apply_write(Work *work, List *items);

#endif							/* DIAGSYNC_APPLY_H */
