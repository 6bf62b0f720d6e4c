/*
 * resolve.h
 *	  Conflicts settled.
 */
#ifndef DIAGSYNC_RESOLVE_H
#define DIAGSYNC_RESOLVE_H

#include "sync/settle.h"

extern Version resolve_stamp(void);
extern void resolve_take_document(const char *local, Choice *choice,
								  Jsonb *doc);
extern void resolve_run(Settling *settling, const char *function);

#endif							/* DIAGSYNC_RESOLVE_H */
