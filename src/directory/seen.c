/*
 * seen.c
 *	  What a link has seen of its shared copy: snapshots that are recorded and
 *	  asked later.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"

#include "directory/seen.h"
#include "server/compat.h"

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
 * A standby's snapshot does not list what is in progress there, so nothing
 * from its xmin on counts as seen.
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

/*
 * The timeline that this cluster is on.  A standby is where its primary was
 * when it wrote what the standby has replayed.
 */
static uint32
current_timeline(void)
{
	TimeLineID	timeline;

	if (!RecoveryInProgress())
		return GetWALInsertionTimeLine();
	(void) GetXLogReplayRecPtr(&timeline);
	return timeline;
}

/*
 * A snapshot to which nothing was visible.  palloc'd.
 */
Seen *
seen_nothing(void)
{
	Size		size = offsetof(Seen, xip);
	Seen	   *seen = palloc0(size);

	SET_VARSIZE(seen, size);
	seen->xmin = seen->xmax = FullTransactionIdFromU64(1);
	return seen;
}

/*
 * Was what has that revision seen?  "own" is what the link wrote itself, or
 * SEEN_OWN_NONE.  The snapshot must be valid.
 */
bool
seen_has(const Seen *seen, uint64 own, uint64 rev)
{
	uint32		low = 0;
	uint32		high = seen->nxip;

	if (own != SEEN_OWN_NONE && rev == own)
		return true;
	if (rev >= REV(seen->xmax))
		return false;
	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (REV(seen->xip[middle]) == rev)
			return false;
		if (REV(seen->xip[middle]) < rev)
			low = middle + 1;
		else
			high = middle;
	}
	return true;
}

/*
 * This cluster's system identifier and timeline, as they are kept in seen_on;
 * palloc'd.
 */
char *
seen_here(void)
{
	return psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(), current_timeline());
}

/*
 * Does a recorded snapshot say something here?  Only on the cluster and
 * timeline that recorded it: a cluster that was put back to an earlier moment
 * gives out again the transaction ids that came after.  And only while it lies
 * in the past: a copy of the files that is started as it is has the same
 * timeline.
 */
bool
seen_is_valid(const Seen *seen, const char *seen_on)
{
	char	   *here;
	bool		is_here;

	if (seen == NULL || seen_on == NULL)
		return false;
	here = seen_here();
	is_here = strcmp(seen_on, here) == 0;
	pfree(here);
	return is_here && REV(seen->xmax) <= REV(ReadNextFullTransactionId());
}
