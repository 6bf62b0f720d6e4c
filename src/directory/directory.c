/*
 * directory.c
 *	  Entries of the directory, and links between them: read, and locked for
 *	  callers (directorylock.c).
 *
 * What functions do for their callers begins with directory_see() or
 * directory_lock_seen(), which answer what they may not see as not existing;
 * directory_read() and directory_lock() are for diagsync's own business.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "directory/directory.h"
#include "principal/principal.h"
#include "server/compat.h"
#include "server/textarg.h"
#include "statement/ownersql.h"
#include "statement/statement.h"

/*
 * The name of a diagram that a function was given as an argument; an error if
 * it is null or longer than a diagram's id may be.  palloc'd.
 */
char *
directory_name_arg(Datum value, bool isnull, const char *arg)
{
	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", arg)));
	return textarg_get(value, arg, NULL, MAX_DIAGRAM_ID);
}

/*
 * An error where an argument about a diagram is null.
 */
void
directory_refuse_null(bool isnull, const char *arg, const char *diagram)
{
	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" for diagram \"%s\" must not be null",
						arg, diagram)));
}

static char *
attr_string(TupleTableSlot *slot, int attno)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, attno, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static int64
attr_int64(TupleTableSlot *slot, int attno, int64 none)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, attno, &isnull);

	return isnull ? none : DatumGetInt64(value);
}

/*
 * The entry in a row of the directory, copied.
 */
Diagram *
directory_read_row(TupleTableSlot *slot)
{
	Diagram    *diagram = palloc0(sizeof(Diagram));
	char	   *storage;
	Datum		value;
	bool		isnull;

	diagram->id = attr_string(slot, Anum_directory_id);
	diagram->key = CStringGetTextDatum(diagram->id);
	diagram->name = attr_string(slot, Anum_directory_name);
	diagram->description = attr_string(slot, Anum_directory_description);
	storage = attr_string(slot, Anum_directory_storage_type);
	if (storage == NULL)
	{
		diagram->legacy = true;
		diagram->storage = STORAGE_PUBLIC;
	}
	else if (!storage_parse(storage, &diagram->storage))
		elog(ERROR, "diagram \"%s\" has unknown storage type \"%s\"",
			 diagram->id, storage);
	diagram->owner = attr_string(slot, Anum_directory_owner);
	diagram->public_copy_id = attr_string(slot, Anum_directory_public_copy_id);
	diagram->last_pushed_at = attr_int64(slot, Anum_directory_last_pushed_at,
										 DT_NOBEGIN);
	diagram->last_pulled_at = attr_int64(slot, Anum_directory_last_pulled_at,
										 DT_NOBEGIN);
	diagram->public_version = attr_int64(slot, Anum_directory_public_version,
										 0);
	value = slot_getattr(slot, Anum_directory_merge_policy, &isnull);
	if (!isnull)
		diagram->merge_policy = DatumGetJsonbPCopy(value);
	value = slot_getattr(slot, Anum_directory_seen, &isnull);
	if (!isnull)
		diagram->seen = (Seen *) PG_DETOAST_DATUM_COPY(value);
	diagram->seen_own = (uint64) attr_int64(slot, Anum_directory_seen_own,
											SEEN_OWN_NONE);
	diagram->seen_on = attr_string(slot, Anum_directory_seen_on);
	diagram->compare_in_full =
		DatumGetBool(slot_getattr(slot, Anum_directory_compare_in_full,
								  &isnull));
	value = slot_getattr(slot, Anum_directory_seen_policy, &isnull);
	if (!isnull)
		diagram->seen_policy = DatumGetJsonbPCopy(value);
	value = slot_getattr(slot, Anum_directory_max_entities, &isnull);
	diagram->max_entities = isnull ? 0 : DatumGetInt32(value);
	diagram->max_size = attr_int64(slot, Anum_directory_max_size, 0);
	diagram->feed_start = attr_int64(slot, Anum_directory_feed_start, 0);
	diagram->feed_pruned = attr_int64(slot, Anum_directory_feed_pruned, 0);
	return diagram;
}

/*
 * Read an entry under a snapshot; NULL if there is none.  Takes no row lock.
 */
Diagram *
directory_read(const char *id, Snapshot snapshot)
{
	Diagram    *diagram = NULL;
	Probe		probe;

	probe_open(&probe, STORAGE_LOCAL, TABLE_DIRECTORY, AccessShareLock);
	probe_begin(&probe, snapshot);
	if (probe_find(&probe, CStringGetTextDatum(id), (Datum) 0))
		diagram = directory_read_row(probe.slot);
	probe_close(&probe);
	return diagram;
}

