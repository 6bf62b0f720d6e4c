/*
 * deadlock.c
 *	  A sync is the one that gives way in a deadlock: it looks for one after 20
 *	  ms of waiting, long before anybody else does.
 *
 * Whoever looks first is ended, and a sync can be run again, which a writer's
 * statement cannot.
 *
 * The setting deadlock_timeout says two things: after how long a wait a
 * deadlock is looked for, and after how long one is logged, where
 * log_lock_waits is on.  Only the first is to be earlier.  So it is left as it
 * is.  While a sync is at work a timer ticks, whose handler has PostgreSQL
 * look for a deadlock at the first tick of a wait that is due, as its own
 * handler does after deadlock_timeout.
 *
 * PostgreSQL logs a wait whenever it has looked before and is woken, by this
 * timer, too.  So from the look on log_lock_waits is off.  Soon after
 * deadlock_timeout it is put back: then the wait is logged as any other is,
 * once, and so is its end, since the timer rests until the sync goes on.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/proc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "server/deadlock.h"

/* In milliseconds */
#define TICK 10
#define LOOK_AFTER 20

static int	watches = 0;		/* how many are at work, one within the other */
static TimeoutId timer = MAX_TIMEOUTS;	/* MAX_TIMEOUTS: not registered yet */
static volatile bool resting = false;	/* until the wait is over */
static volatile bool muted = false; /* log_lock_waits has been on and is off */
static volatile uint64 looked_at = 0;	/* when the wait began that was looked
										 * at */

static void
unmute(void)
{
	if (muted)
		log_lock_waits = true;
	muted = false;
}

/*
 * What is to be done about a wait that has lasted so long.  False: nothing any
 * more.
 */
static bool
attend_to_wait(uint64 since, long waited)
{
	if (DeadlockTimeout <= LOOK_AFTER ||
		(looked_at == since && waited > DeadlockTimeout))
	{
		unmute();
		return false;
	}
	if (looked_at != since && waited >= LOOK_AFTER)
	{
		looked_at = since;
		if (log_lock_waits)
		{
			log_lock_waits = false;
			muted = true;
		}
		CheckDeadLockAlert();
	}
	return true;
}

/*
 * The timer ticks.  This runs in a signal handler.
 */
static void
tick(void)
{
	/* A session that is terminated may have given its place up already. */
	if (MyProc == NULL)
		return;
	if (MyProc->waitLock != NULL)
	{
		/* It is noted a little later than the wait. */
		uint64		since = pg_atomic_read_u64(&MyProc->waitStart);

		if (since != 0 &&
			!attend_to_wait(since,
							TimestampDifferenceMilliseconds((TimestampTz) since,
															GetCurrentTimestamp())))
		{
			resting = true;
			return;
		}
	}
	enable_timeout_after(timer, TICK);
}

/*
 * From now on look for deadlocks early, until deadlock_end_watch(), which is
 * to be called on errors, too.
 */
void
deadlock_watch(void)
{
	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, tick);
	if (watches++ == 0)
	{
		resting = false;
		enable_timeout_after(timer, TICK);
	}
}

/*
 * A row may just have been waited for: if the timer rests, it goes on.
 */
void
deadlock_keep_watch(void)
{
	if (watches > 0 && resting)
	{
		resting = false;
		enable_timeout_after(timer, TICK);
	}
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
