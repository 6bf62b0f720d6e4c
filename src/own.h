/*
 * own.h
 *	  Which rows diagsync's own commands write.
 */
#ifndef DIAGSYNC_OWN_H
#define DIAGSYNC_OWN_H

#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "utils/snapshot.h"

/* A command of diagsync's own that runs */
typedef struct OwnCommand
{
	struct OwnCommand *around;	/* the one within which it runs, or NULL */
	uint32		mark;			/* its snapshot bears it */
	Oid			relid;			/* the table that it writes */
	TriggerEvent event;			/* and what it does there */
	Datum		diagram;		/* text: an INSERT's diagram; 0: it may be any */
	Datum		ids;			/* text[]: an INSERT's ids, in its order; 0: any */
} OwnCommand;

extern void own_begin(OwnCommand *own);
extern void own_end(const OwnCommand *own);
extern void own_reset(void);
extern bool own_is_running(void);
extern void own_mark(const OwnCommand *own, SnapshotData *marked,
					 Snapshot snapshot);
extern const OwnCommand *own_find(Oid relid, TriggerEvent event);

/* The rows of an INSERT looked through */
typedef struct OwnRows
{
	const OwnCommand *own;
	int			n;				/* ids that it was given, unless any will do */
	Datum	   *ids;
	int			next;			/* the first that no row has had yet */
} OwnRows;

extern void own_rows_begin(OwnRows *rows, const OwnCommand *own);
extern bool own_rows_has(OwnRows *rows, Datum diagram, Datum id);

#endif							/* DIAGSYNC_OWN_H */
