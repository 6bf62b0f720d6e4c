/*
 * directory.c
 *	  Entries of the directory, and links between them: read, locked, changed.
 *
 * Lock order: local rows before the shared row that they link to, each kind in
 * ascending ids.  Whatever changes a link or a storage type holds FOR UPDATE on
 * the rows concerned; writers of entities hold FOR KEY SHARE; a sync holds FOR
 * NO KEY UPDATE on its local row and FOR KEY SHARE on the shared one, so it is
 * in no writer's way.
 *
 * What functions do for their callers begins with directory_see() or
 * directory_lock_seen(), which answer what he may not see as not existing;
 * directory_read() and directory_lock() are for diagsync's own business.
 *
 * May call storage.c, access.c, seen.c, session.c, command.c and rolenote.c.
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

#include "command.h"
#include "compat.h"
#include "directory.h"
#include "principal.h"
#include "rolenote.h"
#include "session.h"
#include "textarg.h"

static Command insert_entry =
COMMAND("INSERT INTO diagsync.directory (id, name, description, storage_type, merge_policy)"
	" VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING",
		5, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID);

static Command set_link =
COMMAND("UPDATE diagsync.directory SET public_copy_id = $2, last_pushed_at = NULL,"
	" last_pulled_at = NULL, public_version = NULL, seen = NULL,"
	" seen_own = NULL, seen_on = NULL, compare_in_full = false, seen_policy = NULL"
	" WHERE id" EQ "$1",
		2, TEXTOID, TEXTOID);

static Command clear_bases =
COMMAND("DELETE FROM diagsync_local.base WHERE diagram_id" EQ "$1",
		1, TEXTOID);

static Command record_sync =
COMMAND("UPDATE diagsync.directory SET"
	" last_pushed_at = CASE WHEN $2" EQ "'push' THEN pg_catalog.now() ELSE last_pushed_at END,"
	" last_pulled_at = CASE WHEN $2" EQ "'pull' THEN pg_catalog.now() ELSE last_pulled_at END,"
	" seen = CASE WHEN $3 IS NULL THEN seen ELSE $3 END,"
	" seen_own = CASE WHEN $3 IS NULL THEN seen_own ELSE $4 END,"
	" seen_on = CASE WHEN $3 IS NULL THEN COALESCE(seen_on, '-') ELSE $5 END,"
	" compare_in_full = compare_in_full AND $3 IS NULL,"
	" seen_policy = CASE WHEN $3 IS NULL THEN seen_policy END,"
	" public_version = $6"
	" WHERE id" EQ "$1",
		6, TEXTOID, TEXTOID, PG_SNAPSHOTOID, INT8OID, TEXTOID, INT8OID);

static Command weigh_own =
COMMAND("UPDATE diagsync.directory SET seen_own = NULL WHERE id" EQ "$1",
		1, TEXTOID);

static Command forget_own =
COMMAND("UPDATE diagsync.directory SET seen_own = NULL"
	" WHERE public_copy_id" EQ "$1 AND seen_own" EQ "$2 AND id" NE "$3",
		3, TEXTOID, INT8OID, TEXTOID);

static Command touch =
COMMAND("UPDATE diagsync.directory SET name = name WHERE id" EQ "$1",
		1, TEXTOID);

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
	diagram->public_version = attr_int64(slot, Anum_directory_public_version, 0);
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
		DatumGetBool(slot_getattr(slot, Anum_directory_compare_in_full, &isnull));
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
 * Lock an entry and read it as it is after the wait; NULL if there is none.
 */
