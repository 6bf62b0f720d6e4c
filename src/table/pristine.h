/*
 * pristine.h
 *	  What applications have added to the tables.
 */
#ifndef DIAGSYNC_PRISTINE_H
#define DIAGSYNC_PRISTINE_H

#include "utils/relcache.h"

#include "table/storage.h"

extern bool pristine_is(Relation rel, StorageType storage, StorageTable table);
extern bool pristine_stores_as_given(Relation rel, StorageType storage,
									 StorageTable table);

#endif							/* DIAGSYNC_PRISTINE_H */
