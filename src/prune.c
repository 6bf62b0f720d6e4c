/*
 * prune.c
 *	  Tombstones that nobody needs are dropped, and old entries of the log of
 *	  syncs: prune().
 *
 * A tombstone tells links that an entity was deleted since they last looked. So
 * it can go when every link of its diagram has seen its revision (a link that
 * compares in full needs none) and no transaction is left whose snapshot is
 * older: such a one could still clone the diagram as it was before.  Readers who
 * keep marks instead of links are not waited for: the entry notes up to where
 * tombstones were dropped, and a mark from before that begins anew.
 *
 * May call storage.c, seen.c, command.c and directory.c.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "command.h"
#include "directory.h"
#include "function.h"
#include "session.h"
#include "synclog.h"

static Command diagrams_with_tombstones =
COMMAND("SELECT DISTINCT diagram_id FROM %1$s.tombstone ORDER BY diagram_id",
		0, InvalidOid);

/*
 * Tombstones that may go; $2: the horizon, $3 and $4: what the links have seen
 * and their own revisions.
 */
#define DROPPABLE \
	" FROM %1$s.tombstone AS t WHERE t.diagram_id" EQ "$1 AND $2" GT "t.rev" \
	" AND NOT EXISTS (SELECT FROM unnest($3, $4) AS s(seen, own) WHERE NOT" HAS_SEEN ")"

#define HAS_SEEN \
	" (pg_catalog.pg_visible_in_snapshot(" \
	"   t.rev::pg_catalog.text::pg_catalog.xid8, s.seen)" \
	"  OR COALESCE(t.rev" EQ "s.own, false))"

static Command has_droppable =
COMMAND("SELECT" DROPPABLE " LIMIT 1",
		4, TEXTOID, INT8OID, PG_SNAPSHOTARRAYOID, INT8ARRAYOID);

/* The tombstones go, and the diagram's readers are told up to where (mark.c). */
static Command drop_droppable =
COMMAND("WITH dropped AS (DELETE" DROPPABLE " RETURNING t.rev),"
		" noted AS (UPDATE diagsync.directory"
		"  SET feed_pruned = GREATEST(feed_pruned, d.rev)"
		"  FROM (SELECT pg_catalog.max(rev) AS rev FROM dropped) AS d"
		"  WHERE id" EQ "$1 AND d.rev IS NOT NULL)"
		" SELECT FROM dropped",
		4, TEXTOID, INT8OID, PG_SNAPSHOTARRAYOID, INT8ARRAYOID);

/* Of links $5 (with $6, what they have seen, and $7), those that hold back some */
static Command holding_back =
COMMAND("SELECT s.id FROM unnest($5, $6, $7) AS s(id, seen, own)"
		" WHERE EXISTS (SELECT" DROPPABLE " AND NOT" HAS_SEEN ")",
		7, TEXTOID, INT8OID, PG_SNAPSHOTARRAYOID, INT8ARRAYOID,
		TEXTARRAYOID, PG_SNAPSHOTARRAYOID, INT8ARRAYOID);

static Command clear_seen =
COMMAND("UPDATE diagsync.directory SET seen = NULL, seen_own = NULL, seen_on = NULL"
	" WHERE id" EQ "ANY ($1)",
		1, TEXTARRAYOID);

/* Links of a shared diagram that do not compare in full, as arrays in step */
typedef struct Links
{
	int			n;
	Datum	   *ids;
	Datum	   *seen;
	Datum	   *own;
} Links;

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

static Datum
to_array(Datum *values, int n, Oid type)
{
	int16		typlen;
	bool		typbyval;
	char		typalign;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_array(values, n, type, typlen, typbyval,
										   typalign));
}

/*
 * Ask or delete: the tombstones of a diagram that may go as far as "links" are
 * concerned; for holding_back, which of "idle" hold back some.
 */
static uint64
run_droppable(Command *command, const Diagram *public, const Links *links,
			  const Links *idle, int flags)
{
	Datum		values[7];

	values[0] = public->key;
	values[1] = Int64GetDatum((int64) horizon(public->storage));
	values[2] = to_array(links->seen, links->n, PG_SNAPSHOTOID);
	values[3] = to_array(links->own, links->n, INT8OID);
	if (idle != NULL)
	{
		values[4] = to_array(idle->ids, idle->n, TEXTOID);
		values[5] = to_array(idle->seen, idle->n, PG_SNAPSHOTOID);
		values[6] = to_array(idle->own, idle->n, INT8OID);
	}
	return command_run(command, public->storage, values, NULL, flags);
}

static void
links_add(Links *links, const Diagram *local)
{
	links->ids[links->n] = local->key;
	links->seen[links->n] = PointerGetDatum(local->seen);
	links->own[links->n] = Int64GetDatum((int64) local->seen_own);
	links->n++;
}

static void
links_init(Links *links, int max)
{
	links->n = 0;
	links->ids = palloc(Max(max, 1) * sizeof(Datum));
	links->seen = palloc(Max(max, 1) * sizeof(Datum));
	links->own = palloc(Max(max, 1) * sizeof(Datum));
}

