/*
 * mark.h
 *	  How much of a shared diagram a reader has seen.
 */
#ifndef DIAGSYNC_MARK_H
#define DIAGSYNC_MARK_H

#include "directory/directory.h"
#include "directory/seen.h"

/* A mark as it was read; palloc'd with all that it points to. */
typedef struct Mark
{
	uint64		epoch;			/* where it means something */
	Seen	   *covers;			/* what its reader has seen once he is through
								 * with the pages */
	char	   *after;			/* he is after that entity of a page; NULL: he
								 * is through */
	Seen	   *since;			/* what he had seen before the first page;
								 * NULL: nothing */
	char	   *stream;			/* names his stream of questions, or NULL */
} Mark;

extern Mark *mark_read(const char *text, const Diagram *diagram);
extern bool mark_is_current(const char *text, const Diagram *diagram,
							Snapshot snapshot);
extern char *mark_write(const Mark *mark, const Diagram *diagram);
extern Seen *mark_now(const Diagram *diagram, Snapshot snapshot);
extern char *mark_new_stream(void);
extern void mark_restart(const char *diagram);

#endif							/* DIAGSYNC_MARK_H */
