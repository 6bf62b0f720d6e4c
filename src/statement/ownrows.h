/*
 * ownrows.h
 *	  Which rows diagsync's own commands write.
 */
#ifndef DIAGSYNC_OWNROWS_H
#define DIAGSYNC_OWNROWS_H

#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "utils/snapshot.h"

/* A command of diagsync's own that runs */
typedef struct OwnStatement
{
	struct OwnStatement *around;	/* the one within which it runs, or NULL */
	uint32		mark;			/* its snapshot bears it */
	Oid			relid;			/* the table that it writes */
	TriggerEvent event;			/* and what it does there */
	Datum		diagram;		/* text: an INSERT's diagram; 0: may be any */
	Datum		ids;			/* text[]: an INSERT's ids, in its order; 0:
								 * any */
} OwnStatement;

extern void ownrows_begin(OwnStatement *own);
extern void ownrows_end(const OwnStatement *own);
extern void ownrows_reset(void);
extern bool ownrows_is_running(void);
extern void ownrows_mark(const OwnStatement *own, SnapshotData *marked,
						 Snapshot snapshot);
extern const OwnStatement *ownrows_find(Oid relid, TriggerEvent event);

/* The rows of an INSERT looked through */
typedef struct OwnRows
{
	const OwnStatement *own;
	int			n;				/* ids that it was given, unless any will do */
	Datum	   *ids;
	int			next;			/* the first that no row has had yet */
} OwnRows;

extern void ownrows_match_begin(OwnRows *rows, const OwnStatement *own);
extern bool ownrows_match(OwnRows *rows, Datum diagram, Datum id);

#endif							/* DIAGSYNC_OWNROWS_H */