Diagram *
directory_lock(const char *id, LockTupleMode mode, LockReading reading)
{
	Datum		key = CStringGetTextDatum(id);
	Diagram    *diagram = NULL;
	Probe		probe;
	bool		follow = reading == LOCK_LATEST || !IsolationUsesXactSnapshot();

	probe_open(&probe, STORAGE_LOCAL, TABLE_DIRECTORY, RowShareLock);
	for (;;)
	{
		Snapshot	snapshot = RegisterSnapshot(reading == LOCK_LATEST ?
												GetLatestSnapshot() :
												GetTransactionSnapshot());
		bool		found;
		bool		locked = false;

		probe_begin(&probe, snapshot);
		found = probe_find(&probe, key, (Datum) 0);
		if (found)
		{
			ItemPointerData tid = probe.slot->tts_tid;

			locked = probe_lock(&probe, &tid, snapshot, mode, follow);
		}
		if (locked)
			diagram = directory_read_row(probe.slot);
		probe_end(&probe);
		UnregisterSnapshot(snapshot);

		/* Dropped while we waited, but it may have been made again. */
		if (locked || !found)
			break;
	}
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
 * Fail unless the caller may do something with a diagram under a snapshot: 42704
 * where he may not see it, 42501 where that is all he may.
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
 * Lock an entry on behalf of the caller.  His access is checked before (not
 * even a wait is to tell him of what he may not see), and again as it is after
 * the wait, under every isolation level.
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
 * A linked local diagram and its far end, read under a snapshot; with "public"
 * (not NULL) they must be linked to each other.  The caller must own the local
 * one and needs that access to the far end.  Takes no row lock.
 */
Link *
directory_read_link(const char *local, const char *public, AccessLevel far,
					Snapshot snapshot)
{
	Diagram    *diagram = directory_see(local, ACCESS_READER, snapshot);

	if (public != NULL)
		(void) directory_see(public, ACCESS_READER, snapshot);
	check_link(diagram, public);
	return make_link(diagram, directory_see(diagram->public_copy_id, far,
											snapshot));
}

/*
 * The same for a sync: one at a time of a link, and neither end can be
 * unlinked, dropped or moved before the transaction ends.
 */
Link *
directory_lock_link(const char *local, const char *public, AccessLevel far)
{
	Diagram    *diagram = directory_see(local, ACCESS_READER,
										GetTransactionSnapshot());

	/*
	 * A shared one is not to be locked by whoever takes it for a local one; and
	 * whoever drops what he may not see holds this one locked.
	 */
	directory_need_local(diagram);
	if (diagram->public_copy_id != NULL)
		(void) directory_see(diagram->public_copy_id, far,
							 GetTransactionSnapshot());
	diagram = directory_lock_seen(local, ACCESS_READER, LockTupleNoKeyExclusive,
								  LOCK_AS_TRANSACTION);
	if (public != NULL && (diagram->public_copy_id == NULL ||
						   strcmp(public, diagram->public_copy_id) != 0))
		(void) directory_see(public, ACCESS_READER, GetTransactionSnapshot());
	check_link(diagram, public);
	return make_link(diagram, directory_lock_seen(diagram->public_copy_id, far,
												  LockTupleKeyShare,
												  LOCK_AS_TRANSACTION));
}

/*
 * Does the link of a local diagram live here?  It does once it was made here or
 * has synced here, which every sync notes in seen_on; an entry that was inserted,
 * as by a restore, has no seen_on yet.
 */
bool
directory_lives_here(const Diagram *local)
{
	return local->public_copy_id != NULL && local->seen_on != NULL;
}

/*
 * Update an entry that is locked, at least FOR NO KEY UPDATE, with what it holds,
 * so that whoever locks it with an older transaction snapshot gets 40001.  Once
 * is enough in a transaction, unless that is rolled back.  The caller is
 * connected to SPI.
 */
void
directory_touch(const char *id)
{
	static char *touched = NULL;
	static TransactionId touched_by = InvalidTransactionId;
	Datum		values[1] = {CStringGetTextDatum(id)};

	if (touched != NULL && strcmp(touched, id) == 0 &&
		TransactionIdIsCurrentTransactionId(touched_by))
		return;
	(void) command_run(&touch, STORAGE_LOCAL, values, NULL,
					   COMMAND_EXEMPT | COMMAND_FRESH);
	if (touched != NULL)
		pfree(touched);
	touched = NULL;
	touched = MemoryContextStrdup(TopMemoryContext, id);
	touched_by = GetCurrentTransactionId();
}

/*
 * Check the id of a new diagram: 22023 where it cannot be one.  "." and ".." as
 * parts of a path mean something to everything on the way to /db/local/ID,
 * encoded or not, so they are no parts of an id.
 */
static void
check_new_id(const char *id)
{
	const char *segment = id;

	if (id[0] == '\0' || !textarg_fits(id, MAX_DIAGRAM_ID))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a diagram's id must have 1 to %d characters",
						MAX_DIAGRAM_ID),
				 errdetail("It has %d.", pg_mbstrlen(id))));
	while (segment != NULL)
	{
		const char *end = strchr(segment, '/');
		size_t		length = strcspn(segment, "/");

		if ((length == 1 && segment[0] == '.') ||
			(length == 2 && segment[0] == '.' && segment[1] == '.'))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a diagram's id cannot have \"%.*s\" as a part of a path",
							(int) length, segment),
					 errdetail("In the path of a URL that means another place."),
					 errhint("Choose another id, or leave it out to have one generated.")));
		segment = end != NULL ? end + 1 : NULL;
	}
}

/*
 * Make an entry, owned by the caller.  Without an id it gets a new uuid; an
 * error if the id is taken.  The caller is connected to SPI.  Returns the id.
 */
