/*
 * syncitem.h
 *	  A sync or a resolution at work, and the entities that it works on.
 */
#ifndef DIAGSYNC_SYNCITEM_H
#define DIAGSYNC_SYNCITEM_H

#include "reconcile/choice.h"
#include "reconcile/decision.h"
#include "reconcile/dependency.h"

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
	const Choice *choice;		/* in a resolution: what is chosen for it, or
								 * NULL */
	Verdict		verdict;		/* what comes of that */
	bool		is_held;		/* it is left alone for another's sake */
	bool		is_decided;		/* by what is chosen, or a sync; else it only
								 * goes along with others */
	List	   *accepts;		/* in a resolution: what is to refer to it
								 * though it stays deleted (ids) */
	struct SyncItem *copy_of;	/* it keeps the local version of that one */
	bool		copy_failed;	/* its copy could not be made, so nothing is
								 * written */
	bool		named;			/* the caller has chosen it, by its id */
	bool		follows;		/* it is not chosen: only its references
								 * follow what gets a new id */
	bool		discards;		/* its local change is taken back */
	bool		refused;		/* an end does not take it: it stays as it is */
	struct SyncItem *copy;		/* that keeps its local version, once it is
								 * written carefully */
} SyncItem;

/* A sync or a resolution at work. */
typedef struct SyncRun
{
	const Link *link;
	Direction	direction;
	Resolution	resolution;		/* of all conflicts, in a sync */
	const Choices *choices;		/* of a resolution; NULL: it is a sync */
	struct Company *company;	/* of a resolution, or NULL */
	uint64		own;			/* revision of what it writes */
	Reader		reader;
	DependencySet *dependencies;	/* NULL: the policy knows no references */
	Seen	   *dependencies_seen;	/* what was visible when they were found */
	struct Chosen *chosen;		/* what is synced; NULL: all */
	struct Refusals *refusals;	/* what the ends do not take; NULL: that is
								 * not found out */
	List	   *constraints;	/* to be checked, of those that can be
								 * deferred */
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

extern SyncItem *syncitem_new(const char *id);
extern void syncitem_decide(const SyncRun *run, SyncItem *item);
extern SyncItem *syncitem_copy(SyncRun *run, SyncItem *item);
extern bool syncitem_is_newer_than_dependencies(const SyncRun *run,
												const SyncItem *item);
extern bool syncitem_has_announced_id(const SyncItem *item,
									  const SyncItem *copy);

#endif							/* DIAGSYNC_SYNCITEM_H */
