/*
 * ties.h
 *	  What ties changed entities to each other: references.
 */
#ifndef DIAGSYNC_TIES_H
#define DIAGSYNC_TIES_H

#include "candidate.h"
#include "tieset.h"

extern TieSet *ties_collect(Reader *reader, Candidates *candidates,
							Snapshot snapshot, bool renames);

#endif							/* DIAGSYNC_TIES_H */