/*
 * Read the links of a shared diagram as they are now; those that have not
 * synced since that time go into "idle".  One that has never synced was only
 * just linked, for all we know.
 */
static void
read_links(const Diagram *public, TimestampTz since, Links *links, Links *idle)
{
	List	   *ids = directory_links_of(public->id, NULL);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	ListCell   *lc;

	links_init(links, list_length(ids));
	links_init(idle, list_length(ids));
	foreach(lc, ids)
	{
		Diagram    *local = directory_read(lfirst(lc), snapshot);
		TimestampTz synced;

		if (local == NULL || !seen_is_valid(local->seen, local->seen_on))
			continue;
		synced = Max(local->last_pushed_at, local->last_pulled_at);
		links_add(synced != DT_NOBEGIN && synced < since ? idle : links, local);
	}
	UnregisterSnapshot(snapshot);
}

/*
 * Of the idle links, keep those that are locked; the others count like any link.
 */
static void
keep_locked(Links *links, Links *idle, const Links *locked)
{
	int			kept = 0;

	for (int i = 0; i < idle->n; i++)
	{
		Links	   *to = links;
		int			n;

		for (int j = 0; j < locked->n; j++)
		{
			if (DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID,
													 idle->ids[i],
													 locked->ids[j])))
				to = idle;
		}
		n = to == idle ? kept++ : to->n++;
		to->ids[n] = idle->ids[i];
		to->seen[n] = idle->seen[i];
		to->own[n] = idle->own[i];
	}
	idle->n = kept;
}

/*
 * Drop what only idle links hold back, and let those compare in full.
 */
static uint64
drop_held_back(const Diagram *public, const Links *links, const Links *idle)
{
	Datum	   *holding;
	Datum		values[1];
	int			n;

	PushActiveSnapshot(GetLatestSnapshot());
	n = (int) run_droppable(&holding_back, public, links, idle, COMMAND_READ);
	PopActiveSnapshot();
	if (n == 0)
		return 0;

	holding = palloc(n * sizeof(Datum));
	for (int i = 0; i < n; i++)
		holding[i] = CStringGetTextDatum(SPI_getvalue(SPI_tuptable->vals[i],
													  SPI_tuptable->tupdesc, 1));
	values[0] = to_array(holding, n, TEXTOID);
	(void) command_run(&clear_seen, STORAGE_LOCAL, values, NULL,
					   COMMAND_EXEMPT | COMMAND_FRESH);
	return run_droppable(&drop_droppable, public, links, NULL,
						 COMMAND_EXEMPT | COMMAND_FRESH);
}

/*
 * Drop what nobody needs of one diagram.  Returns how many.
 */
static uint64
prune_diagram(const char *id, TimestampTz since)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	Diagram    *public = directory_read(id, snapshot);
	Links		links;
	Links		idle;
	Links		idle_before;
	uint64		droppable;
	uint64		dropped;

	UnregisterSnapshot(snapshot);
	if (public == NULL)
		return 0;

	/* Do not stand in the way of writers for nothing. */
	read_links(public, since, &links, &idle);
	PushActiveSnapshot(GetLatestSnapshot());
	droppable = run_droppable(&has_droppable, public, &links, NULL, COMMAND_READ);
	PopActiveSnapshot();
	if (droppable == 0)
		return 0;

	/* The links that may be cleared must not sync meanwhile. */
	idle_before = idle;
	for (int i = 0; i < idle.n; i++)
		(void) directory_lock(TextDatumGetCString(idle.ids[i]),
							  LockTupleNoKeyExclusive, LOCK_LATEST);
	public = directory_lock(id, LockTupleExclusive, LOCK_LATEST);
	if (public == NULL || public->storage == STORAGE_LOCAL)
		return 0;

	/* A clone in flight held the row, so it is among the links now. */
	read_links(public, DT_NOBEGIN, &links, &idle);
	dropped = run_droppable(&drop_droppable, public, &links, NULL,
							COMMAND_EXEMPT | COMMAND_FRESH);
	if (idle_before.n > 0)
	{
		read_links(public, since, &links, &idle);
		keep_locked(&links, &idle, &idle_before);
		dropped += drop_held_back(public, &links, &idle);
	}
	return dropped;
}

/*
 * diagsync.prune(idle)
 *
 * Locks each shared directory row that has something to drop FOR UPDATE: waits
 * for its writers and clones, and keeps new ones waiting until the transaction
 * ends.
 */
DIAGSYNC_FUNCTION(diagsync_prune)
{
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

	session_check_may_write("prune", NULL, NULL);
	SPI_connect();
	for (int storage = STORAGE_PUBLIC; storage <= STORAGE_PRIVATE; storage++)
	{
		ListCell   *lc;

		foreach(lc, command_list(&diagrams_with_tombstones,
								 (StorageType) storage, NULL,
								 GetLatestSnapshot()))
		{
			CHECK_FOR_INTERRUPTS();
			dropped += prune_diagram(lfirst(lc), since);
		}
	}
	synclog_prune();
	SPI_finish();
	PG_RETURN_INT32((int32) Min(dropped, PG_INT32_MAX));
}
