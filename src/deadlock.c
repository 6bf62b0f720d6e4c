/*
 * deadlock.c
 *	  A sync is the one that gives way in a deadlock: it looks for one after 20 ms
 *	  of waiting, long before anybody else does.
 *
 * Whoever looks first is ended, and a sync can be run again, which a writer's
 * statement cannot.
 *
 * The setting deadlock_timeout says two things: after how long a wait a deadlock is
 * looked for, and after how long one is logged, where log_lock_waits is on.  Only
 * the first is to be earlier.  So it is left as it is.  While a sync is at work a
 * timer ticks, whose handler has PostgreSQL look for a deadlock at the first tick of
 * a wait that is due, as its own handler does after deadlock_timeout.  PostgreSQL
 * logs a wait whenever it has looked, so log_lock_waits is off from that tick on,
 * and back on before deadlock_timeout is over: then the wait is looked at and
 * logged as any other.
 *
 * Calls nothing else of diagsync.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/proc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "deadlock.h"

/* In milliseconds */
#define TICK 10
#define LOOK_AFTER 20

static int	watches = 0;		/* how many are at work, one within the other */
static TimeoutId timer = MAX_TIMEOUTS;	/* MAX_TIMEOUTS: not registered yet */
static volatile uint64 looked_at = 0;	/* when the wait began that was looked at */
static volatile bool muted = false; /* log_lock_waits has been on and is off */

static void
unmute(void)
{
	if (muted)
		log_lock_waits = true;
	muted = false;
}

/*
 * The timer ticks.  This runs in a signal handler.
 */
static void
tick(void)
{
	uint64		since;
	long		waited;

	/* A session that is terminated may have given its place up already. */
	if (MyProc == NULL || MyProc->waitLock == NULL)
		return;

	/* It is noted a little later than the wait, and stays for a while. */
	since = pg_atomic_read_u64(&MyProc->waitStart);
	if (since == 0)
		return;
	waited = TimestampDifferenceMilliseconds((TimestampTz) since,
											 GetCurrentTimestamp());
	if (waited + 2 * TICK >= DeadlockTimeout)
		unmute();
	else if (waited >= LOOK_AFTER && looked_at != since)
	{
		looked_at = since;
		if (log_lock_waits)
		{
			log_lock_waits = false;
			muted = true;
		}
		CheckDeadLockAlert();
	}
}

/*
 * From now on look for deadlocks early, until deadlock_end_watch(), which is to be
 * called on errors, too.
 */
void
deadlock_watch(void)
{
	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, tick);
	if (watches++ == 0)
		enable_timeout_every(timer,
							 TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														 TICK),
							 TICK);
}

/*
 * Look for deadlocks as everybody does.
 */
void
deadlock_end_watch(void)
{
	if (--watches > 0)
		return;
	disable_timeout(timer, false);
	unmute();
}
