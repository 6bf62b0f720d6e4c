/*
 * linkwalk.h
 *	  The links of a shared diagram, one after the other.
 */
#ifndef DIAGSYNC_LINKWALK_H
#define DIAGSYNC_LINKWALK_H

#include "directory/directory.h"

/* How many diagrams are listed at once */
#define LISTED_DIAGRAMS "1000"

/*
 * Sees a link, of which only "id", "key", what it has seen and when is filled
 * in; it is gone when this returns.  False: that is enough.
 */
typedef bool (*LinkVisitor) (const Diagram *local, void *arg);

extern void linkwalk(const char *public, Snapshot snapshot,
					 LinkVisitor visitor, void *arg);
extern bool linkwalk_has_established(const char *public);

#endif							/* DIAGSYNC_LINKWALK_H */
