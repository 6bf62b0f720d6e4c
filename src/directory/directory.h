/*
 * directory.h
 *	  Entries of the directory, and links between them.
 */
#ifndef DIAGSYNC_DIRECTORY_H
#define DIAGSYNC_DIRECTORY_H

#include "datatype/timestamp.h"
#include "executor/tuptable.h"
#include "nodes/lockoptions.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/snapshot.h"

#include "directory/seen.h"
#include "principal/access.h"
#include "table/storage.h"

/* An entry as it was read; palloc'd with all that it points to. */
typedef struct Diagram
{
	char	   *id;
	Datum		key;			/* the id as a text */
	char	   *name;
	char	   *description;	/* or NULL */
	StorageType storage;		/* public for a legacy one */
	bool		legacy;			/* has no storage type yet */
	char	   *owner;
	char	   *public_copy_id; /* or NULL */
	TimestampTz last_pushed_at; /* DT_NOBEGIN: never */
	TimestampTz last_pulled_at; /* DT_NOBEGIN: never */
	int64		public_version; /* 0: none */
	Jsonb	   *merge_policy;	/* or NULL */
	Seen	   *seen;			/* or NULL; see seen_is_valid() */
	uint64		seen_own;
	char	   *seen_on;		/* or NULL: the link is not established */
	bool		compare_in_full;	/* though seen is valid: the policy has
									 * changed */
	Jsonb	   *seen_policy;	/* with it: the policy by which it was seen;
								 * or NULL */
	int			max_entities;	/* that its owner allows; 0: no limit */
	int64		max_size;		/* bytes, the same */
	int64		feed_start;		/* marks of readers: see mark.c */
	int64		feed_pruned;	/* 0: nothing */
	TimestampTz seen_at;		/* when "seen" last moved, as far as that is
								 * known; linkwalk() alone sets it */
} Diagram;

/* A local diagram and its shared copy. */
typedef struct Link
{
	Diagram    *local;
	Diagram    *public;
	bool		seen_is_valid;	/* what was seen means something */
	bool		compare_in_full;	/* it means nothing, or is not enough */
} Link;

/* Which version of a row is meant where it has changed since the snapshot. */
typedef enum LockReading
{
	LOCK_AS_TRANSACTION,		/* the latest at READ COMMITTED, else 40001 */
	LOCK_LATEST,				/* the latest under every isolation level */
} LockReading;

/* What brought two copies together: which time is noted. */
typedef enum SyncKind
{
	SYNC_PUSH,
	SYNC_PULL,
	SYNC_COMPARE,				/* moved nothing */
} SyncKind;

extern char *directory_name_arg(Datum value, bool isnull, const char *arg);
extern void directory_refuse_null(bool isnull, const char *arg,
								  const char *diagram);
extern Diagram *directory_read(const char *id, Snapshot snapshot);
extern Diagram *directory_read_row(TupleTableSlot *slot);
extern Diagram *directory_lock(const char *id, LockTupleMode mode,
							   LockReading reading);
extern bool directory_lock_if_free(const char *id, Diagram **diagram);
extern Diagram *directory_lock_for_edit(const char *id);
extern Diagram *directory_lock_seen_for_edit(const char *id,
											 AccessLevel needs);
extern bool directory_hold(const char *id, Snapshot snapshot);
extern Diagram *directory_need(Diagram *diagram, const char *id);
extern AccessLevel directory_access(Caller *caller, const Diagram *diagram,
									AccessLevel enough, Snapshot snapshot);
extern Diagram *directory_see(const char *id, AccessLevel needs,
							  Snapshot snapshot);
extern void directory_check_access(const Diagram *diagram, AccessLevel needs);
extern Diagram *directory_lock_seen(const char *id, AccessLevel needs,
									LockTupleMode mode, LockReading reading);
extern void directory_need_local(const Diagram *diagram);
extern void directory_need_shared(const Diagram *diagram);
extern Link *directory_read_link(const char *local, const char *public,
								 AccessLevel shared, Snapshot snapshot);
extern Link *directory_lock_link(const char *local, const char *public,
								 AccessLevel shared);
extern bool directory_link_is_established(const Diagram *local);
extern void directory_touch(const char *id);
extern char *directory_insert(const char *id, const char *name,
							  const char *description, const char *storage,
							  const Jsonb *merge_policy);
extern void directory_clear_bases(const char *local);
extern void directory_link(const char *local, const char *public);
extern void directory_unlink(const Diagram *local);
extern void directory_record_sync(const char *local, SyncKind kind,
								  const Seen *seen, uint64 own,
								  int64 public_version);
extern void directory_forget_own(const char *public, const char *except);
extern int64 directory_public_version(const Diagram *public,
									  Snapshot snapshot);

#endif							/* DIAGSYNC_DIRECTORY_H */
