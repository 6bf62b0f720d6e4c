/*
 * deferred.h
 *	  Deferred constraints of the tables, checked at once.
 */
#ifndef DIAGSYNC_DEFERRED_H
#define DIAGSYNC_DEFERRED_H

#include "table/storage.h"

extern List *deferred_constraints(List *constraints, StorageType storage);
extern void deferred_check(List *constraints);

#endif							/* DIAGSYNC_DEFERRED_H */
