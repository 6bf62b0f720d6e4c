/*
 * candidate.c
 *	  The entities of a link that have to be classified: those with a base row,
 *	  and those that the shared copy wrote or deleted since the link last
 *	  looked.
 *
 * The latter are found by revision: what was not visible to the recorded
 * snapshot has a revision from its xmax on (one index range), or one of those
 * that were in progress (a probe each, or one range from the lowest where that
 * is cheaper).  Where nothing valid was recorded, both copies are compared in
 * full.
 *
 * Direct index scans: after a share all revisions are equal, and the planner
 * would read the whole table.  The ids go through a tuplesort, which spills to
 * disk beyond work_mem.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "server/compat.h"
#include "tracking/candidate.h"
#include "tracking/fullcompare.h"

#define REV(fxid) U64FromFullTransactionId(fxid)
#define REV_MAX ((uint64) PG_INT64_MAX)

/* How many ids are fetched at once when comparing in full */
#define FETCH_COUNT 1000

/*
 * Index entries that one range over the revisions in progress may pass over
 * in vain for each probe that it saves, before probes take over.
 */
#define MISSES_PER_PROBE 8

/* The shared rows or tombstones of a diagram, by revision */
typedef struct RevScan
{
	Relation	heap;
	Relation	index;
	TupleTableSlot *slot;
	IndexScanDesc scan;
	int			id_attno;
	bool		entities;		/* not tombstones */
	Datum		diagram;
	Candidates *candidates;
} RevScan;

static void
begin_sort(Candidates *candidates)
{
	MemoryContext caller = MemoryContextSwitchTo(candidates->context);
	AttrNumber	column = 1;
	Oid			operator = TextLessOperator;
	Oid			collation = C_COLLATION_OID;
	bool		nulls_first = false;
	TupleDesc	tupdesc = CreateTemplateTupleDesc(2);

	TupleDescInitEntry(tupdesc, 1, "id", TEXTOID, -1, 0);
	TupleDescInitEntryCollation(tupdesc, 1, C_COLLATION_OID);
	TupleDescInitEntry(tupdesc, 2, "found_at", TIDOID, -1, 0);
	compat_finish_tupdesc(tupdesc);
	candidates->put = MakeSingleTupleTableSlot(tupdesc, &TTSOpsVirtual);
	candidates->got = MakeSingleTupleTableSlot(tupdesc, &TTSOpsMinimalTuple);
	candidates->sort = tuplesort_begin_heap(tupdesc, 1, &column, &operator,
											&collation, &nulls_first, work_mem,
											NULL, TUPLESORT_RANDOMACCESS);
	MemoryContextSwitchTo(caller);
}

/*
 * Add an id, with the place where its shared row was found (or NULL).
 */
static void
add(Candidates *candidates, Datum id, ItemPointer found_at)
{
	if (candidates->sort == NULL)
		begin_sort(candidates);
	ExecClearTuple(candidates->put);
	candidates->put->tts_values[0] = id;
	candidates->put->tts_isnull[0] = false;
	candidates->put->tts_values[1] = PointerGetDatum(found_at);
	candidates->put->tts_isnull[1] = found_at == NULL;
	ExecStoreVirtualTuple(candidates->put);
	tuplesort_puttupleslot(candidates->sort, candidates->put);
	candidates->added++;
}

/* Are there as many as were asked for? */
static bool
is_enough(const Candidates *candidates)
{
	return candidates->enough > 0 && candidates->added >= candidates->enough;
}

/* Add the row that a scan by revision is at. */
static void
add_row(RevScan *rs)
{
	bool		isnull;

	add(rs->candidates, slot_getattr(rs->slot, rs->id_attno, &isnull),
		rs->entities ? &rs->slot->tts_tid : NULL);
}

/*
 * Add what the index has with revisions from "low" to "high", both included.
 */
static void
add_range(RevScan *rs, uint64 low, uint64 high)
{
	ScanKeyData keys[3];

	if (low > high || low > REV_MAX)
		return;
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, rs->diagram);
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum((int64) low));
	ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum((int64) Min(high, REV_MAX)));
	index_rescan(rs->scan, keys, 3, NULL, 0);
	while (!is_enough(rs->candidates) &&
		   index_getnext_slot(rs->scan, ForwardScanDirection, rs->slot))
	{
		CHECK_FOR_INTERRUPTS();
		add_row(rs);
	}
}

/*
 * Add what transactions wrote that were in progress: one range from the lowest
 * to the greatest of them, in which entries of others are passed over without
 * a look at the table.  Returns how many of them that covered; it gives up
 * where too many others lie in between.
 */
