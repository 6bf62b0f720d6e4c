/*
 * dependency.h
 *	  What makes changed entities depend on each other: references.
 */
#ifndef DIAGSYNC_DEPENDENCY_H
#define DIAGSYNC_DEPENDENCY_H

#include "sync/dependencyset.h"
#include "tracking/candidate.h"

extern DependencySet *dependencies_collect(Reader *reader,
										   Candidates *candidates,
										   Snapshot snapshot, bool renames);

#endif							/* DIAGSYNC_DEPENDENCY_H */
