/*
 * dependency.h
 *	  What makes changed entities depend on each other: references.
 */
#ifndef DIAGSYNC_DEPENDENCY_H
#define DIAGSYNC_DEPENDENCY_H

#include "reconcile/dependencyset.h"
#include "reconcile/ringset.h"
#include "tracking/candidate.h"

extern DependencySet *dependencies_collect(Reader *reader,
										   Candidates *candidates,
										   Snapshot snapshot, bool renames);
extern DependencySet *dependencies_collect_for(Reader *reader,
											   Candidates *candidates,
											   Snapshot snapshot,
											   const RingRule *rule);

#endif							/* DIAGSYNC_DEPENDENCY_H */
