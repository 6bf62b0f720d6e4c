/*
 * status.h
 *	  How a local diagram stands to its shared copy.
 */
#ifndef DIAGSYNC_STATUS_H
#define DIAGSYNC_STATUS_H

#include "access/htup.h"
#include "fmgr.h"

#include "directory/directory.h"

extern HeapTuple status_form(const Diagram *local, Snapshot snapshot,
							 TupleDesc tupdesc);
extern TupleDesc status_tupdesc(FunctionCallInfo fcinfo);

#endif							/* DIAGSYNC_STATUS_H */
