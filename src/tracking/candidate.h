/*
 * candidate.h
 *	  The entities of a link that have to be classified.
 */
#ifndef DIAGSYNC_CANDIDATE_H
#define DIAGSYNC_CANDIDATE_H

#include "utils/snapshot.h"
#include "executor/tuptable.h"
#include "utils/tuplesort.h"

#include "directory/directory.h"

/* Ids in ascending order, each once; they may be more than fit in memory. */
typedef struct Candidates
{
	int64		added;			/* how many, those found twice counted twice */
	int64		enough;			/* stop adding there; 0: never */
	bool		may_conflict;	/* else no entity among them does, by itself */
	Tuplesortstate *sort;		/* NULL while there is none */
	bool		sorted;
	bool		read;			/* candidates_next() has been called */
	TupleTableSlot *put;		/* an id, and where its shared row was found */
	TupleTableSlot *got;
	text	   *last;			/* the id it returned last, or NULL */
	ItemPointerData found_at;	/* where the shared row of that was found, if
								 * it was; it may have moved on */
	MemoryContext context;		/* where all of this is */
} Candidates;

extern Candidates *candidates_none(void);
extern void candidates_add(Candidates *candidates, Datum id);
extern Candidates *candidates_collect(const Link *link, Snapshot snapshot);
extern Candidates *candidates_collect_unseen(const Diagram *public,
											 const Seen *seen, int64 enough,
											 Snapshot snapshot);
extern Candidates *candidates_collect_changed(const Link *link,
											  Snapshot snapshot);
extern Candidates *candidates_of(List *ids);
extern bool candidates_next(Candidates *candidates, Datum *id);
extern void candidates_rewind(Candidates *candidates);
extern void candidates_end(Candidates *candidates);

#endif							/* DIAGSYNC_CANDIDATE_H */
