/*
 * survey.h
 *	  What a statement did to a table of diagsync.
 */
#ifndef DIAGSYNC_SURVEY_H
#define DIAGSYNC_SURVEY_H

#include "commands/trigger.h"

#include "session.h"
#include "storage.h"

/* A diagram that a statement touched */
typedef struct Touched
{
	char	   *id;
	bool		own_rows;		/* some rows are edits of this transaction */
	bool		replicas;		/* some rows came with another's revision */
	int64		rows;			/* how many there are */
	int64		bytes;			/* of those that were inserted, where limits
								 * apply */
} Touched;

/* What a statement did, as far as its rows tell */
typedef struct Deed
{
	StorageType storage;
	StorageTable table;
	TriggerEvent event;
	Statement	statement;		/* what was noted since it began */
	bool		timed;			/* an inserted row's time is what its default
								 * gave it */
	bool		limited;		/* limits apply to the caller */
	int64		own;			/* this transaction's revision */
	int			ntouched;
	Touched   **touched;		/* ascending ids */
	bool		from_future;	/* a revision that this cluster has not given
								 * out yet */
	int64		rows;			/* how many there are */
	int			books;			/* how command.c is to write them */
	Datum		linked;			/* text[]: its linked local diagrams */
	int			nlinked;
	char	  **linked_ids;		/* the same */
	Datum		seen;			/* text[]: shared diagrams with replicas, of
								 * which some link has seen something */
	int			nseen;
} Deed;

extern void survey_rows(Deed *deed, TriggerData *trigger);

#endif							/* DIAGSYNC_SURVEY_H */
