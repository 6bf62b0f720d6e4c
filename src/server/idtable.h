/*
 * idtable.h
 *	  Hash tables of what is known by an id.
 */
#ifndef DIAGSYNC_IDTABLE_H
#define DIAGSYNC_IDTABLE_H

#include "utils/hsearch.h"

extern HTAB *idtable_create(const char *name, long size, Size entrysize,
							MemoryContext context);

#endif							/* DIAGSYNC_IDTABLE_H */
