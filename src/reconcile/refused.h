/*
 * refused.h
 *	  The entities that an end of a link does not take.
 */
#ifndef DIAGSYNC_REFUSED_H
#define DIAGSYNC_REFUSED_H

#include "utils/hsearch.h"

#include "reconcile/syncitem.h"

/* What has been refused in a call, over all of its tries */
typedef struct Refusals
{
	MemoryContext context;		/* of the call */
	bool		limited;		/* the limits of users apply */
	bool		writing;		/* what fails now may be a refusal */
	bool		counting;		/* ... of a limit of diagsync's */
	bool		careful;		/* something was refused: find out what */
	bool		lacks;			/* since that was unset: the end that is
								 * written lacks one */
	bool		needs;			/* ... or one refers to what is there */
	int64		count;			/* of the entities refused */
	HTAB	   *entities;		/* those, and what depends on them; or NULL */
	List	   *listed;			/* the first of them, of Refusal */
} Refusals;

/* An entity that was refused, as the answer lists it */
typedef struct Refusal
{
	char	   *id;
	char		sqlstate[6];	/* "": none, another one is the reason */
	char	   *reason;
} Refusal;

extern void refused_add(const SyncRun *run, SyncItem *item,
						const char *sqlstate, const char *reason);
extern void refused_decide(const SyncRun *run, SyncItem *item);
extern bool refused_holds(const SyncRun *run, const char *id);
extern bool refused_has_any(const SyncRun *run);
extern bool refused_spreads(const SyncRun *run, bool deletes);
extern char *refused_json(const Refusals *refusals);

#endif							/* DIAGSYNC_REFUSED_H */
