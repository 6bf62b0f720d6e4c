/*
 * statement.h
 *	  What a session remembers between the triggers of a statement and between
 *	  the statements of a transaction.
 */
#ifndef DIAGSYNC_STATEMENT_H
#define DIAGSYNC_STATEMENT_H

#include "commands/trigger.h"
#include "datatype/timestamp.h"

#include "statement/ownrows.h"

/* Entities, as arrays in step */
typedef struct Keys
{
	int			n;
	int			max;
	char	  **diagrams;
	char	  **ids;
} Keys;

/* The rows of a statement from one number to another */
typedef struct Run
{
	int64		first;
	int64		last;
} Run;

/* What is noted about a statement until it writes its records */
typedef struct Statement
{
	CommandId	cid;			/* the command that it is */
	const OwnStatement *own;	/* the same if it is diagsync's own; foreign
								 * keys may add rows that are not */
	int64		rows;			/* rows that it has updated or deleted */
	Run		   *own_runs;		/* those that are diagsync's own, ascending */
	int			nown_runs;
	int			max_own_runs;
	int64		own_rows;		/* how many these are */
	bool		repeats;		/* a row may be among them more than once */
	TimestampTz at;				/* when it was opened: the time of its edits */
	Keys		left;			/* rows whose records a statement around it
								 * keeps */
	Keys		made;			/* base rows without a document that were made
								 * since it began, unless it inserts */
	bool		deleted_within; /* a statement within it has left a deleted
								 * row */
} Statement;

extern void statement_init(void);

extern void statement_open(Oid relid, TriggerEvent event);
extern void statement_open_direct(void);
extern void statement_close_direct(void);
extern bool statement_note_row(Oid relid, TriggerEvent event, HeapTuple old,
							   bool *own);
extern bool statement_close(Oid relid, TriggerEvent event,
							Statement *statement);
extern TimestampTz statement_edit_time(void);
extern void statement_free(Statement *statement);
extern bool statement_is_written_within(Oid relid, TriggerEvent event,
										CommandId cid);
extern void statement_leave_row(Oid relid, TriggerEvent event,
								const char *diagram, const char *id);
extern bool statement_is_changing(Oid relid);
extern void statement_note_made(Oid relid, const char *diagram,
								const char *id);
extern void statement_check_closed(const char *function,
								   const char *diagram, const char *entity);

extern void statement_check_may_write(const char *function,
									  const char *diagram, const char *entity);

extern void statement_note_shared_edit(void);
extern uint64 statement_shared_edits(void);
extern void statement_note_sync(void);
extern bool statement_synced(void);

#endif							/* DIAGSYNC_STATEMENT_H */
