/*
 * pushpull.h
 *	  The call of what syncs, from its arguments to its result.
 */
#ifndef DIAGSYNC_PUSHPULL_H
#define DIAGSYNC_PUSHPULL_H

#include "fmgr.h"

#include "sync/phases.h"

extern SubxactEnd sync_call(Sync *sync, SubxactBody body);
extern Datum sync_result(FunctionCallInfo fcinfo, const Sync *sync,
						 SubxactEnd end);
extern Datum sync_preview(FunctionCallInfo fcinfo, Direction direction,
						  Listing *listing, bool allow_deletions,
						  TupleDesc tupdesc);

#endif							/* DIAGSYNC_PUSHPULL_H */
