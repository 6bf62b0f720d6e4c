/*
 * link.c
 *	  Links made and ended: share(), clone(), link(), unlink().
 *
 * May call compare.c and what is below it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "command.h"
#include "compare.h"
#include "directory.h"
#include "session.h"

PG_FUNCTION_INFO_V1(diagsync_share);
PG_FUNCTION_INFO_V1(diagsync_clone);
PG_FUNCTION_INFO_V1(diagsync_link);
PG_FUNCTION_INFO_V1(diagsync_unlink);

static Command copy_to_shared =
COMMAND("INSERT INTO %1$s.entity (diagram_id, id, doc, rev, modified_at, modified_by)"
	" SELECT $2, id, doc, $3, modified_at, modified_by"
	" FROM diagsync_local.entity WHERE diagram_id" EQ "$1",
		3, TEXTOID, TEXTOID, INT8OID);

static Command copy_to_local =
COMMAND("INSERT INTO diagsync_local.entity (diagram_id, id, doc, rev, modified_at, modified_by)"
	" SELECT $1, id, doc, $3, modified_at, modified_by"
	" FROM %1$s.entity WHERE diagram_id" EQ "$2",
		3, TEXTOID, TEXTOID, INT8OID);

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

static Diagram *
lock_unlinked(const char *id)
{
	Diagram    *local = directory_need(directory_lock(id, LockTupleExclusive,
													  LOCK_LATEST), id);

	directory_need_local(local);
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
 * Read both ends of a link that was just made.  What an older snapshot is
 * recorded as seen is weighed once too often, never too rarely, so that may
 * have been taken before the copy.
 */
static Link *
new_link(const char *local, const char *public)
{
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	Link	   *link = directory_read_link(local, public, snapshot);

	UnregisterSnapshot(snapshot);
	return link;
}

static void
record_link(const Link *link, SyncKind kind, const Seen *seen, bool weigh_own)
{
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	int64		version = directory_public_version(link->public, snapshot);

	UnregisterSnapshot(snapshot);
	directory_record_sync(link->local->id, kind, seen,
						  weigh_own ? SEEN_OWN_NONE : own_revision(), version);
}

/*
 * diagsync.share(local, public, storage_type)
 *
 * Locks the local directory row FOR UPDATE: writers of the local diagram wait
 * until the link is there, and then note their bases.  No local entity is
 * written.
 */
Datum
diagsync_share(PG_FUNCTION_ARGS)
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
	uint64		edits = session_shared_edits();
	bool		triggers;
	Datum		values[3];
	MemoryContext caller = CurrentMemoryContext;

	session_check_may_write("share", local_id, NULL);
	check_isolation("share", local_id);
	directory_refuse_null(PG_ARGISNULL(2), "storage_type", local_id);
	storage_type = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (!storage_parse(storage_type, &storage) || storage == STORAGE_LOCAL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a shared copy of diagram \"%s\" cannot have storage type \"%s\"",
						local_id, storage_type),
				 errhint("It is public or private.")));

	SPI_connect();
	local = lock_unlinked(local_id);
	public_id = directory_insert(public_id, local->name, local->description,
								 storage_name(storage), local->merge_policy);
	directory_link(local_id, public_id);
	link = new_link(local_id, public_id);
	seen = see_now();

	values[0] = link->local->key;
	values[1] = link->public->key;
	values[2] = Int64GetDatum((int64) own_revision());
	(void) command_run(&copy_to_shared, storage, values, NULL,
					   COMMAND_EXEMPT | COMMAND_ENTITIES);

	/* What a trigger stored instead is a public change; what it kept out is
	 * still to be pushed. */
	triggers = compare_has_application_triggers(storage);
	if (triggers)
		compare_note_missing(link, 0);
	record_link(link, SYNC_PUSH, seen,
				triggers || session_shared_edits() != edits);
	public_id = MemoryContextStrdup(caller, public_id);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(public_id));
}

