/*
 * deletions.h
 *	  How many deletions a sync may do unasked.
 */
#ifndef DIAGSYNC_DELETIONS_H
#define DIAGSYNC_DELETIONS_H

#include "directory/directory.h"

/* Entities that a sync would delete; a push may in the local copy, too */
typedef struct Deletions
{
	int64		local;
	int64		public;
	int64		looked_at;		/* how many it were when it was looked last */
} Deletions;

extern int64 deletions_too_many(const Deletions *deletions, const Link *link,
								Snapshot snapshot);
extern bool deletions_have_become_many(Deletions *deletions, const Link *link,
									   Snapshot snapshot);

#endif							/* DIAGSYNC_DELETIONS_H */
