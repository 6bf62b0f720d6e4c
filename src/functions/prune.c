/*
 * prune.c
 *	  Tombstones that nobody needs are dropped, and old entries of the log of
 *	  syncs: prune().
 *
 * A tombstone tells links that an entity was deleted since they last looked.
 * So it can go when every link of its diagram has seen its revision and no
 * transaction is left whose snapshot is older: such a one could still clone
 * the diagram as it was before.  Readers who keep marks instead of links are
 * not waited for: the entry notes up to where tombstones were dropped, and a
 * mark from before that begins anew.
 *
 * Only one diagram is in memory at a time, with what its links have seen.
 *
 * A link that compares in full because it was restored needs all of them: a
 * shared row that is missing without a tombstone is not deleted to it.  To one
 * that has no "seen" at all it is: that is how a link is marked for which
 * tombstones were dropped that it had not seen.
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
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "directory/directory.h"
#include "directory/linkwalk.h"
#include "directory/rolenote.h"
#include "directory/synclog.h"
#include "server/sqlfunction.h"
#include "statement/ownersql.h"
#include "statement/statement.h"

static OwnerSql diagrams_with_tombstones =
OWNER_SQL("SELECT DISTINCT diagram_id FROM %1$s.tombstone WHERE diagram_id" GT "$1"
		  " ORDER BY diagram_id LIMIT " LISTED_DIAGRAMS,
		  1, TEXTOID);

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

static OwnerSql has_droppable =
OWNER_SQL("SELECT" DROPPABLE " LIMIT 1",
		  4, TEXTOID, INT8OID, PG_SNAPSHOTARRAYOID, INT8ARRAYOID);

/*
 * The tombstones go, and the diagram's readers are told up to where (mark.c).
 */
static OwnerSql drop_droppable =
OWNER_SQL("WITH dropped AS (DELETE" DROPPABLE " RETURNING t.rev),"
		  " noted AS (UPDATE diagsync.directory"
		  "  SET feed_pruned = GREATEST(feed_pruned, d.rev)"
		  "  FROM (SELECT pg_catalog.max(rev) AS rev FROM dropped) AS d"
		  "  WHERE id" EQ "$1 AND d.rev IS NOT NULL)"
		  " SELECT FROM dropped",
		  4, TEXTOID, INT8OID, PG_SNAPSHOTARRAYOID, INT8ARRAYOID);

/*
 * Of links $5 (with $6, what they have seen, and $7), those that hold back
 * some
 */
static OwnerSql holding_back =
OWNER_SQL("SELECT s.id FROM unnest($5, $6, $7) AS s(id, seen, own)"
		  " WHERE EXISTS (SELECT" DROPPABLE " AND NOT" HAS_SEEN ")",
		  7, TEXTOID, INT8OID, PG_SNAPSHOTARRAYOID, INT8ARRAYOID,
		  TEXTARRAYOID, PG_SNAPSHOTARRAYOID, INT8ARRAYOID);

static OwnerSql clear_seen =
OWNER_SQL("UPDATE diagsync.directory SET seen = NULL, seen_own = NULL"
		  " WHERE id" EQ "ANY ($1)",
		  1, TEXTARRAYOID);

/* Links of a shared diagram that need tombstones, as arrays in step */
typedef struct Links
{
	int			n;
	int			max;
	Datum	   *ids;
	Datum	   *seen;
	Datum	   *own;
} Links;

/* Where the links of a shared diagram go that are being read */
typedef struct Reading
{
	Links	   *links;
	Links	   *idle;			/* those that have looked at nothing since */
	TimestampTz since;
	MemoryContext context;
} Reading;

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
	return U64FromFullTransactionId(FullTransactionIdFromEpochAndXid(epoch,
																	 oldest));
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
run_droppable(OwnerSql *command, const Diagram *public, const Links *links,
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
	return ownersql_run(command, public->storage, values, NULL, flags);
}

static void
links_add(Links *links, const Diagram *local)
{
	Size		seen_size = VARSIZE(local->seen);
	Seen	   *seen = palloc(seen_size);

	if (links->n == links->max)
	{
		links->max *= 2;
		links->ids = repalloc(links->ids, links->max * sizeof(Datum));
		links->seen = repalloc(links->seen, links->max * sizeof(Datum));
		links->own = repalloc(links->own, links->max * sizeof(Datum));
	}
	memcpy(seen, local->seen, seen_size);
	links->ids[links->n] = CStringGetTextDatum(local->id);
	links->seen[links->n] = PointerGetDatum(seen);
	links->own[links->n] = Int64GetDatum((int64) local->seen_own);
	links->n++;
}

static void
links_init(Links *links)
{
	links->n = 0;
	links->max = 8;
	links->ids = palloc(links->max * sizeof(Datum));
	links->seen = palloc(links->max * sizeof(Datum));
	links->own = palloc(links->max * sizeof(Datum));
}

static bool
read_link(const Diagram *local, void *arg)
{
	Reading    *reading = arg;

	if (local->seen != NULL)
	{
		MemoryContext visited = MemoryContextSwitchTo(reading->context);
		Diagram		link = *local;

		if (!seen_is_valid(local->seen, local->seen_on))
		{
			link.seen = seen_nothing();
			link.seen_own = SEEN_OWN_NONE;
		}
		links_add(local->seen_at != DT_NOBEGIN && local->seen_at < reading->since ?
				  reading->idle : reading->links, &link);
		MemoryContextSwitchTo(visited);
	}
	return true;
}

