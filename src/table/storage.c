/*
 * storage.c
 *	  The tables of the extension: their names, and rows of theirs found and
 *	  locked by key.
 *
 * Rows are read by direct index scans, not by SQL: the cost of a look is then
 * the same whatever the planner thinks of a table that has just been filled.
 * Tables are found by name at each call (two cache look-ups), so nothing here
 * outlives a call or a DROP EXTENSION.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "server/compat.h"
#include "server/deadlock.h"
#include "table/storage.h"

static const char *const storage_names[STORAGE_TYPES] = {
	[STORAGE_LOCAL] = "local",
	[STORAGE_PUBLIC] = "public",
	[STORAGE_PRIVATE] = "private",
};

static const char *const storage_schemas[STORAGE_TYPES] = {
	[STORAGE_LOCAL] = "diagsync_local",
	[STORAGE_PUBLIC] = "diagsync_public",
	[STORAGE_PRIVATE] = "diagsync_private",
};

static const char *const table_names[] = {
	[TABLE_DIRECTORY] = "directory",
	[TABLE_ENTITY] = "entity",
	[TABLE_BASE] = "base",
	[TABLE_TOMBSTONE] = "tombstone",
	[TABLE_MEMBER] = "member",
	[TABLE_ACCESS_TOKEN] = "access_token",
	[TABLE_KNOWN_ROLE] = "known_role",
	[TABLE_SYNC_LOG] = "sync_log",
};

static const char *const key_names[] = {
	[TABLE_DIRECTORY] = "directory_pkey",
	[TABLE_ENTITY] = "entity_pkey",
	[TABLE_BASE] = "base_pkey",
	[TABLE_TOMBSTONE] = "tombstone_pkey",
	[TABLE_MEMBER] = "member_pkey",
	[TABLE_ACCESS_TOKEN] = "access_token_pkey",
	[TABLE_KNOWN_ROLE] = "known_role_pkey",
};

/*
 * Name of a storage type, as in directory.storage_type.
 */
const char *
storage_name(StorageType storage)
{
	return storage_names[storage];
}

/*
 * The storage type of that name; false if there is none.
 */
bool
storage_parse(const char *name, StorageType *storage)
{
	for (int i = 0; i < STORAGE_TYPES; i++)
	{
		if (strcmp(name, storage_names[i]) == 0)
		{
			*storage = (StorageType) i;
			return true;
		}
	}
	return false;
}

/*
 * Name of the schema of a storage type.
 */
const char *
storage_schema(StorageType storage)
{
	return storage_schemas[storage];
}

/*
 * Oid of a relation by its names; an error if it does not exist.
 */
static Oid
storage_relid(const char *schema, const char *name)
{
	Oid			namespace = get_namespace_oid(schema, true);
	Oid			relid = OidIsValid(namespace) ?
		get_relname_relid(name, namespace) : InvalidOid;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s.%s\" of extension \"diagsync\" does not exist",
						schema, name),
				 errhint("Run CREATE EXTENSION diagsync in this database.")));
	return relid;
}

static const char *
table_schema(StorageType storage, StorageTable table)
{
	return table >= TABLE_ENTITY && table <= TABLE_TOMBSTONE ?
		storage_schemas[storage] : "diagsync";
}

/*
 * Open a table of a storage type (any, for those of schema diagsync) under a
 * table lock; the caller closes it.
 */
Relation
storage_open(StorageType storage, StorageTable table, LOCKMODE lockmode)
{
	return table_open(storage_relid(table_schema(storage, table),
									table_names[table]), lockmode);
}

/*
 * Open an index of a storage type by its name, for reading.
 */
Relation
storage_open_index(StorageType storage, const char *name)
{
	return index_open(storage_relid(storage_schemas[storage], name),
					  AccessShareLock);
}

/*
 * Which entity, base or tombstone table is this?  False if it is none.
 */
bool
storage_identify(Relation rel, StorageType *storage, StorageTable *table)
{
	char	   *schema = get_namespace_name(RelationGetNamespace(rel));

	for (int s = 0; s < STORAGE_TYPES; s++)
	{
		if (schema == NULL || strcmp(schema, storage_schemas[s]) != 0)
			continue;
		for (int t = TABLE_ENTITY; t <= TABLE_TOMBSTONE; t++)
		{
			if (strcmp(RelationGetRelationName(rel), table_names[t]) == 0)
			{
				*storage = (StorageType) s;
				*table = (StorageTable) t;
				return true;
			}
		}
	}
	return false;
}

