/*
 * changes.h
 *	  Entities that differ: found, and as rows of diagsync.change.
 */
#ifndef DIAGSYNC_CHANGES_H
#define DIAGSYNC_CHANGES_H

#include "access/htup.h"
#include "access/tupdesc.h"

#include "directory/directory.h"
#include "reconcile/classify.h"

extern void changes_classify(const Link *link, Snapshot snapshot, bool referrers,
							 void (*look) (const Entity *entity, void *arg),
							 void *arg);
extern HeapTuple changes_form_row(const Entity *entity, TupleDesc tupdesc);

#endif							/* DIAGSYNC_CHANGES_H */
