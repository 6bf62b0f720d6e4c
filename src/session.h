/*
 * session.h
 *	  What a session remembers between the triggers of a statement and between
 *	  the statements of a transaction.
 */
#ifndef DIAGSYNC_SESSION_H
#define DIAGSYNC_SESSION_H

#include "commands/trigger.h"

/* The statement of diagsync's own that runs */
typedef struct Exemption
{
	int			depth;			/* of its triggers; 0: none runs */
	bool		entities;		/* it writes entities */
	bool		begun;			/* and has begun to */
} Exemption;

/* Entities, as arrays in step */
typedef struct Keys
{
	int			n;
	int			max;
	char	  **diagrams;
	char	  **ids;
} Keys;

/* What is noted about a statement until it writes its books */
typedef struct Statement
{
	CommandId	cid;			/* the command that it is */
	Keys		left;			/* rows whose books a statement around it keeps */
	Keys		made;			/* base rows without a document that were made
								 * since it began, unless it inserts */
	bool		deleted_within; /* a statement within it has left a deleted row */
} Statement;

extern void session_init(void);

extern bool session_is_exempt(void);
extern Exemption session_exemption(void);
extern void session_exempt(bool entities);
extern void session_end_exempt(Exemption before);

extern void session_open_statement(Oid relid, TriggerEvent event);
extern Statement session_close_statement(Oid relid, TriggerEvent event);
extern bool session_is_nested(Oid relid);
extern bool session_is_written_within(Oid relid, CommandId cid);
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
