/*
 * ties.h
 *	  What ties changed entities to each other: references.
 */
#ifndef DIAGSYNC_TIES_H
#define DIAGSYNC_TIES_H

#include "candidate.h"
#include "weigh.h"

typedef struct TieSet TieSet;

extern TieSet *ties_collect(Reader *reader, Candidates *candidates,
							Snapshot snapshot, bool renames);
extern Ties *ties_next(TieSet *set, const char *id, bool referrers);
extern void ties_rewind(TieSet *set);
extern void ties_end(TieSet *set);

#endif							/* DIAGSYNC_TIES_H */
