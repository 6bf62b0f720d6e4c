/*
 * prune.c
 *	  Tombstones that nobody needs are dropped: prune().
 *
 * A tombstone tells links that an entity was deleted since they last looked. So
 * it can go when every link of its diagram has seen its revision (a link that
 * compares in full needs none) and no transaction is left whose snapshot is
 * older: such a one could still clone the diagram as it was before.
 *
 * May call storage.c, seen.c, command.c and directory.c.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "command.h"
#include "directory.h"

PG_FUNCTION_INFO_V1(diagsync_prune);

static Command diagrams_with_tombstones =
COMMAND("SELECT DISTINCT diagram_id FROM %1$s.tombstone ORDER BY diagram_id",
		0, InvalidOid);

/* $2: the horizon, $3: what its links have seen */
#define DROPPABLE \
	" FROM %1$s.tombstone AS t WHERE t.diagram_id" EQ "$1" \
	" AND $2" GT "t.rev AND NOT EXISTS (SELECT FROM pg_catalog.unnest($3) AS s(seen)" \
	"  WHERE NOT pg_catalog.pg_visible_in_snapshot(" \
	"   t.rev::pg_catalog.text::pg_catalog.xid8, s.seen))"

static Command has_droppable =
COMMAND("SELECT" DROPPABLE " LIMIT 1",
		3, TEXTOID, INT8OID, PG_SNAPSHOTARRAYOID);

static Command drop_droppable =
COMMAND("DELETE" DROPPABLE,
		3, TEXTOID, INT8OID, PG_SNAPSHOTARRAYOID);

static Command clear_seen =
COMMAND("UPDATE diagsync.directory SET seen = NULL, seen_own = NULL, seen_on = NULL"
	" WHERE id" EQ "ANY ($1)",
		1, TEXTARRAYOID);

/* What the links of a shared diagram have seen */
typedef struct LinksSeen
{
	int			n;
	Datum	   *seen;			/* of those that do not compare in full */
	int			nidle;
	Datum	   *idle;			/* ids of those left out because they are idle */
} LinksSeen;

/*
 * The least revision that a snapshot still in use may not see.
 */
static uint64
horizon(StorageType storage)
{
	Relation	rel = storage_open(storage, TABLE_TOMBSTONE, AccessShareLock);
	TransactionId oldest = GetOldestNonRemovableTransactionId(rel);
	FullTransactionId next = ReadNextFullTransactionId();
	uint32		epoch = EpochFromFullTransactionId(next);

	table_close(rel, AccessShareLock);
	if (oldest > XidFromFullTransactionId(next))
		epoch--;
	return U64FromFullTransactionId(FullTransactionIdFromEpochAndXid(epoch, oldest));
}

/*
 * Ask or delete: the tombstones of a diagram that may go as far as these links
 * are concerned.
 */
static uint64
run_droppable(Command *command, const Diagram *public, const LinksSeen *links,
			  int flags)
{
	Datum		values[3];

	values[0] = public->key;
	values[1] = Int64GetDatum((int64) horizon(public->storage));
	values[2] = PointerGetDatum(construct_array(links->seen, links->n,
												PG_SNAPSHOTOID, -1, false,
												TYPALIGN_DOUBLE));
	return command_run(command, public->storage, values, NULL, flags);
}

/* Is the link idle since before that time? */
static bool
is_idle(const Diagram *local, TimestampTz since)
{
	return Max(local->last_pushed_at, local->last_pulled_at) < since;
}

/*
 * What the links of a shared diagram have seen, as it is now.  Links that have
 * been idle since before "since" are left out.
 */
static LinksSeen
read_links(const Diagram *public, TimestampTz since)
{
	List	   *ids = directory_links_of(public->id, NULL);
	LinksSeen	links = {0};
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ListCell   *lc;

	links.seen = palloc(Max(list_length(ids), 1) * sizeof(Datum));
	links.idle = palloc(Max(list_length(ids), 1) * sizeof(Datum));
	foreach(lc, ids)
	{
		Diagram    *local = directory_read(lfirst(lc), snapshot);

		if (local == NULL || !seen_is_valid(local->seen, local->seen_on))
			continue;
		if (is_idle(local, since))
			links.idle[links.nidle++] = local->key;
		else
			links.seen[links.n++] = PointerGetDatum(local->seen);
	}
	UnregisterSnapshot(snapshot);
	return links;
}