static uint32
add_in_progress_by_range(RevScan *rs, const Seen *seen, uint64 own)
{
	ScanKeyData keys[3];
	uint32		n = 0;
	uint32		misses = 0;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, rs->diagram);
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum((int64) REV(seen->xip[0])));
	ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum((int64) REV(seen->xip[seen->nxip - 1])));
	index_rescan(rs->scan, keys, 3, NULL, 0);
	while (!is_enough(rs->candidates) &&
		   index_getnext_tid(rs->scan, ForwardScanDirection) != NULL)
	{
		bool		isnull;
		uint64		rev = (uint64) DatumGetInt64(index_getattr(rs->scan->xs_itup, 2,
															   rs->scan->xs_itupdesc,
															   &isnull));

		CHECK_FOR_INTERRUPTS();
		while (n < seen->nxip && REV(seen->xip[n]) < rev)
			n++;
		if (n < seen->nxip && REV(seen->xip[n]) == rev && rev != own)
		{
			if (index_fetch_heap(rs->scan, rs->slot))
				add_row(rs);
		}
		else if (++misses > MISSES_PER_PROBE * (seen->nxip - n))
			return n;
	}
	return seen->nxip;
}

/*
 * Add what one table of a shared diagram has that was not seen, but for a
 * revision of one's own.
 */
static void
add_unseen_of(Candidates *candidates, const Diagram *public, const Seen *seen,
			  uint64 own, StorageTable table, const char *index_name,
			  int id_attno, Snapshot snapshot)
{
	uint64		xmax = REV(seen->xmax);
	RevScan		rs;

	rs.heap = storage_open(public->storage, table, AccessShareLock);
	rs.index = storage_open_index(public->storage, index_name);
	rs.slot = table_slot_create(rs.heap, NULL);
	rs.id_attno = id_attno;
	rs.entities = table == TABLE_ENTITY;
	rs.diagram = public->key;
	rs.candidates = candidates;
	rs.scan = compat_index_beginscan(rs.heap, rs.index, snapshot, 3);

	/* The link's own revision is left out: the range is split in two. */
	if (own != SEEN_OWN_NONE && own >= xmax)
	{
		add_range(&rs, xmax, own - 1);
		add_range(&rs, own + 1, REV_MAX);
	}
	else
		add_range(&rs, xmax, REV_MAX);

	if (seen->nxip == 1 && REV(seen->xip[0]) == own)
		 /* nothing but its own */ ;
	else if (seen->nxip > 0)
	{
		uint32		n;

		rs.scan->xs_want_itup = true;
		n = add_in_progress_by_range(&rs, seen, own);
		rs.scan->xs_want_itup = false;
		for (; n < seen->nxip; n++)
		{
			/*
			 * The range may have broken off within a revision, so this one is
			 * looked at again: an id found twice is classified once.
			 */
			if (REV(seen->xip[n]) != own)
				add_range(&rs, REV(seen->xip[n]), REV(seen->xip[n]));
		}
	}

	index_endscan(rs.scan);
	ExecDropSingleTupleTableSlot(rs.slot);
	index_close(rs.index, AccessShareLock);
	table_close(rs.heap, NoLock);
}

/*
 * Add what a shared diagram has, entities and tombstones, that was not seen.
 */
static void
add_unseen(Candidates *candidates, const Diagram *public, const Seen *seen,
		   uint64 own, Snapshot snapshot)
{
	add_unseen_of(candidates, public, seen, own, TABLE_ENTITY, "entity_rev",
				  Anum_entity_id, snapshot);
	add_unseen_of(candidates, public, seen, own, TABLE_TOMBSTONE,
				  "tombstone_rev", Anum_tombstone_id, snapshot);
}

/*
 * Add the entities on which both copies differ by plain value.
 */
static void
add_differing(Candidates *candidates, const Link *link, Snapshot snapshot)
{
	Portal		portal;

	SPI_connect();
	PushActiveSnapshot(snapshot);
	portal = compare_open_differing(link);
	PopActiveSnapshot();
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_COUNT);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool		isnull;

			add(candidates, SPI_getbinval(SPI_tuptable->vals[i],
										  SPI_tuptable->tupdesc, 1, &isnull),
				NULL);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
}

/*
 * Add the entities with a base row.  Returns whether there may be some that
 * the last sync has left: of a local edit made since, the base is the public
 * version, unless that has changed since, too.
 */
static bool
add_bases(Candidates *candidates, const Link *link, Snapshot snapshot)
{
	const Seen *seen = link->local->seen;
	bool		left = link->compare_in_full;
	Probe		probe;
	ScanKeyData key;
	bool		isnull;

	probe_open(&probe, STORAGE_LOCAL, TABLE_BASE, AccessShareLock);
	probe.scan = compat_index_beginscan(probe.heap, probe.index, snapshot, 1);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ, link->local->key);
	index_rescan(probe.scan, &key, 1, NULL, 0);
	while (index_getnext_slot(probe.scan, ForwardScanDirection, probe.slot))
	{
		CHECK_FOR_INTERRUPTS();
		add(candidates, slot_getattr(probe.slot, Anum_base_id, &isnull), NULL);
		if (!left)
		{
			Datum		xmin = slot_getsysattr(probe.slot,
											   MinTransactionIdAttributeNumber,
											   &isnull);

			left = TransactionIdPrecedes(DatumGetTransactionId(xmin),
										 XidFromFullTransactionId(seen->xmax));
		}
	}
	probe_close(&probe);
	return left;
}

