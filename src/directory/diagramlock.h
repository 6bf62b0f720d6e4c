/*
 * diagramlock.h
 *	  The lock on a diagram, in the server's lock table.
 */
#ifndef DIAGSYNC_DIAGRAMLOCK_H
#define DIAGSYNC_DIAGRAMLOCK_H

#include "executor/tuptable.h"

extern void diagramlock_init(void);
extern bool diagramlock_share(Oid directory, const char *id);
extern void diagramlock_end_share(Oid directory, const char *id);
extern bool diagramlock_exclude(Oid directory, const char *id, bool wait);
extern void diagramlock_end_exclude(Oid directory, const char *id);
extern bool diagramlock_row_is_excluded(TupleTableSlot *row);

#endif							/* DIAGSYNC_DIAGRAMLOCK_H */
