/*
 * syncitem.h
 *	  A sync or a resolution at work, and the entities that it works on.
 */
#ifndef DIAGSYNC_SYNCITEM_H
#define DIAGSYNC_SYNCITEM_H

#include "sync/decision.h"
#include "sync/dependency.h"

/* How a phase of a sync ends */
typedef enum PhaseEnd
{
	PHASE_DONE,					/* on to the next */
	PHASE_BLOCKED,				/* the sync may not happen: what is left is
								 * only counted */
	PHASE_OVERTAKEN,			/* somebody else was faster: all of it has to
								 * be done again */
} PhaseEnd;

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
	ROLE_ACCEPTS,				/* it stays deleted though another refers to
								 * it */
	ROLE_IN_RING,				/* only that it is in a ring */
} ItemRole;

typedef struct SyncItem
{
	Entity		entity;
	Decision	decision;
	ItemPointerData locked_local;	/* row versions that are locked; invalid
									 * where none */
	ItemPointerData locked_base;
	ItemPointerData locked_public;
	Outcome		local_outcome;
	Outcome		public_outcome;
	ItemRole	role;
	const char *accepts;		/* for ROLE_ACCEPTS: the entity */
	struct SyncItem *copy_of;	/* it keeps the local version of that one */
	bool		copy_failed;	/* its copy could not be made, so nothing is
								 * written */
} SyncItem;

/* A sync or a resolution at work. */
typedef struct SyncRun
{
	const Link *link;
	Direction	direction;
	Resolution	resolution;
	const Version *given;		/* for RESOLUTION_MERGED */
	uint64		own;			/* revision of what it writes */
	Reader		reader;
	DependencySet *dependencies;	/* NULL: the policy knows no references */
	Seen	   *dependencies_seen;	/* what was visible when they were found */
	bool		direct_local;	/* its entities are updated without SQL, and
								 * base rows deleted */
	bool		direct_public;	/* so are entities of the shared copy updated */
	bool		lock_all;		/* somebody was faster before: lock all rows */
	bool		lock_public;	/* the batch locks the shared rows that it
								 * writes */
	bool		public_written; /* rows of the shared copy were written */
	bool		classify_own;	/* the shared copy holds something else than
								 * was sent: its own revision must be
								 * classified */
	TransactionId inserter;		/* where it was overtaken: by whom, if the
								 * next try has to wait for that one */
} SyncRun;

extern void syncrun_open(SyncRun *run, const Link *link, bool write);
extern SyncItem *syncitem_new(const char *id);
extern void syncitem_decide(const SyncRun *run, SyncItem *item);
extern SyncItem *syncitem_copy(SyncRun *run, SyncItem *item);
extern bool syncitem_is_newer_than_dependencies(const SyncRun *run,
												const SyncItem *item);
extern bool syncitem_has_announced_id(const SyncItem *item,
									  const SyncItem *copy);

#endif							/* DIAGSYNC_SYNCITEM_H */
