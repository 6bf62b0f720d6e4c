/*
 * statementrows.h
 *	  What a statement did to a table of diagsync.
 */
#ifndef DIAGSYNC_STATEMENTROWS_H
#define DIAGSYNC_STATEMENTROWS_H

#include "commands/trigger.h"

#include "directory/directory.h"
#include "statement/statement.h"
#include "table/storage.h"

/* A diagram that a statement touched */
typedef struct Touched
{
	char	   *id;
	bool		edits;			/* rows of another's are edits, too */
	int64		rows;			/* how many there are */
	int64		bytes;			/* of those that were inserted, where limits
								 * apply */
} Touched;

/* What a statement did, as far as its rows tell */
typedef struct StatementRows
{
	StorageType storage;
	StorageTable table;
	TriggerEvent event;
	Statement	statement;		/* what was noted since it began */
	bool		limited;		/* limits apply to the caller */
	int64		own;			/* this transaction's revision */
	int			ntouched;
	Touched   **touched;		/* ascending ids */
	bool		restores;		/* some rows came with another's revision: all
								 * are from a dump where no link lives */
	bool		from_future;	/* a revision that this cluster has not given
								 * out yet */
	int64		rows;			/* how many there are */
	int			records;		/* how ownersql.c is to write them */
	Datum		linked;			/* text[]: its linked local diagrams */
	int			nlinked;
	char	  **linked_ids;		/* the same */
	bool	   *linked_here;	/* in step: is the link established? */
	Datum		here;			/* text[]: those whose link does */
	Datum		stamped;		/* text[]: diagrams in which rows of another
								 * revision are edits */
	int			nstamped;
	bool		all_new;		/* what it inserts was not deleted before */
	bool		backdated;		/* it deletes a version that is later than it */
} StatementRows;

extern void statementrows_collect(StatementRows *capture,
								  TriggerData *trigger);
extern void statementrows_check_edits(const StatementRows *capture,
									  TriggerData *trigger);
extern Diagram *statementrows_lock(const StatementRows *capture,
								   Touched *touched);
extern void statementrows_check_quota(const StatementRows *capture,
									  const Touched *touched,
									  const Diagram *diagram);

#endif							/* DIAGSYNC_STATEMENTROWS_H */
