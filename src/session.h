/*
 * session.h
 *	  What a session remembers between the triggers of a statement and between
 *	  the statements of a transaction.
 */
#ifndef DIAGSYNC_SESSION_H
#define DIAGSYNC_SESSION_H

#include "commands/trigger.h"
#include "datatype/timestamp.h"

#include "own.h"

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

/* What is noted about a statement until it writes its books */
typedef struct Statement
{
	CommandId	cid;			/* the command that it is */
	const OwnCommand *own;		/* the same if it is diagsync's own; foreign keys
								 * may add rows that are not */
	int64		rows;			/* rows that it has updated or deleted */
	Run		   *own_runs;		/* those that are diagsync's own, ascending */
	int			nown_runs;
	int			max_own_runs;
	int64		own_rows;		/* how many these are */
	bool		repeats;		/* a row may be among them more than once */
	TimestampTz at;				/* when it was opened: the time of its edits */
	Keys		left;			/* rows whose books a statement around it keeps */
	Keys		made;			/* base rows without a document that were made
								 * since it began, unless it inserts */
	bool		deleted_within; /* a statement within it has left a deleted row */
} Statement;

extern void session_init(void);

extern void session_open_statement(Oid relid, TriggerEvent event);
extern void session_open_direct(void);
extern void session_close_direct(void);
extern bool session_note_row(Oid relid, TriggerEvent event, HeapTuple old,
							 bool *own);
extern bool session_close_statement(Oid relid, TriggerEvent event,
									Statement *statement);
extern TimestampTz session_edit_time(void);
extern void session_free_statement(Statement *statement);
extern bool session_is_written_within(Oid relid, TriggerEvent event,
									  CommandId cid);
extern void session_leave_row(Oid relid, TriggerEvent event,
							  const char *diagram, const char *id);
extern bool session_is_changing(Oid relid);
extern void session_note_made(Oid relid, const char *diagram, const char *id);
extern void session_check_closed(const char *function,
								 const char *diagram, const char *entity);

extern void session_check_may_write(const char *function,
									const char *diagram, const char *entity);

extern void session_note_shared_edit(void);
extern uint64 session_shared_edits(void);
extern void session_note_sync(void);
extern bool session_synced(void);

#endif							/* DIAGSYNC_SESSION_H */