/*
 * No candidates yet, for candidates_add().
 */
Candidates *
candidates_none(void)
{
	Candidates *candidates = palloc0(sizeof(Candidates));

	candidates->context = CurrentMemoryContext;
	return candidates;
}

/*
 * Collect the ids of the entities of a link that have to be classified, under
 * a registered snapshot.  Takes no row locks.
 */
Candidates *
candidates_collect(const Link *link, Snapshot snapshot)
{
	Candidates *candidates = candidates_none();
	bool		left;
	int64		bases;

	left = add_bases(candidates, link, snapshot);
	bases = candidates->added;
	if (link->compare_in_full)
		add_differing(candidates, link, snapshot);
	else
		add_unseen(candidates, link->public, link->local->seen,
				   link->local->seen_own, snapshot);
	candidates->may_conflict = bases > 0 && (left || candidates->added > bases);
	if (link->compare_in_full)
		candidates->may_conflict = true;
	return candidates;
}

/*
 * Add an id (a text), if it is not among them already.  To be called before
 * the first is read.
 */
void
candidates_add(Candidates *candidates, Datum id)
{
	add(candidates, id, NULL);
}

/*
 * Collect the ids of the entities of a shared diagram that were written or
 * deleted since that was seen, under a registered snapshot; with "enough"
 * above 0 no more than that (one found twice counts twice).  Takes no row
 * locks.
 */
Candidates *
candidates_collect_unseen(const Diagram *public, const Seen *seen,
						  int64 enough,
						  Snapshot snapshot)
{
	Candidates *candidates = candidates_none();

	candidates->enough = enough;
	add_unseen(candidates, public, seen, SEEN_OWN_NONE, snapshot);
	return candidates;
}

/*
 * Collect the ids of the entities that a local diagram has a base row of, under
 * a registered snapshot.  Takes no row locks.
 */
Candidates *
candidates_collect_changed(const Link *link, Snapshot snapshot)
{
	Candidates *candidates = palloc0(sizeof(Candidates));

	candidates->context = CurrentMemoryContext;
	(void) add_bases(candidates, link, snapshot);
	return candidates;
}

/*
 * These ids (strings) as candidates.
 */
Candidates *
candidates_of(List *ids)
{
	Candidates *candidates = palloc0(sizeof(Candidates));
	ListCell   *lc;

	candidates->context = CurrentMemoryContext;
	candidates->may_conflict = true;
	foreach(lc, ids)
		add(candidates, CStringGetTextDatum(lfirst(lc)), NULL);
	return candidates;
}

/*
 * The next id (a text), in ascending order of "C", each once; it is valid
 * until the next call, as is candidates->found_at.  False at the end.
 */
bool
candidates_next(Candidates *candidates, Datum *id)
{
	MemoryContext caller;
	bool		found;

	if (candidates->sort == NULL)
		return false;
	if (!candidates->sorted)
	{
		tuplesort_performsort(candidates->sort);
		candidates->sorted = true;
	}
	candidates->read = true;

	caller = MemoryContextSwitchTo(candidates->context);
	while ((found = tuplesort_gettupleslot(candidates->sort, true, false,
										   candidates->got, NULL)))
	{
		bool		isnull;
		text	   *next = DatumGetTextPP(slot_getattr(candidates->got, 1,
													   &isnull));
		Datum		found_at = slot_getattr(candidates->got, 2, &isnull);

		/* One that was added twice: any place will do. */
		if (candidates->last != NULL &&
			VARSIZE_ANY(next) == VARSIZE_ANY(candidates->last) &&
			memcmp(next, candidates->last, VARSIZE_ANY(next)) == 0)
			continue;
		if (candidates->last != NULL)
			pfree(candidates->last);
		candidates->last = palloc(VARSIZE_ANY(next));
		memcpy(candidates->last, next, VARSIZE_ANY(next));
		if (isnull)
			ItemPointerSetInvalid(&candidates->found_at);
		else
			candidates->found_at = *(ItemPointer) DatumGetPointer(found_at);
		break;
	}
	MemoryContextSwitchTo(caller);
	if (!found)
		return false;
	*id = PointerGetDatum(candidates->last);
	return true;
}

/*
 * Begin again with the first id.
 */
void
candidates_rewind(Candidates *candidates)
{
	if (candidates->sort != NULL && candidates->read)
		tuplesort_rescan(candidates->sort);
	if (candidates->last != NULL)
		pfree(candidates->last);
	candidates->last = NULL;
}

/*
 * Free the candidates.
 */
void
candidates_end(Candidates *candidates)
{
	if (candidates->sort != NULL)
	{
		tuplesort_end(candidates->sort);
		ExecDropSingleTupleTableSlot(candidates->put);
		ExecDropSingleTupleTableSlot(candidates->got);
	}
	pfree(candidates);
}
