/*
 * fullcompare.h
 *	  Two copies compared in full, in sets.
 */
#ifndef DIAGSYNC_FULLCOMPARE_H
#define DIAGSYNC_FULLCOMPARE_H

#include "executor/spi.h"

#include "directory/directory.h"

/* What the base of an entity is that differs and has no base row yet */
typedef enum CompareBase
{
	COMPARE_NO_BASE,			/* none: both copies inserted what they have */
	COMPARE_PUBLIC_BASE,		/* the public version: the local copy changed
								 * it */
} CompareBase;

extern Portal compare_open_differing(const Link *link);
extern void compare_note_differing(const Link *link, CompareBase base,
								   int flags);
extern void compare_note_missing(const Link *link, int flags);
extern bool compare_may_be_altered(StorageType storage);

#endif							/* DIAGSYNC_FULLCOMPARE_H */
