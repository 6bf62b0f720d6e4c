/*
 * lock.h
 *	  A batch of entities, locked.
 */
#ifndef DIAGSYNC_LOCK_H
#define DIAGSYNC_LOCK_H

#include "nodes/pg_list.h"

#include "work.h"

extern void lock_items(Work *work, List *items);
extern void lock_check_inserts(Work *work, List *items);

#endif							/* DIAGSYNC_LOCK_H */