/*
 * Read the links of a shared diagram as they are now; those whose "seen" has
 * not moved since that time go into "idle".  (A sync of chosen entities, or a
 * push that leaves public changes, does not move it.)
 */
static void
read_links(const Diagram *public, TimestampTz since, Links *links, Links *idle)
{
	Reading		reading = {links, idle, since, CurrentMemoryContext};
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());

	links_init(links);
	links_init(idle);
	linkwalk(public->id, snapshot, read_link, &reading);
	UnregisterSnapshot(snapshot);
}

static bool
is_among(const Links *links, Datum id)
{
	for (int i = 0; i < links->n; i++)
	{
		if (DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, id,
												 links->ids[i])))
			return true;
	}
	return false;
}

/*
 * Of the idle links, keep those that are locked; the others count like any
 * link.
 */
static void
keep_locked(Links *links, Links *idle, const Links *locked)
{
	int			kept = 0;

	for (int i = 0; i < idle->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (is_among(locked, idle->ids[i]))
		{
			idle->ids[kept] = idle->ids[i];
			idle->seen[kept] = idle->seen[i];
			idle->own[kept] = idle->own[i];
			kept++;
		}
		else
		{
			Diagram		local = {0};

			local.id = TextDatumGetCString(idle->ids[i]);
			local.seen = (Seen *) DatumGetPointer(idle->seen[i]);
			local.seen_own = (uint64) DatumGetInt64(idle->own[i]);
			links_add(links, &local);
		}
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
	n = (int) run_droppable(&holding_back, public, links, idle,
							OWNER_SQL_READ);
	PopActiveSnapshot();
	if (n == 0)
		return 0;

	holding = palloc(n * sizeof(Datum));
	for (int i = 0; i < n; i++)
		holding[i] = CStringGetTextDatum(SPI_getvalue(SPI_tuptable->vals[i],
													  SPI_tuptable->tupdesc,
													  1));
	values[0] = to_array(holding, n, TEXTOID);
	(void) ownersql_run(&clear_seen, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
	return run_droppable(&drop_droppable, public, links, NULL,
						 OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
}

static void
lock_links(const Links *links)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "diagsync locked link",
												  ALLOCSET_SMALL_SIZES);

	MemoryContextSwitchTo(context);
	for (int i = 0; i < links->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		(void) directory_lock(TextDatumGetCString(links->ids[i]),
							  LockTupleNoKeyExclusive, LOCK_LATEST);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/*
 * Lock a shared diagram alone, if nobody uses it.  A sync that has just ended,
 * whose link we have waited for, gives its locks back one after the other: so
 * it is tried again for a moment.
 */
static bool
lock_if_free(const char *id, bool waited, Diagram **public)
{
	for (int tries = waited ? 10 : 1; tries > 0; tries--)
	{
		CHECK_FOR_INTERRUPTS();
		if (directory_lock_if_free(id, public))
			return true;
		if (tries > 1)
			pg_usleep(1000L);
	}
	return false;
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
	droppable = run_droppable(&has_droppable, public, &links, NULL,
							  OWNER_SQL_READ);
	PopActiveSnapshot();
	if (droppable == 0)
		return 0;

	/* The links that may be cleared must not sync meanwhile. */
	idle_before = idle;
	lock_links(&idle);
	if (!lock_if_free(id, idle.n > 0, &public) || public == NULL ||
		public->storage == STORAGE_LOCAL)
		return 0;

	/* A clone in flight held the row, so it is among the links now. */
	read_links(public, DT_NOBEGIN, &links, &idle);
	dropped = run_droppable(&drop_droppable, public, &links, NULL,
							OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
	if (idle_before.n > 0)
	{
		read_links(public, since, &links, &idle);
		keep_locked(&links, &idle, &idle_before);
		dropped += drop_held_back(public, &links, &idle);
	}
	return dropped;
}

/*
 * Drop what nobody needs of the shared diagrams of a storage type.  Returns
 * how many.
 */
static uint64
prune_storage(StorageType storage, TimestampTz since)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(caller, "diagsync prune",
												ALLOCSET_DEFAULT_SIZES);
	const char *after = "";
	uint64		dropped = 0;
	List	   *ids;

	do
	{
		Datum		values[1] = {CStringGetTextDatum(after)};
		ListCell   *lc;

		MemoryContextReset(batch);
		MemoryContextSwitchTo(batch);
		ids = ownersql_list(&diagrams_with_tombstones, storage, values,
							GetLatestSnapshot());
		foreach(lc, ids)
		{
			CHECK_FOR_INTERRUPTS();
			SPI_connect();		/* forgets what it leaves */
			dropped += prune_diagram(lfirst(lc), since);
			SPI_finish();
		}
		MemoryContextSwitchTo(caller);
		if (ids != NIL)
			after = pstrdup(llast(ids));
	} while (ids != NIL);
	MemoryContextDelete(batch);
	return dropped;
}

/*
 * diagsync.prune(idle)
 *
 * Locks each shared diagram that has something to drop alone, and its row FOR
 * UPDATE: new writers, syncs and clones wait until the transaction ends.  One
 * that somebody writes, syncs or clones just then is left to the next time.
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

	statement_check_may_write("prune", NULL, NULL);
	SPI_connect();
	for (int storage = STORAGE_PUBLIC; storage <= STORAGE_PRIVATE; storage++)
		dropped += prune_storage((StorageType) storage, since);
	synclog_prune();
	rolenote_all();
	SPI_finish();
	PG_RETURN_INT32((int32) Min(dropped, PG_INT32_MAX));
}