static void
refuse_relative(const char *schema, const char *table, bool child)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s.%s\" must not be %s of another table",
					schema, table, child ? "a child" : "the parent"),
			 errdetail("What is written through one of them would not be captured for the other."),
			 errhint("Take it out with ALTER TABLE ... NO INHERIT or DETACH PARTITION; a view can show both tables.")));
}

/* Was a table given children?  That it may have some is never taken back. */
static bool
has_children(Oid relid, bool may_have)
{
	return may_have && find_inheritance_children(relid, NoLock) != NIL;
}

/*
 * Check that a table is neither child nor parent of another, nor a partition:
 * rows of it could be written through the other, past its triggers; and rows
 * of a child would be among those of statements on it, and not where they are
 * looked for. 55000 otherwise.
 */
void
storage_check_alone(Relation rel)
{
	TupleDesc	tupdesc = RelationGetDescr(rel);
	bool		child = rel->rd_rel->relispartition;

	for (int i = 0; i < tupdesc->natts && !child; i++)
		child = TupleDescAttr(tupdesc, i)->attinhcount > 0;
	if (child || has_children(RelationGetRelid(rel),
							  rel->rd_rel->relhassubclass))
		refuse_relative(get_namespace_name(RelationGetNamespace(rel)),
						RelationGetRelationName(rel), child);
}

/*
 * The same for all tables that there are, without locking them.
 */
void
storage_check_all_alone(void)
{
	for (int s = 0; s < STORAGE_TYPES; s++)
	{
		for (int t = 0; t < (int) lengthof(table_names); t++)
		{
			const char *schema = table_schema((StorageType) s,
											  (StorageTable) t);
			Oid			namespace = get_namespace_oid(schema, true);
			Oid			relid = OidIsValid(namespace) ?
				get_relname_relid(table_names[t], namespace) : InvalidOid;
			bool		child;

			if (!OidIsValid(relid))
				continue;
			child = get_rel_relispartition(relid) || has_superclass(relid);
			if (child || has_children(relid, has_subclass(relid)))
				refuse_relative(schema, table_names[t], child);
		}
	}
}

/*
 * Is this a table of the extension's?  "key" is set to the index of its key,
 * where it is one of those that entities, their bases or tombstones are in.
 */
bool
storage_is_own(Oid relid, Oid *key)
{
	Oid			namespace = get_rel_namespace(relid);
	char	   *schema = get_namespace_name(namespace);
	char	   *name = get_rel_name(relid);

	*key = InvalidOid;
	if (schema == NULL || name == NULL)
		return false;
	for (int s = 0; s < STORAGE_TYPES; s++)
	{
		if (strcmp(schema, storage_schemas[s]) != 0)
			continue;
		for (int t = TABLE_ENTITY; t <= TABLE_TOMBSTONE; t++)
		{
			if (strcmp(name, table_names[t]) == 0)
				*key = get_relname_relid(key_names[t], namespace);
		}
		return true;
	}
	return strcmp(schema, "diagsync") == 0;
}

/*
 * Is this that table of schema diagsync?
 */
bool
storage_is(Relation rel, StorageTable table)
{
	char	   *schema = get_namespace_name(RelationGetNamespace(rel));

	return schema != NULL && strcmp(schema, "diagsync") == 0 &&
		strcmp(RelationGetRelationName(rel), table_names[table]) == 0;
}

/*
 * The role that owns the tables, as which the extension's own work is done.
 */
Oid
storage_owner(void)
{
	Relation	rel = storage_open(STORAGE_LOCAL, TABLE_DIRECTORY,
								   AccessShareLock);
	Oid			owner = rel->rd_rel->relowner;

	table_close(rel, AccessShareLock);
	return owner;
}

/*
 * Open a table to look rows up by key.
 */
void
probe_open(Probe *probe, StorageType storage, StorageTable table,
		   LOCKMODE lockmode)
{
	probe->heap = storage_open(storage, table, lockmode);
	storage_check_alone(probe->heap);
	probe->index = index_open(storage_relid(table_schema(storage, table),
											key_names[table]),
							  AccessShareLock);
	probe->nkeys = table == TABLE_DIRECTORY || table == TABLE_ACCESS_TOKEN ||
		table == TABLE_KNOWN_ROLE ? 1 : 2;
	probe->scan = NULL;
	probe->slot = table_slot_create(probe->heap, NULL);
	probe->walked_from = NULL;
	probe->walked_to = NULL;
}