/*
 * The diagram, or an error if there is none.
 */
Diagram *
directory_need(Diagram *diagram, const char *id)
{
	if (diagram != NULL)
		return diagram;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 textarg_fits(id, MAX_DIAGRAM_ID) ?
			 errmsg("diagram \"%s\" does not exist", id) :
			 errmsg("a diagram with an id of %d characters does not exist",
					pg_mbstrlen(id))));
	return NULL;				/* keep compiler quiet */
}

/*
 * What a caller may do with a diagram; a level that is enough is not looked
 * beyond.
 */
AccessLevel
directory_access(Caller *caller, const Diagram *diagram, AccessLevel enough,
				 Snapshot snapshot)
{
	return access_level(caller, diagram->id, diagram->storage, diagram->owner,
						enough, snapshot);
}

/*
 * Fail unless the caller may do something with a diagram under a snapshot:
 * 42704 where they may not see it, 42501 where that is all they may.
 */
static void
check_access_at(const Diagram *diagram, AccessLevel needs, Snapshot snapshot)
{
	Caller		caller;
	AccessLevel level;

	access_identify(&caller);
	level = directory_access(&caller, diagram, needs, snapshot);
	if (level == ACCESS_NONE)
		(void) directory_need(NULL, diagram->id);
	if (level < needs)
		access_refuse(diagram->id, level, needs);
}

/*
 * The same as it is committed now.
 */
void
directory_check_access(const Diagram *diagram, AccessLevel needs)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

	check_access_at(diagram, needs, snapshot);
	UnregisterSnapshot(snapshot);
}

/*
 * Read an entry on behalf of the caller, who needs that access to it; an error
 * as above otherwise.
 */
Diagram *
directory_see(const char *id, AccessLevel needs, Snapshot snapshot)
{
	Diagram    *diagram;

	snapshot = RegisterSnapshot(snapshot);
	diagram = directory_need(directory_read(id, snapshot), id);
	check_access_at(diagram, needs, snapshot);
	UnregisterSnapshot(snapshot);
	return diagram;
}

/*
 * Lock a diagram for a caller who edits it.
 */
Diagram *
directory_lock_seen_for_edit(const char *id, AccessLevel needs)
{
	Diagram    *diagram;

	(void) directory_see(id, needs, GetLatestSnapshot());
	diagram = directory_need(directory_lock_for_edit(id), id);
	directory_check_access(diagram, needs);
	return diagram;
}

/*
 * Lock an entry on behalf of the caller.  Their access is checked before (not
 * even a wait is to tell them of what they may not see), and again as it is
 * after the wait, under every isolation level.
 */
Diagram *
directory_lock_seen(const char *id, AccessLevel needs, LockTupleMode mode,
					LockReading reading)
{
	Diagram    *diagram;

	(void) directory_see(id, needs, reading == LOCK_LATEST ?
						 GetLatestSnapshot() : GetTransactionSnapshot());
	diagram = directory_need(directory_lock(id, mode, reading), id);
	directory_check_access(diagram, needs);
	return diagram;
}

static void
directory_need_storage_type(const Diagram *diagram)
{
	if (diagram->legacy)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("diagram \"%s\" has no storage type", diagram->id),
				 errdetail("Its changes cannot be tracked until it has one."),
				 errhint("Set it with diagsync.set_storage_type().")));
}

/*
 * An error unless the diagram is a local one.
 */
void
directory_need_local(const Diagram *diagram)
{
	directory_need_storage_type(diagram);
	if (diagram->storage != STORAGE_LOCAL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("diagram \"%s\" is not a local diagram", diagram->id),
				 errdetail("Its storage type is %s.",
						   storage_name(diagram->storage)),
				 errhint("diagsync.clone() makes a local copy of a shared diagram.")));
}

/*
 * An error unless the diagram is a public or private one.
 */
void
directory_need_shared(const Diagram *diagram)
{
	directory_need_storage_type(diagram);
	if (diagram->storage == STORAGE_LOCAL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("diagram \"%s\" is not a shared diagram", diagram->id),
				 errdetail("Its storage type is local."),
				 errhint("diagsync.share() makes a shared copy of a local diagram.")));
}

/*
 * An error unless the diagram is local, linked, and linked to that one (if one
 * is given).
 */
