/*
 * sync.h
 *	  What a push or pull would do.
 */
#ifndef DIAGSYNC_SYNC_H
#define DIAGSYNC_SYNC_H

#include "fmgr.h"

#include "listing.h"

extern Datum sync_preview(FunctionCallInfo fcinfo, Direction direction,
						  Listing *listing, bool allow_deletions, TupleDesc tupdesc);

#endif							/* DIAGSYNC_SYNC_H */
