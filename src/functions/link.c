/*
 * link.c
 *	  Links made and ended: share(), clone(), link(), unlink().
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "directory/directory.h"
#include "directory/quota.h"
#include "directory/ratelimit.h"
#include "directory/synclog.h"
#include "server/progress.h"
#include "server/sqlfunction.h"
#include "server/textarg.h"
#include "statement/ownersql.h"
#include "statement/rowwriter.h"
#include "statement/statement.h"
#include "tracking/fullcompare.h"

static OwnerSql copy_to_shared =
OWNER_SQL_INSERTING(2, 0,
					"INSERT INTO %1$s.entity (diagram_id, id, doc, rev, modified_at, modified_by)"
					" SELECT $2, id, doc, $3, modified_at, modified_by"
					" FROM diagsync_local.entity WHERE diagram_id" EQ "$1",
					3, TEXTOID, TEXTOID, INT8OID);

static OwnerSql copy_to_local =
OWNER_SQL_INSERTING(1, 0,
					"INSERT INTO diagsync_local.entity (diagram_id, id, doc, rev, modified_at, modified_by)"
					" SELECT $1, id, doc, $3, modified_at, modified_by"
					" FROM %1$s.entity WHERE diagram_id" EQ "$2",
					3, TEXTOID, TEXTOID, INT8OID);

/*
 * Copy all entities of a diagram, as the active snapshot shows them, to
 * another that has none, with that revision.  The caller is connected to SPI.
 * Returns how many.
 */
static uint64
copy_entities(const Diagram *from, const Diagram *to, int64 rev)
{
	RowWriter	writer;
	Probe		probe;
	uint64		n = 0;

	probe_open(&probe, from->storage, TABLE_ENTITY, AccessShareLock);
	probe_begin(&probe, GetActiveSnapshot());
	progress_begin(from->storage == STORAGE_LOCAL ? PROGRESS_SHARE :
				   PROGRESS_CLONE);
	progress_phase(PROGRESS_WRITING, PROGRESS_TOTAL_UNKNOWN);
	rowwriter_open(&writer, to->storage, TABLE_ENTITY, CMD_INSERT);
	while (probe_next(&probe, from->key))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(probe.slot);
		probe.slot->tts_values[Anum_entity_diagram_id - 1] = to->key;
		probe.slot->tts_values[Anum_entity_rev - 1] = Int64GetDatum(rev);
		rowwriter_insert(&writer, probe.slot->tts_values,
						 probe.slot->tts_isnull);
		if (++n % ROWWRITER_BUFFERED == 0)
			progress_done(n);
	}
	rowwriter_close(&writer);
	probe_close(&probe);
	progress_end();
	return n;
}

/*
 * A copy made under a snapshot older than the lock on its diagram would miss
 * what was written in between, and nobody would know.
 */
static void
check_isolation(const char *function, const char *diagram)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("diagsync.%s() for diagram \"%s\" cannot run at isolation level REPEATABLE READ or SERIALIZABLE",
						function, diagram),
				 errhint("Call it in a transaction at READ COMMITTED.")));
}

/*
 * Lock a local diagram of the caller's FOR UPDATE.
 */
static Diagram *
lock_local(const char *id)
{
	Diagram    *local;

	/* A shared one is not to be locked by whoever takes it for a local one. */
	directory_need_local(directory_see(id, ACCESS_READER,
									   GetLatestSnapshot()));
	local = directory_lock_seen(id, ACCESS_READER, LockTupleExclusive,
								LOCK_LATEST);
	directory_need_local(local);
	return local;
}

static Diagram *
lock_unlinked(const char *id)
{
	Diagram    *local = lock_local(id);

	if (local->public_copy_id != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("diagram \"%s\" is already linked", id),
				 errdetail("It is linked to \"%s\".", local->public_copy_id),
				 errhint("Push to it with diagsync.push(), or unlink it first with diagsync.unlink().")));
	return local;
}

static uint64
own_revision(void)
{
	return U64FromFullTransactionId(GetTopFullTransactionId());
}

/* What is visible now, with this transaction's writes as the link's own. */
static Seen *
see_now(void)
{
	Seen	   *seen;

	PushActiveSnapshot(GetTransactionSnapshot());
	seen = seen_now(own_revision());
	PopActiveSnapshot();
	return seen;
}

