/*
 * storage.h
 *	  The tables of the extension, and rows of theirs found by key.
 */
#ifndef DIAGSYNC_STORAGE_H
#define DIAGSYNC_STORAGE_H

#include "access/genam.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "nodes/lockoptions.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/* Where the entities of a diagram are: one schema for each. */
typedef enum StorageType
{
	STORAGE_LOCAL,
	STORAGE_PUBLIC,
	STORAGE_PRIVATE,
} StorageType;

#define STORAGE_TYPES (STORAGE_PRIVATE + 1)

typedef enum StorageTable
{
	TABLE_DIRECTORY,			/* one for all storage types */
	TABLE_ENTITY,
	TABLE_BASE,					/* local only */
	TABLE_TOMBSTONE,			/* shared only */
	TABLE_MEMBER,				/* one for all storage types */
	TABLE_ACCESS_TOKEN,			/* one for all storage types */
	TABLE_KNOWN_ROLE,			/* one for all storage types */
	TABLE_SYNC_LOG,				/* one for all storage types; has no key */
} StorageTable;

/* Columns of diagsync.directory */
#define Anum_directory_id 1
#define Anum_directory_name 2
#define Anum_directory_description 3
#define Anum_directory_storage_type 4
#define Anum_directory_owner 5
#define Anum_directory_created_at 6
#define Anum_directory_public_copy_id 7
#define Anum_directory_last_pushed_at 8
#define Anum_directory_last_pulled_at 9
#define Anum_directory_public_version 10
#define Anum_directory_merge_policy 11
#define Anum_directory_seen 12
#define Anum_directory_seen_own 13
#define Anum_directory_seen_on 14
#define Anum_directory_compare_in_full 15
#define Anum_directory_seen_policy 16
#define Anum_directory_max_entities 17
#define Anum_directory_max_size 18
#define Anum_directory_feed_start 19
#define Anum_directory_feed_pruned 20

/* Columns of the entity tables */
#define Anum_entity_diagram_id 1
#define Anum_entity_id 2
#define Anum_entity_doc 3
#define Anum_entity_rev 4
#define Anum_entity_modified_at 5
#define Anum_entity_modified_by 6

/* Columns of the base table */
#define Anum_base_id 2
#define Anum_base_doc 3
#define Anum_base_changed_at 4
#define Anum_base_changed_by 5
#define Anum_base_accepted 6
#define Anum_base_unknown 7
#define BASE_NATTS 7

/* Columns of the tombstone tables */
#define Anum_tombstone_id 2
#define Anum_tombstone_rev 3
#define Anum_tombstone_deleted_at 4
#define Anum_tombstone_deleted_by 5

/* Columns of diagsync.member */
#define Anum_member_principal 2
#define Anum_member_role 3

/* Columns of diagsync.access_token */
#define Anum_access_token_diagram_id 2
#define Anum_access_token_secret_hash 3
#define Anum_access_token_role 4
#define Anum_access_token_expires_at 8

/* Columns of diagsync.known_role */
#define Anum_known_role_role_oid 2
#define Anum_known_role_cluster 3

/* Rows of one table, to be found by key one after the other. */
typedef struct Probe
{
	Relation	heap;
	Relation	index;			/* its primary key */
	int			nkeys;			/* 2, or 1 for directory, access_token and
								 * known_role */
	IndexScanDesc scan;
	MemoryContext context;		/* of the scan */
	TupleTableSlot *slot;		/* the row found or locked last */
	text	   *walked_from;	/* where a walk began: the scan looks at that
								 * key again with each page */
	text	   *walked_to;		/* probe_walk() was asked for that key last,
								 * and goes on from that row; NULL: no walk */
	bool		at_end;			/* there is no row after it */
} Probe;

extern const char *storage_name(StorageType storage);
extern bool storage_parse(const char *name, StorageType *storage);
extern const char *storage_schema(StorageType storage);
extern Relation storage_open(StorageType storage, StorageTable table,
							 LOCKMODE lockmode);
extern Relation storage_open_index(StorageType storage, const char *name);
extern bool storage_identify(Relation rel, StorageType *storage,
							 StorageTable *table);
extern bool storage_is_own(Oid relid, Oid *key);
extern void storage_check_alone(Relation rel);
extern void storage_check_all_alone(void);
extern bool storage_is(Relation rel, StorageTable table);
extern Oid	storage_owner(void);

extern void probe_open(Probe *probe, StorageType storage, StorageTable table,
					   LOCKMODE lockmode);
extern void probe_begin(Probe *probe, Snapshot snapshot);
extern bool probe_find(Probe *probe, Datum key1, Datum key2);
extern bool probe_fetch(Probe *probe, ItemPointer tid, Datum key1, Datum key2);
extern bool probe_walk(Probe *probe, Datum key1, Datum key2);
extern bool probe_next(Probe *probe, Datum key1);
extern TransactionId probe_insert_in_progress(Probe *probe, Datum key1,
											  Datum key2);
extern void probe_end(Probe *probe);
extern bool probe_lock(Probe *probe, ItemPointer tid, Snapshot snapshot,
					   LockTupleMode mode, bool follow);
extern void probe_close(Probe *probe);

#endif							/* DIAGSYNC_STORAGE_H */