/*
 * Begin to look under a snapshot, which the caller keeps registered or active
 * until probe_end().
 */
void
probe_begin(Probe *probe, Snapshot snapshot)
{
	Assert(probe->scan == NULL);
	probe->scan = compat_index_beginscan(probe->heap, probe->index, snapshot,
										 probe->nkeys);
	probe->context = CurrentMemoryContext;
}

static int
compare_keys(const text *a, const text *b)
{
	int			a_len = VARSIZE_ANY_EXHDR(a);
	int			b_len = VARSIZE_ANY_EXHDR(b);
	int			order = memcmp(VARDATA_ANY(a), VARDATA_ANY(b),
							   Min(a_len, b_len));

	return order != 0 ? order : a_len - b_len;
}

static void
end_walk(Probe *probe)
{
	if (probe->walked_to == NULL)
		return;
	pfree(probe->walked_from);
	pfree(probe->walked_to);
	probe->walked_from = NULL;
	probe->walked_to = NULL;
}

/* A copy of a key that lives as long as the scan */
static text *
keep_key(Probe *probe, const text *key)
{
	text	   *kept = MemoryContextAlloc(probe->context, VARSIZE_ANY(key));

	memcpy(kept, key, VARSIZE_ANY(key));
	return kept;
}

/* Begin a walk with the first row whose second key is not before that one. */
static void
begin_walk(Probe *probe, Datum key1, const text *key)
{
	MemoryContext caller = MemoryContextSwitchTo(probe->context);
	ScanKeyData keys[2];

	end_walk(probe);
	probe->walked_from = keep_key(probe, key);
	probe->walked_to = keep_key(probe, key);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, key1);
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_TEXT_GE,
				PointerGetDatum(probe->walked_from));
	index_rescan(probe->scan, keys, 2, NULL, 0);
	probe->at_end = false;
	MemoryContextSwitchTo(caller);
}

/*
 * Find the row with these keys (text; the second is ignored where the key has
 * one column).
 * It is in probe->slot until the next call.  False if there is none.
 */
bool
probe_find(Probe *probe, Datum key1, Datum key2)
{
	MemoryContext caller;
	ScanKeyData keys[2];
	bool		found;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, key1);
	if (probe->nkeys > 1)
		ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, key2);

	/*
	 * The scan remembers things (dead index entries) from one look to the
	 * next, in the context that it runs in; the caller's may be reset
	 * meanwhile.
	 */
	caller = MemoryContextSwitchTo(probe->context);
	end_walk(probe);
	index_rescan(probe->scan, keys, probe->nkeys, NULL, 0);
	found = index_getnext_slot(probe->scan, ForwardScanDirection, probe->slot);
	MemoryContextSwitchTo(caller);
	if (!found)
		ExecClearTuple(probe->slot);
	return found;
}

static bool
has_key(Probe *probe, int attno, Datum key)
{
	bool		isnull;

	return compare_keys(DatumGetTextPP(slot_getattr(probe->slot, attno,
													&isnull)),
						DatumGetTextPP(key)) == 0;
}

/*
 * As probe_find(), where the row is likely to be at that place still.  False
 * if it is not, or the place is not valid: then it has to be looked up.
 */
bool
probe_fetch(Probe *probe, ItemPointer tid, Datum key1, Datum key2)
{
	end_walk(probe);
	if (!ItemPointerIsValid(tid) ||
		!table_tuple_fetch_row_version(probe->heap, tid,
									   probe->scan->xs_snapshot, probe->slot))
		return false;
	return has_key(probe, 1, key1) && has_key(probe, 2, key2);
}

/*
 * Go to the next row of a walk.
 */
static void
walk_on(Probe *probe)
{
	MemoryContext caller = MemoryContextSwitchTo(probe->context);

	probe->at_end = !index_getnext_slot(probe->scan, ForwardScanDirection,
										probe->slot);
	MemoryContextSwitchTo(caller);
	if (probe->at_end)
		ExecClearTuple(probe->slot);
}

/* How the second key of the row that a walk is at stands to that one. */
static int
compare_walked(Probe *probe, const text *key)
{
	bool		isnull;

	return compare_keys(DatumGetTextPP(slot_getattr(probe->slot, 2, &isnull)),
						key);
}

