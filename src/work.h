/*
 * work.h
 *	  A sync or a resolution at work, and the entities that it works on.
 */
#ifndef DIAGSYNC_WORK_H
#define DIAGSYNC_WORK_H

#include "effect.h"
#include "ties.h"

/* What became of a write */
typedef enum Outcome
{
	OUTCOME_WRITTEN,			/* as intended (or not yet tried) */
	OUTCOME_ALTERED,			/* a trigger stored something else */
	OUTCOME_MISSED,				/* a trigger kept it from being stored */
} Outcome;

/* What is to be decided about an entity */
typedef enum ItemRole
{
	ROLE_SYNCED,				/* all */
	ROLE_FOLLOWS,				/* its references follow what got a new id */
	ROLE_ACCEPTS,				/* it stays deleted though another refers to it */
} ItemRole;

typedef struct WorkItem
{
	Entity		entity;
	Effect		effect;
	ItemPointerData locked_local;	/* row versions that are locked; invalid
									 * where none */
	ItemPointerData locked_base;
	ItemPointerData locked_public;
	Outcome		local_outcome;
	Outcome		public_outcome;
	ItemRole	role;
	const char *accepts;		/* for ROLE_ACCEPTS: the entity */
	struct WorkItem *copy_of;	/* it keeps the local version of that one */
	bool		withheld;		/* its copy could not be made, so nothing is
								 * written */
} WorkItem;

/* A sync or a resolution at work. */
typedef struct Work
{
	const Link *link;
	Direction	direction;
	Resolution	resolution;
	const Version *given;		/* for RESOLUTION_MERGED */
	uint64		own;			/* revision of what it writes */
	Reader		reader;
	TieSet	   *ties;			/* NULL: the policy knows no references */
	Seen	   *ties_seen;		/* what was visible when they were found */
	bool		direct_local;	/* its entities are updated without SQL, and
								 * base rows deleted */
	bool		direct_public;	/* so are entities of the far end updated */
	bool		cautious;		/* somebody was faster before: lock all rows */
	bool		lock_public;	/* the batch locks the far rows that it writes */
	bool		public_written; /* rows of the far end were written */
	bool		weigh_own;		/* the far end holds something else than was
								 * sent: its own revision must be weighed */
	bool		moved;			/* somebody else was faster: all of it has to
								 * be done again */
	TransactionId inserter;		/* and only after that transaction, if any */
} Work;

extern void work_open(Work *work, const Link *link, bool write);
extern WorkItem *work_item(const char *id);
extern void work_decide(const Work *work, WorkItem *item);
extern WorkItem *work_copy(Work *work, WorkItem *item);
extern bool work_is_newer_than_ties(const Work *work, const WorkItem *item);
extern bool work_has_told_id(const WorkItem *item, const WorkItem *copy);

#endif							/* DIAGSYNC_WORK_H */
