/*
 * phases.h
 *	  The way of a push or pull.
 */
#ifndef DIAGSYNC_PHASES_H
#define DIAGSYNC_PHASES_H

#include "json/document.h"
#include "server/subxact.h"
#include "sync/deletions.h"
#include "sync/listing.h"
#include "sync/refusal.h"

/* What a sync has done, or would do */
typedef struct SyncCounts
{
	int64		inserted;		/* in the copy that the call is about, as are */
	int64		updated;		/* the next two */
	int64		deleted;
	int64		bytes;			/* of what is written there */
	int64		merged;
	int64		resolved;
	int64		conflicts;
	int64		late_conflicts; /* made by triggers while it wrote */
	Deletions	deletions;		/* in either copy */
	int64		refused_deletions;
	bool		unpulled;		/* a push leaves public changes for a pull */
} SyncCounts;

/* A push or pull that was called, and what comes of it */
typedef struct Sync
{
	const char *function;
	char	   *local;
	char	   *public;			/* or NULL */
	MemoryContext context;		/* of the call */
	Direction	direction;
	Resolution	on_conflict;
	bool		dry_run;
	char	   *expected_plan;	/* or NULL */
	bool		allow_deletions;
	bool		chooses;		/* only these are synced, and what has to go
								 * along */
	List	   *entities;		/* their ids */

	char	   *shared;			/* the shared copy, once that is known */
	SyncCounts	counts;
	int64		public_version;
	char	   *plan;			/* in that context, or NULL */
	Digest	   *digest;			/* of the plan in the making, or NULL */
	Listing    *listing;		/* of what it would do, or NULL */
	Refusals	refusals;		/* what the ends do not take */
	List	   *included;		/* ids, in that context: what goes along with
								 * chosen entities */
	bool		holds_shared;	/* lock the shared directory row first */
	int			tries;
	TransactionId inserter;		/* to be waited for before the next try */
} Sync;

extern SubxactEnd sync_carry_out(void *arg);

#endif							/* DIAGSYNC_PHASES_H */