/*
 * Read both copies of a link that was just made.  What an older snapshot is
 * recorded as seen is classified once too often, never too rarely, so that may
 * have been taken before the copy.
 */
static Link *
new_link(const char *local, const char *public)
{
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	Link	   *link = directory_read_link(local, public, ACCESS_READER,
										   snapshot);

	UnregisterSnapshot(snapshot);
	return link;
}

static void
record_link(const Link *link, SyncKind kind, const Seen *seen,
			bool classify_own)
{
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	int64		version = directory_public_version(link->public, snapshot);

	UnregisterSnapshot(snapshot);
	directory_record_sync(link->local->id, kind, seen,
						  classify_own ? SEEN_OWN_NONE : own_revision(),
						  version);
}

/*
 * A call has done its work: check that the copy it made (or NULL) is not too
 * large, and log it.
 */
static void
end_call(SyncLogEntry *entry, const char *public, const Diagram *copy)
{
	if (copy != NULL && quota_applies())
	{
		quota_check_entities(copy, entry->inserted);

		/*
		 * How large it is, was known where it was copied from: it is counted.
		 */
		quota_check_bytes(copy, PG_INT64_MAX);
	}
	entry->public = public;
	synclog_write(entry);
}

/*
 * diagsync.share(local, public, storage_type)
 *
 * Locks the local directory row FOR UPDATE: writers of the local diagram wait
 * until the link is there, and then note their bases.  No local entity is
 * written.
 */
DIAGSYNC_FUNCTION(diagsync_share)
{
	char	   *local_id = directory_name_arg(PG_GETARG_DATUM(0),
											  PG_ARGISNULL(0), "local");
	char	   *public_id = PG_ARGISNULL(1) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *storage_type;
	StorageType storage;
	Diagram    *local;
	Link	   *link;
	Seen	   *seen;
	uint64		edits = statement_shared_edits();
	SyncLogEntry entry;
	bool		triggers;
	Datum		values[3];
	MemoryContext caller = CurrentMemoryContext;

	statement_check_may_write("share", local_id, NULL);
	check_isolation("share", local_id);
	directory_refuse_null(PG_ARGISNULL(2), "storage_type", local_id);
	storage_type = textarg_get(PG_GETARG_DATUM(2), "storage_type", local_id,
							   MAX_WORD);
	if (!storage_parse(storage_type, &storage) || storage == STORAGE_LOCAL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a shared copy of diagram \"%s\" cannot have storage type \"%s\"",
						local_id, storage_type),
				 errhint("It is public or private.")));

	ratelimit_charge("share");
	synclog_begin(&entry, "share", local_id);
	SPI_connect();
	local = lock_unlinked(local_id);
	quota_check_diagrams();
	ratelimit_charge_creation();
	public_id = directory_insert(public_id, local->name, local->description,
								 storage_name(storage), local->merge_policy);
	directory_link(local_id, public_id);
	link = new_link(local_id, public_id);
	seen = see_now();

	if (rowwriter_suits(storage, TABLE_ENTITY))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		entry.inserted = copy_entities(link->local, link->public,
									   (int64) own_revision());
		PopActiveSnapshot();
	}
	else
	{
		values[0] = link->local->key;
		values[1] = link->public->key;
		values[2] = Int64GetDatum((int64) own_revision());
		entry.inserted = ownersql_run(&copy_to_shared, storage, values, NULL,
									  OWNER_SQL_EXEMPT);
	}

	/*
	 * What a trigger stored instead is a public change; what it kept out is
	 * still to be pushed.
	 */
	triggers = compare_may_be_altered(storage);
	if (triggers)
		compare_note_missing(link, 0);
	record_link(link, SYNC_PUSH, seen,
				triggers || statement_shared_edits() != edits);
	end_call(&entry, public_id, link->public);
	public_id = MemoryContextStrdup(caller, public_id);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(public_id));
}

/*
 * diagsync.clone(public, local, name)
 *
 * Holds the shared directory row FOR KEY SHARE to the end of the transaction,
 * so that prune() does not drop tombstones that the new link will need.
 */
