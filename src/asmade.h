/*
 * asmade.h
 *	  What applications have added to the tables.
 */
#ifndef DIAGSYNC_ASMADE_H
#define DIAGSYNC_ASMADE_H

#include "utils/relcache.h"

#include "storage.h"

extern bool asmade_is(Relation rel, StorageType storage, StorageTable table);
extern bool asmade_stores_as_given(Relation rel, StorageType storage,
								   StorageTable table);

#endif							/* DIAGSYNC_ASMADE_H */
