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
	Seen	   *covers;			/* what its reader has seen after the last
								 * page */
	char	   *after;			/* the last entity of the last page read;
								 * NULL: no page is left */
	Seen	   *since;			/* what they had seen before the first page;
								 * NULL: nothing */
	char	   *stream;			/* names their stream of questions, or NULL */
} Mark;

extern Mark *mark_read(const char *text, const Diagram *diagram);
extern bool mark_is_current(const char *text, const Diagram *diagram,
							Snapshot snapshot);
extern char *mark_write(const Mark *mark, const Diagram *diagram);
extern Seen *mark_now(const Diagram *diagram, Snapshot snapshot);
extern char *mark_new_stream(void);
extern void mark_restart(const char *diagram);

#endif							/* DIAGSYNC_MARK_H */