static void
check_link(const Diagram *local, const char *public)
{
	directory_need_local(local);
	if (local->public_copy_id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("diagram \"%s\" is not linked to a shared one", local->id),
				 errhint("Share it with diagsync.share(), or link it to an existing shared diagram with diagsync.link().")));
	if (public != NULL && strcmp(public, local->public_copy_id) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("diagram \"%s\" is not linked to \"%s\"",
						local->id, public),
				 errdetail("It is linked to \"%s\".", local->public_copy_id),
				 errhint("Leave the second name out, or unlink it first with diagsync.unlink().")));
}

static Link *
make_link(Diagram *local, Diagram *public)
{
	Link	   *link = palloc(sizeof(Link));

	directory_need_shared(public);
	link->local = local;
	link->public = public;
	link->seen_is_valid = seen_is_valid(local->seen, local->seen_on);
	link->compare_in_full = !link->seen_is_valid || local->compare_in_full;
	return link;
}

/*
 * A linked local diagram and its shared copy, read under a snapshot; with
 * "public" (not NULL) they must be linked to each other.  The caller must own
 * the local one and needs that access to the shared copy.  Takes no row lock.
 */
Link *
directory_read_link(const char *local, const char *public, AccessLevel shared,
					Snapshot snapshot)
{
	Diagram    *diagram = directory_see(local, ACCESS_READER, snapshot);

	if (public != NULL)
		(void) directory_see(public, ACCESS_READER, snapshot);
	check_link(diagram, public);
	return make_link(diagram, directory_see(diagram->public_copy_id, shared,
											snapshot));
}

/*
 * The same for a sync: one at a time of a link, and neither copy can be
 * unlinked, dropped or moved before the transaction ends.
 */
Link *
directory_lock_link(const char *local, const char *public, AccessLevel shared)
{
	Diagram    *diagram = directory_see(local, ACCESS_READER,
										GetTransactionSnapshot());

	/*
	 * A shared one is not to be locked by whoever takes it for a local one;
	 * and whoever drops one that the caller may not see holds this one locked.
	 */
	directory_need_local(diagram);
	if (diagram->public_copy_id != NULL)
		(void) directory_see(diagram->public_copy_id, shared,
							 GetTransactionSnapshot());
	diagram = directory_lock_seen(local, ACCESS_READER,
								  LockTupleNoKeyExclusive,
								  LOCK_AS_TRANSACTION);
	if (public != NULL && (diagram->public_copy_id == NULL ||
						   strcmp(public, diagram->public_copy_id) != 0))
		(void) directory_see(public, ACCESS_READER, GetTransactionSnapshot());
	check_link(diagram, public);
	return make_link(diagram, directory_lock_seen(diagram->public_copy_id,
												  shared,
												  LockTupleKeyShare,
												  LOCK_AS_TRANSACTION));
}

/*
 * Is the link of a local diagram established?  It is once it was made or has
 * synced in this database, which every sync notes in seen_on; an entry that
 * was inserted, as by a restore, has no seen_on yet.
 */
bool
directory_link_is_established(const Diagram *local)
{
	return local->public_copy_id != NULL && local->seen_on != NULL;
}

/*
 * Greatest revision in one table of a shared diagram, 0 if it is empty.
 */
static int64
greatest_rev(const Diagram *public, StorageTable table, const char *index_name,
			 int attno, Snapshot snapshot)
{
	Relation	heap = storage_open(public->storage, table, AccessShareLock);
	Relation	index = storage_open_index(public->storage, index_name);
	TupleTableSlot *slot = table_slot_create(heap, NULL);
	IndexScanDesc scan = compat_index_beginscan(heap, index, snapshot, 1);
	ScanKeyData key;
	int64		rev = 0;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ, public->key);
	index_rescan(scan, &key, 1, NULL, 0);
	if (index_getnext_slot(scan, BackwardScanDirection, slot))
		rev = attr_int64(slot, attno, 0);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(heap, NoLock);
	return rev;
}

/*
 * Greatest revision of a shared diagram under a snapshot: two index probes.
 */
int64
directory_public_version(const Diagram *public, Snapshot snapshot)
{
	int64		entities = greatest_rev(public, TABLE_ENTITY, "entity_rev",
										Anum_entity_rev, snapshot);
	int64		tombstones = greatest_rev(public, TABLE_TOMBSTONE,
										  "tombstone_rev",
										  Anum_tombstone_rev, snapshot);

	return Max(entities, tombstones);
}
