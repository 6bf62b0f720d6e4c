/*
 * subxact.c
 *	  Work done whole or not at all, in a subtransaction, and again where
 *	  somebody else was faster.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "server/deadlock.h"
#include "server/subxact.h"

#define MAX_TRIES 100

/*
 * Deadlocks in a row that are tried again; more may rest on what is locked
 * already
 */
#define MAX_DEADLOCKS 10

/*
 * Run a body in a subtransaction, which is rolled back unless it returns
 * SUBXACT_DONE.  So are its errors, and passed on, but for one that is to be
 * caught: then *error is set to it, and AGAIN is returned.
 */
SubxactEnd
subxact_catch(SubxactBody body, void *arg, SubxactCatches catches,
			  ErrorData **error)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile SubxactEnd end = SUBXACT_UNDONE;

	*error = NULL;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		end = body(arg);
		if (end == SUBXACT_DONE)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		*error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
		if (!catches((*error)->sqlerrcode))
			ReThrowError(*error);
		end = SUBXACT_AGAIN;
	}
	PG_END_TRY();
	return end;
}

typedef struct Attempt
{
	SubxactBody body;
	void	   *arg;
} Attempt;

static bool
is_deadlock(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

/* Run a body that is to be the one that gives way in a deadlock. */
static SubxactEnd
look_for_deadlocks_early(void *arg)
{
	Attempt    *attempt = arg;
	volatile SubxactEnd end = SUBXACT_UNDONE;

	deadlock_watch();
	PG_TRY();
	{
		end = attempt->body(attempt->arg);
	}
	PG_FINALLY();
	{
		deadlock_end_watch();
	}
	PG_END_TRY();
	return end;
}

/*
 * Run a body in a subtransaction that is rolled back unless it returns
 * SUBXACT_DONE; again as long as it returns SUBXACT_AGAIN, after the
 * transaction that it has set *wait_for to (if any) has ended, and where it
 * met a deadlock. Each run has a memory context of its own, which is gone
 * then.  Returns DONE or UNDONE.  Errors of the body are rolled back and
 * passed on; 40001 where it comes to no end.  "diagram" is for that message.
 */
SubxactEnd
subxact_run(SubxactBody body, void *arg, const TransactionId *wait_for,
			const char *diagram)
{
	Attempt		attempt = {body, arg};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "diagsync try",
												  ALLOCSET_DEFAULT_SIZES);
	int			deadlocks = 0;

	for (int try = 0; try < MAX_TRIES; try++)
	{
		ErrorData  *deadlock;
		SubxactEnd	end;

		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		end = subxact_catch(look_for_deadlocks_early, &attempt,
							is_deadlock, &deadlock);
		MemoryContextSwitchTo(caller);
		if (end != SUBXACT_AGAIN)
		{
			MemoryContextDelete(context);
			return end;
		}
		CHECK_FOR_INTERRUPTS();
		if (deadlock != NULL)
		{
			if (++deadlocks > MAX_DEADLOCKS)
				ReThrowError(deadlock);

			/* Let those go first for whom it has given way. */
			pg_usleep(1000L << Min(deadlocks, 7));
		}
		else if (TransactionIdIsValid(*wait_for))
			XactLockTableWait(*wait_for, NULL, NULL, XLTW_None);
	}
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not sync diagram \"%s\" because entities keep being inserted meanwhile",
					diagram),
			 errhint("Run the transaction again.")));
	return SUBXACT_UNDONE;		/* keep compiler quiet */
}
