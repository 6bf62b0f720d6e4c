/*
 * seen.c
 *	  What a link has seen of its far end: snapshots that are recorded and
 *	  asked later.
 *
 * Calls nothing else of diagsync.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"

#include "compat.h"
#include "seen.h"

#define REV(fxid) U64FromFullTransactionId(fxid)

/*
 * The active snapshot as a value to record, with transaction "own" among those
 * in progress.  palloc'd.
 */
Seen *
seen_now(uint64 own)
{
	Seen	   *now = (Seen *) PG_DETOAST_DATUM(DirectFunctionCall1(pg_current_snapshot,
																	(Datum) 0));
	Seen	   *seen;
	uint32		n = 0;
	Size		size;

	if (own >= REV(now->xmax))
		return now;				/* not visible in any case */

	size = offsetof(Seen, xip) + (now->nxip + 1) * sizeof(FullTransactionId);
	seen = palloc0(size);
	SET_VARSIZE(seen, size);
	seen->xmax = now->xmax;
	while (n < now->nxip && REV(now->xip[n]) < own)
	{
		seen->xip[n] = now->xip[n];
		n++;
	}
	Assert(n == now->nxip || REV(now->xip[n]) != own);
	seen->xip[n] = FullTransactionIdFromU64(own);
	for (; n < now->nxip; n++)
		seen->xip[n + 1] = now->xip[n];
	seen->nxip = now->nxip + 1;
	seen->xmin = seen->xip[0];
	if (FullTransactionIdPrecedes(now->xmin, seen->xmin))
		seen->xmin = now->xmin;
	return seen;
}

/*
 * Of the active snapshot, what concerns revisions below "limit", without those
 * of this transaction, which may write more: what is visible of them, and will
 * be told from what comes later.  It stays the same while nobody writes beyond
 * the limit.  palloc'd.
 *
 * A standby's snapshot does not list what is in progress there, so nothing from
 * its xmin on counts as seen.
 */
Seen *
seen_below(uint64 limit)
{
	FullTransactionId own = GetTopFullTransactionIdIfAny();
	Seen	   *seen = seen_now(FullTransactionIdIsValid(own) ? REV(own) :
								PG_UINT64_MAX);
	uint32		n = 0;

	limit = Min(limit, REV(RecoveryInProgress() ? seen->xmin : seen->xmax));
	while (n < seen->nxip && REV(seen->xip[n]) < limit)
		n++;
	if (RecoveryInProgress())
		n = 0;
	seen->nxip = n;
	seen->xmax = FullTransactionIdFromU64(limit);
	seen->xmin = n > 0 ? seen->xip[0] : seen->xmax;
	SET_VARSIZE(seen, offsetof(Seen, xip) + n * sizeof(FullTransactionId));
	return seen;
}

static int
compare_xids(const void *a, const void *b)
{
	uint64		x = REV(*(const FullTransactionId *) a);
	uint64		y = REV(*(const FullTransactionId *) b);

	return x < y ? -1 : x > y;
}

/*
 * Was what has that revision visible?
 */
bool
seen_has(const Seen *seen, uint64 rev)
{
	FullTransactionId xid = FullTransactionIdFromU64(rev);

	return rev < REV(seen->xmax) &&
		bsearch(&xid, seen->xip, seen->nxip, sizeof(xid), compare_xids) == NULL;
}

/*
 * The timeline that this cluster is on.
 */
uint32
seen_timeline(void)
{
	TimeLineID	timeline;

	if (!RecoveryInProgress())
		return GetWALInsertionTimeLine();
	(void) GetXLogReplayRecPtr(&timeline);
	return timeline;
}

/*
 * This cluster's system identifier, as it is kept in seen_on.
 */
int64
seen_here(void)
{
	return (int64) GetSystemIdentifier();
}

/*
 * Does a recorded snapshot say something here?  Only on the cluster that
 * recorded it, and only while it lies in that cluster's past: a copy restored
 * to an earlier moment has the same identifier.
 */
bool
seen_is_valid(const Seen *seen, int64 seen_on)
{
	return seen != NULL && seen_on == seen_here() &&
		REV(seen->xmax) <= REV(ReadNextFullTransactionId());
}