char *
directory_insert(const char *id, const char *name, const char *description,
				 const char *storage, const Jsonb *merge_policy)
{
	Datum		values[5];
	char		nulls[5] = {' ', ' ', ' ', ' ', ' '};

	if (id == NULL)
		id = DatumGetCString(DirectFunctionCall1(uuid_out,
												 DirectFunctionCall1(gen_random_uuid,
																	 (Datum) 0)));
	check_new_id(id);
	rolenote_principal(principal_current(), id);
	values[0] = CStringGetTextDatum(id);
	values[1] = CStringGetTextDatum(name);
	values[2] = description ? CStringGetTextDatum(description) : (Datum) 0;
	nulls[2] = description ? ' ' : 'n';
	values[3] = CStringGetTextDatum(storage);
	values[4] = PointerGetDatum(merge_policy);
	nulls[4] = merge_policy ? ' ' : 'n';
	if (command_run(&insert_entry, STORAGE_LOCAL, values, nulls,
					COMMAND_EXEMPT) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("diagram \"%s\" already exists", id),
				 errhint("Choose another id, or leave it out to have one generated.")));
	return pstrdup(id);
}

/*
 * Forget what was changed in a local diagram that is locked FOR UPDATE.  The
 * caller is connected to SPI.
 */
void
directory_clear_bases(const char *local)
{
	Datum		values[1] = {CStringGetTextDatum(local)};

	(void) command_run(&clear_bases, STORAGE_LOCAL, values, NULL,
					   COMMAND_EXEMPT | COMMAND_FRESH);
}

/*
 * Link a local diagram that is locked FOR UPDATE, without having seen anything
 * of the far end yet.  The caller is connected to SPI.
 */
void
directory_link(const char *local, const char *public)
{
	Datum		values[2] = {CStringGetTextDatum(local),
	CStringGetTextDatum(public)};

	directory_clear_bases(local);
	(void) command_run(&set_link, STORAGE_LOCAL, values, NULL,
					   COMMAND_EXEMPT | COMMAND_FRESH);
}

/*
 * Unlink a local diagram that is locked FOR UPDATE.  The caller is connected to
 * SPI.
 */
void
directory_unlink(const Diagram *local)
{
	Datum		values[2] = {local->key, (Datum) 0};

	/* In this order, so that what triggers edit meanwhile gets no base row. */
	(void) command_run(&set_link, STORAGE_LOCAL, values, " n",
					   COMMAND_EXEMPT | COMMAND_FRESH);
	directory_clear_bases(local->id);
}

/*
 * Note that a link has synced: when, and what it has seen ("seen" NULL: as
 * before), with its own revision (SEEN_OWN_NONE: weigh that again).  In any case
 * it lives here now: where what it has seen means nothing here, seen_on becomes
 * "-".  The caller holds the local row FOR NO KEY UPDATE at least and is connected
 * to SPI.
 */
void
directory_record_sync(const char *local, SyncKind kind, const Seen *seen,
					  uint64 own, int64 public_version)
{
	Datum		values[6];
	char		nulls[6] = {' ', ' ', ' ', ' ', ' ', ' '};
	uint64		edits = session_shared_edits();

	values[0] = CStringGetTextDatum(local);
	values[1] = CStringGetTextDatum(kind == SYNC_PUSH ? "push" :
									kind == SYNC_PULL ? "pull" : "compare");
	values[2] = PointerGetDatum(seen);
	nulls[2] = seen ? ' ' : 'n';
	values[3] = Int64GetDatum((int64) own);
	nulls[3] = own != SEEN_OWN_NONE ? ' ' : 'n';
	values[4] = CStringGetTextDatum(seen_here());
	values[5] = Int64GetDatum(public_version);
	nulls[5] = public_version != 0 ? ' ' : 'n';
	if (seen != NULL)
		session_note_sync();	/* before triggers on the directory fire */
	if (command_run(&record_sync, STORAGE_LOCAL, values, nulls,
					COMMAND_EXEMPT) != 1)
		elog(ERROR, "diagram \"%s\" is gone though it is locked", local);

	/*
	 * What a trigger of the directory has written at a far end before the row was
	 * updated has not found the revision there.
	 */
	if (own != SEEN_OWN_NONE && session_shared_edits() != edits)
		(void) command_run(&weigh_own, STORAGE_LOCAL, values, NULL,
						   COMMAND_EXEMPT);
}

/*
 * This transaction wrote a far end otherwise than by the own sync of these
 * links: whoever of them names it as seen_own must weigh what it wrote.  Such
 * rows can only be this transaction's own, so nothing is waited for.  "except"
 * (or NULL) is left as it is.  The caller is connected to SPI.
 */
void
directory_forget_own(const char *public, const char *except)
{
	Datum		values[3];

	if (!session_synced())
		return;
	values[0] = CStringGetTextDatum(public);
	values[1] = Int64GetDatum((int64) U64FromFullTransactionId(GetTopFullTransactionId()));
	values[2] = CStringGetTextDatum(except ? except : "");
	(void) command_run(&forget_own, STORAGE_LOCAL, values, NULL,
					   COMMAND_EXEMPT | COMMAND_FRESH);
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