/*
 * Lock the links that are idle, so that none of them syncs meanwhile.
 */
static void
lock_idle_links(const Diagram *public, TimestampTz since)
{
	LinksSeen	links = read_links(public, since);

	for (int i = 0; i < links.nidle; i++)
		(void) directory_lock(TextDatumGetCString(links.idle[i]),
							  LockTupleNoKeyExclusive, LOCK_LATEST);
}

/*
 * Drop what nobody needs of one diagram.  Returns how many.
 */
static uint64
prune_diagram(const char *id, TimestampTz since)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Diagram    *public = directory_read(id, snapshot);
	LinksSeen	links;
	uint64		dropped;
	uint64		held_back;
	bool		idle_given = since != DT_NOBEGIN;

	UnregisterSnapshot(snapshot);
	if (public == NULL)
		return 0;

	/* Do not stand in the way of writers for nothing. */
	links = read_links(public, since);
	PushActiveSnapshot(GetLatestSnapshot());
	dropped = run_droppable(&has_droppable, public, &links, COMMAND_READ);
	PopActiveSnapshot();
	if (dropped == 0)
		return 0;

	if (idle_given)
		lock_idle_links(public, since);
	public = directory_lock(id, LockTupleExclusive, LOCK_LATEST);
	if (public == NULL || public->storage == STORAGE_LOCAL)
		return 0;

	/* A clone in flight held the row, so it is among the links now. */
	links = read_links(public, DT_NOBEGIN);
	dropped = run_droppable(&drop_droppable, public, &links,
							COMMAND_EXEMPT | COMMAND_FRESH);
	if (!idle_given)
		return dropped;

	links = read_links(public, since);
	if (links.nidle == 0)
		return dropped;
	held_back = run_droppable(&drop_droppable, public, &links,
							  COMMAND_EXEMPT | COMMAND_FRESH);
	if (held_back > 0)
	{
		Datum		values[1];

		values[0] = PointerGetDatum(construct_array(links.idle, links.nidle,
													TEXTOID, -1, false,
													TYPALIGN_INT));
		(void) command_run(&clear_seen, STORAGE_LOCAL, values, NULL,
						   COMMAND_EXEMPT | COMMAND_FRESH);
	}
	return dropped + held_back;
}

/* Ids of the diagrams with tombstones, palloc'd in the caller's context. */
static List *
list_diagrams(StorageType storage, MemoryContext context)
{
	List	   *ids = NIL;

	PushActiveSnapshot(GetLatestSnapshot());
	(void) command_run(&diagrams_with_tombstones, storage, NULL, NULL,
					   COMMAND_READ);
	PopActiveSnapshot();
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *id = SPI_getvalue(SPI_tuptable->vals[i],
									  SPI_tuptable->tupdesc, 1);
		MemoryContext caller = MemoryContextSwitchTo(context);

		ids = lappend(ids, pstrdup(id));
		MemoryContextSwitchTo(caller);
	}
	SPI_freetuptable(SPI_tuptable);
	return ids;
}

/*
 * diagsync.prune(idle)
 *
 * Locks each shared directory row that has something to drop FOR UPDATE: waits
 * for its writers and clones, and keeps new ones waiting until the transaction
 * ends.
 */
Datum
diagsync_prune(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TimestampTz since = DT_NOBEGIN;
	uint64		dropped = 0;

	if (!PG_ARGISNULL(0))
	{
		since = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
														TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()),
														PG_GETARG_DATUM(0)));
		if (since > GetCurrentTransactionStartTimestamp())
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the interval for diagsync.prune() must not be negative")));
	}

	SPI_connect();
	for (int storage = STORAGE_PUBLIC; storage <= STORAGE_PRIVATE; storage++)
	{
		ListCell   *lc;

		foreach(lc, list_diagrams((StorageType) storage, caller))
		{
			CHECK_FOR_INTERRUPTS();
			dropped += prune_diagram(lfirst(lc), since);
		}
	}
	SPI_finish();
	PG_RETURN_INT32((int32) Min(dropped, PG_INT32_MAX));
}
