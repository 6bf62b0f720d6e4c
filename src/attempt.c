/*
 * attempt.c
 *	  Work done whole or not at all, in a subtransaction, and again where
 *	  somebody else was faster.
 *
 * Calls nothing else of diagsync.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "attempt.h"

#define MAX_TRIES 100

static AttemptEnd
attempt_once(AttemptBody body, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile AttemptEnd end = ATTEMPT_UNDONE;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		end = body(arg);
		if (end == ATTEMPT_DONE)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
		ReThrowError(error);
	}
	PG_END_TRY();
	return end;
}

/*
 * Run a body in a subtransaction that is rolled back unless it returns
 * ATTEMPT_DONE; again as long as it returns ATTEMPT_AGAIN, after the transaction
 * that it has set *wait_for to (if any) has ended.  Returns DONE or
 * UNDONE.  Errors of the body are rolled back and passed on; 40001 where it
 * comes to no end.  "diagram" is for that message.
 */
AttemptEnd
attempt_run(AttemptBody body, void *arg, const TransactionId *wait_for,
			const char *diagram)
{
	for (int try = 0; try < MAX_TRIES; try++)
	{
		AttemptEnd	end = attempt_once(body, arg);

		if (end != ATTEMPT_AGAIN)
			return end;
		CHECK_FOR_INTERRUPTS();
		if (TransactionIdIsValid(*wait_for))
			XactLockTableWait(*wait_for, NULL, NULL, XLTW_None);
	}
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not sync diagram \"%s\" because entities keep being inserted meanwhile",
					diagram),
			 errhint("Run the transaction again.")));
	return ATTEMPT_UNDONE;		/* keep compiler quiet */
}
