/*
 * seen.c
 *	  What a link has seen of its far end: snapshots that are recorded and
 *	  asked later.
 *
 * Calls nothing else of diagsync.
 */
#include "postgres.h"

#include "access/transam.h"
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
 * This cluster's system identifier and timeline, as they are kept in seen_on;
 * palloc'd.  A standby is where its primary was when it wrote what the standby
 * has replayed.
 */
char *
seen_here(void)
{
	TimeLineID	timeline;

	if (RecoveryInProgress())
		(void) GetXLogReplayRecPtr(&timeline);
	else
		timeline = GetWALInsertionTimeLine();
	return psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(), timeline);
}

/*
 * Does a recorded snapshot say something here?  Only on the cluster and timeline
 * that recorded it: a cluster that was put back to an earlier moment gives out
 * again the transaction ids that came after.  And only while it lies in the past:
 * a copy of the files that is started as it is has the same timeline.
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