/*
 * As probe_find(), for a table of which most rows with the first key will be
 * asked for, in ascending second keys: goes on from one to the next instead of
 * looking each up.  A key before the last one begins a new walk.  The first
 * key has to stay the same, and to last, until probe_end().
 */
bool
probe_walk(Probe *probe, Datum key1, Datum key2)
{
	text	   *key = DatumGetTextPP(key2);

	if (probe->walked_to == NULL || compare_keys(key, probe->walked_to) < 0)
	{
		begin_walk(probe, key1, key);
		walk_on(probe);
	}
	else
	{
		pfree(probe->walked_to);
		probe->walked_to = keep_key(probe, key);
	}
	while (!probe->at_end && compare_walked(probe, key) < 0)
		walk_on(probe);
	return !probe->at_end && compare_walked(probe, key) == 0;
}

/*
 * The next row with that first key, in ascending second keys, from the first
 * on. It is in probe->slot until the next call.  False at the end.
 */
bool
probe_next(Probe *probe, Datum key1)
{
	if (probe->walked_to == NULL)
		begin_walk(probe, key1, cstring_to_text(""));
	walk_on(probe);
	return !probe->at_end;
}

/*
 * Is somebody else just inserting a row with these keys?  The transaction that
 * does, or InvalidTransactionId.  Not between probe_begin() and probe_end().
 */
TransactionId
probe_insert_in_progress(Probe *probe, Datum key1, Datum key2)
{
	SnapshotData dirty;
	TransactionId inserter = InvalidTransactionId;

	InitDirtySnapshot(dirty);
	probe_begin(probe, &dirty);
	if (probe_find(probe, key1, key2))
		inserter = dirty.xmin;
	probe_end(probe);
	return inserter;
}

/*
 * End looking under the snapshot of probe_begin().
 */
void
probe_end(Probe *probe)
{
	end_walk(probe);
	if (probe->scan != NULL)
		index_endscan(probe->scan);
	probe->scan = NULL;
	ExecClearTuple(probe->slot);
}

/*
 * Lock a row that was found under the snapshot, waiting for whoever holds it.
 * With "follow" its latest version is locked; without, a row that changed
 * since the snapshot is a serialization failure, as for any UPDATE at
 * REPEATABLE READ.  The version locked is in probe->slot.  False if the row is
 * gone.
 *
 * FOR KEY SHARE does not wait for an update that leaves the key alone (a sync
 * that notes what it has seen): it then locks the versions that follow, too.
 */
bool
probe_lock(Probe *probe, ItemPointer tid, Snapshot snapshot,
		   LockTupleMode mode, bool follow)
{
	TM_FailureData tmfd;
	TM_Result	result;
	ItemPointerData target = *tid;

	end_walk(probe);			/* the slot is about to hold another row */
	result = table_tuple_lock(probe->heap, &target, snapshot, probe->slot,
							  GetCurrentCommandId(true), mode, LockWaitBlock,
							  TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS |
							  (follow ? TUPLE_LOCK_FLAG_FIND_LAST_VERSION : 0),
							  &tmfd);
	deadlock_keep_watch();
	switch (result)
	{
		case TM_Ok:
			return true;
		case TM_Deleted:
			if (follow)
			{
				ExecClearTuple(probe->slot);
				return false;
			}
			pg_fallthrough;
		case TM_Updated:
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not serialize access due to concurrent update"),
					 errdetail("A row of \"%s.%s\" changed after this transaction began to read.",
							   get_namespace_name(RelationGetNamespace(probe->heap)),
							   RelationGetRelationName(probe->heap)),
					 errhint("Run the transaction again.")));
			break;
		case TM_SelfModified:
		case TM_Invisible:
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("a row of \"%s.%s\" is being modified by the command that calls this function",
							get_namespace_name(RelationGetNamespace(probe->heap)),
							RelationGetRelationName(probe->heap)),
					 errhint("Call the function in a statement of its own.")));
			break;
		default:
			elog(ERROR, "unexpected result of locking a row: %u", result);
	}
	return false;				/* keep compiler quiet */
}

/*
 * Close a table opened by probe_open(); table locks are kept to the end of the
 * transaction.
 */
void
probe_close(Probe *probe)
{
	probe_end(probe);
	ExecDropSingleTupleTableSlot(probe->slot);
	index_close(probe->index, AccessShareLock);
	table_close(probe->heap, NoLock);
}
