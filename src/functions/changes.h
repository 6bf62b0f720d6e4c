/*
 * changes.h
 *	  Entities that differ, as rows of diagsync.change.
 */
#ifndef DIAGSYNC_CHANGES_H
#define DIAGSYNC_CHANGES_H

#include "access/htup.h"
#include "access/tupdesc.h"

#include "sync/classify.h"

extern HeapTuple changes_form_row(const Entity *entity, TupleDesc tupdesc);

#endif							/* DIAGSYNC_CHANGES_H */
