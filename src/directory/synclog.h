/*
 * synclog.h
 *	  The log of syncs.
 */
#ifndef DIAGSYNC_SYNCLOG_H
#define DIAGSYNC_SYNCLOG_H

#include "datatype/timestamp.h"

/* A figure that a call does not have */
#define SYNCLOG_NONE (-1)

/* What a call did */
typedef struct SyncLogEntry
{
	const char *action;
	const char *local;
	const char *public;			/* set before it is written */
	TimestampTz called_at;
	bool		success;
	int64		inserted;
	int64		updated;
	int64		deleted;
	int64		merged;
	int64		resolved;
	int64		conflicts;
	int64		refused_deletions;
} SyncLogEntry;

extern void synclog_begin(SyncLogEntry *entry, const char *action,
						  const char *local);
extern void synclog_write(const SyncLogEntry *entry);
extern void synclog_prune(void);

#endif							/* DIAGSYNC_SYNCLOG_H */
