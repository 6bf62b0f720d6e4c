/*
 * pushpull.h
 *	  What a push or pull would do.
 */
#ifndef DIAGSYNC_PUSHPULL_H
#define DIAGSYNC_PUSHPULL_H

#include "fmgr.h"

#include "sync/listing.h"

extern Datum sync_preview(FunctionCallInfo fcinfo, Direction direction,
						  Listing *listing, bool allow_deletions,
						  TupleDesc tupdesc);

#endif							/* DIAGSYNC_PUSHPULL_H */
