/*
 * listing.h
 *	  What a sync would do with its entities.
 */
#ifndef DIAGSYNC_LISTING_H
#define DIAGSYNC_LISTING_H

#include "lib/stringinfo.h"

#include "reconcile/syncitem.h"

/* What a sync would do with its entities: one page, as a JSON array */
typedef struct Listing
{
	int			first;			/* how many to pass over */
	int			max;			/* how many to list */
	int			seen;			/* how many there have been */
	int			n;				/* how many are listed */
	bool		more;			/* and there is one after them */
	StringInfoData json;
} Listing;

extern void listing_begin(Listing *listing);
extern void listing_add(Listing *listing, const SyncItem *item,
						Direction direction);

#endif							/* DIAGSYNC_LISTING_H */
