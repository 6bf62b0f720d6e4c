/*
 * session.h
 *	  What a session remembers between the triggers of a statement and between
 *	  the statements of a transaction.
 */
#ifndef DIAGSYNC_SESSION_H
#define DIAGSYNC_SESSION_H

#include "commands/trigger.h"

extern void session_init(void);

extern bool session_is_exempt(void);
extern int	session_set_exempt(int depth);
extern int	session_exempt_depth(void);

extern void session_open_statement(Oid relid, TriggerEvent event);
extern CommandId session_close_statement(Oid relid, TriggerEvent event);
extern void session_check_closed(const char *function);

extern void session_note_shared_edit(void);
extern uint64 session_shared_edits(void);
extern void session_note_sync(void);
extern bool session_synced(void);

#endif							/* DIAGSYNC_SESSION_H */