/*
 * diagsync.clone(public, local, name)
 *
 * Holds the shared directory row FOR KEY SHARE to the end of the transaction, so
 * that prune() does not drop tombstones that the new link will need.
 */
Datum
diagsync_clone(PG_FUNCTION_ARGS)
{
	char	   *public_id = directory_name_arg(PG_GETARG_DATUM(0),
											   PG_ARGISNULL(0), "public");
	char	   *local_id = PG_ARGISNULL(1) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *name = PG_ARGISNULL(2) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(2));
	Diagram    *public;
	Link	   *link;
	Seen	   *seen;
	uint64		edits = session_shared_edits();
	Datum		values[3];
	MemoryContext caller = CurrentMemoryContext;

	session_check_may_write("clone", public_id, NULL);
	SPI_connect();
	public = directory_need(directory_lock(public_id, LockTupleKeyShare,
										   LOCK_AS_TRANSACTION), public_id);
	directory_need_shared(public);
	local_id = directory_insert(local_id, name ? name : public->name,
								public->description,
								storage_name(STORAGE_LOCAL),
								public->merge_policy);
	directory_link(local_id, public_id);
	link = new_link(local_id, public_id);

	/* All that is read of the far end is read under one snapshot. */
	PushActiveSnapshot(GetTransactionSnapshot());
	seen = seen_now(own_revision());
	values[0] = link->local->key;
	values[1] = link->public->key;
	values[2] = Int64GetDatum((int64) own_revision());
	(void) command_run(&copy_to_local, public->storage, values, NULL,
					   COMMAND_EXEMPT | COMMAND_ENTITIES | COMMAND_ACTIVE);

	/* What a trigger stored instead is a local change; what it kept out is
	 * still to be pulled. */
	if (compare_has_application_triggers(STORAGE_LOCAL))
	{
		compare_note_missing(link, COMMAND_ACTIVE);
		compare_note_differing(link, COMPARE_PUBLIC_BASE, COMMAND_ACTIVE);
	}
	PopActiveSnapshot();
	record_link(link, SYNC_PULL, seen, session_shared_edits() != edits);
	local_id = MemoryContextStrdup(caller, local_id);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(local_id));
}

/*
 * diagsync.link(local, public)
 *
 * Locks the local directory row FOR UPDATE, the shared one FOR KEY SHARE.
 */
Datum
diagsync_link(PG_FUNCTION_ARGS)
{
	char	   *local_id = directory_name_arg(PG_GETARG_DATUM(0),
											  PG_ARGISNULL(0), "local");
	char	   *public_id;
	Link	   *link;
	Seen	   *seen;

	directory_refuse_null(PG_ARGISNULL(1), "public", local_id);
	public_id = text_to_cstring(PG_GETARG_TEXT_PP(1));
	session_check_may_write("link", local_id, NULL);
	check_isolation("link", local_id);
	SPI_connect();
	(void) lock_unlinked(local_id);
	directory_need_shared(directory_need(directory_lock(public_id,
														LockTupleKeyShare,
														LOCK_AS_TRANSACTION),
										 public_id));
	directory_link(local_id, public_id);
	link = new_link(local_id, public_id);
	seen = see_now();
	compare_note_differing(link, COMPARE_NO_BASE, 0);
	record_link(link, SYNC_COMPARE, seen, false);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * diagsync.unlink(local)
 *
 * Locks the local directory row FOR UPDATE.
 */
Datum
diagsync_unlink(PG_FUNCTION_ARGS)
{
	char	   *local_id = directory_name_arg(PG_GETARG_DATUM(0),
											  PG_ARGISNULL(0), "local");
	Diagram    *local;

	session_check_may_write("unlink", local_id, NULL);
	SPI_connect();
	local = directory_need(directory_lock(local_id, LockTupleExclusive,
										  LOCK_LATEST), local_id);
	directory_need_local(local);
	if (local->public_copy_id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("diagram \"%s\" is not linked to a shared one", local_id)));
	directory_unlink(local);
	SPI_finish();
	PG_RETURN_VOID();
}
