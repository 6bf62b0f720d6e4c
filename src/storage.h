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
} StorageTable;

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
#define Anum_member_role 3

/* Columns of diagsync.access_token */
#define Anum_access_token_diagram_id 2
#define Anum_access_token_secret_hash 3
#define Anum_access_token_role 4
#define Anum_access_token_expires_at 8

/* Rows of one table, to be found by key one after the other. */
typedef struct Probe
{
	Relation	heap;
	Relation	index;			/* its primary key */
	int			nkeys;			/* 2, or 1 for directory and access_token */
	IndexScanDesc scan;
	MemoryContext context;		/* of the scan */
	TupleTableSlot *slot;		/* the row found or locked last */
	text	   *walked_from;	/* where a walk began: the scan looks at that key
								 * again with each page */
	text	   *walked_to;		/* probe_walk() was asked for that key last, and
								 * goes on from that row; NULL: no walk */
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
extern void storage_check_alone(Relation rel);
extern void storage_check_all_alone(void);
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