DIAGSYNC_FUNCTION(diagsync_clone)
{
	char	   *public_id = directory_name_arg(PG_GETARG_DATUM(0),
											   PG_ARGISNULL(0), "public");
	char	   *local_id = PG_ARGISNULL(1) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *name = PG_ARGISNULL(2) ? NULL :
		textarg_get(PG_GETARG_DATUM(2), "name", public_id, MAX_NAME);
	Diagram    *public;
	Link	   *link;
	Seen	   *seen;
	uint64		edits = statement_shared_edits();
	SyncLogEntry entry;
	Datum		values[3];
	MemoryContext caller = CurrentMemoryContext;

	statement_check_may_write("clone", public_id, NULL);
	ratelimit_charge("clone");
	synclog_begin(&entry, "clone", NULL);
	SPI_connect();
	public = directory_lock_seen(public_id, ACCESS_READER, LockTupleKeyShare,
								 LOCK_AS_TRANSACTION);
	directory_need_shared(public);
	quota_check_diagrams();
	ratelimit_charge_creation();
	local_id = directory_insert(local_id, name ? name : public->name,
								public->description,
								storage_name(STORAGE_LOCAL),
								public->merge_policy);
	directory_link(local_id, public_id);
	link = new_link(local_id, public_id);

	/* All that is read of the shared copy is read under one snapshot. */
	PushActiveSnapshot(GetTransactionSnapshot());
	seen = seen_now(own_revision());
	entry.local = local_id;
	if (rowwriter_suits(STORAGE_LOCAL, TABLE_ENTITY))
		entry.inserted = copy_entities(link->public, link->local,
									   (int64) own_revision());
	else
	{
		values[0] = link->local->key;
		values[1] = link->public->key;
		values[2] = Int64GetDatum((int64) own_revision());
		entry.inserted = ownersql_run(&copy_to_local, public->storage, values,
									  NULL,
									  OWNER_SQL_EXEMPT | OWNER_SQL_ACTIVE);
	}

	/*
	 * What a trigger stored instead is a local change; what it kept out is
	 * still to be pulled.
	 */
	if (compare_may_be_altered(STORAGE_LOCAL))
	{
		compare_note_missing(link, OWNER_SQL_ACTIVE);
		compare_note_differing(link, COMPARE_PUBLIC_BASE, OWNER_SQL_ACTIVE);
	}
	PopActiveSnapshot();
	record_link(link, SYNC_PULL, seen, statement_shared_edits() != edits);
	end_call(&entry, public_id, link->local);
	local_id = MemoryContextStrdup(caller, local_id);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(local_id));
}

/*
 * diagsync.link(local, public)
 *
 * Locks the local directory row FOR UPDATE, the shared one FOR KEY SHARE.
 */
DIAGSYNC_FUNCTION(diagsync_link)
{
	char	   *local_id = directory_name_arg(PG_GETARG_DATUM(0),
											  PG_ARGISNULL(0), "local");
	char	   *public_id;
	Link	   *link;
	Seen	   *seen;
	SyncLogEntry entry;

	directory_refuse_null(PG_ARGISNULL(1), "public", local_id);
	public_id = textarg_get(PG_GETARG_DATUM(1), "public", local_id,
							MAX_DIAGRAM_ID);
	statement_check_may_write("link", local_id, NULL);
	check_isolation("link", local_id);
	ratelimit_charge("link");
	synclog_begin(&entry, "link", local_id);
	SPI_connect();
	(void) lock_unlinked(local_id);
	directory_need_shared(directory_lock_seen(public_id, ACCESS_READER,
											  LockTupleKeyShare,
											  LOCK_AS_TRANSACTION));
	directory_link(local_id, public_id);
	link = new_link(local_id, public_id);
	seen = see_now();
	compare_note_differing(link, COMPARE_NO_BASE, 0);
	record_link(link, SYNC_COMPARE, seen, false);
	end_call(&entry, public_id, NULL);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * diagsync.unlink(local)
 *
 * Locks the local directory row FOR UPDATE.
 */
DIAGSYNC_FUNCTION(diagsync_unlink)
{
	char	   *local_id = directory_name_arg(PG_GETARG_DATUM(0),
											  PG_ARGISNULL(0), "local");
	Diagram    *local;

	statement_check_may_write("unlink", local_id, NULL);
	SPI_connect();
	local = lock_local(local_id);
	if (local->public_copy_id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("diagram \"%s\" is not linked to a shared one", local_id)));
	directory_unlink(local);
	SPI_finish();
	PG_RETURN_VOID();
}
