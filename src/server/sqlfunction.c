/*
 * sqlfunction.c
 *	  What every function that SQL can call begins with: claims that are not
 *	  believed are an error, and inside a PostgREST request errors carry their
 *	  HTTP status.
 *
 * PostgREST makes SQLSTATE PTnnn the status nnn, and the message the reason in
 * the status line, unfiltered in some versions.  So the message is a constant
 * there, and what it said goes into DETAIL.  Which SQLSTATE becomes which
 * status is in one table here.
 */
#include "postgres.h"

#include "server/claims.h"
#include "server/request.h"
#include "server/sqlfunction.h"

typedef struct Status
{
	int			sqlerrcode;
	const char *code;
	const char *message;
} Status;

static const Status statuses[] = {
	{ERRCODE_UNDEFINED_OBJECT, "PT404", "Not Found"},
	{ERRCODE_INSUFFICIENT_PRIVILEGE, "PT403", "Forbidden"},
	{ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, "PT401", "Unauthorized"},
	{ERRCODE_DUPLICATE_OBJECT, "PT409", "Conflict"},
	{ERRCODE_PROGRAM_LIMIT_EXCEEDED, "PT413", "Payload Too Large"},
	{ERRCODE_STATEMENT_TOO_COMPLEX, "PT413", "Payload Too Large"},
	{ERRCODE_NULL_VALUE_NOT_ALLOWED, "PT422", "Unprocessable Entity"},
	{ERRCODE_INVALID_PARAMETER_VALUE, "PT422", "Unprocessable Entity"},
	{ERRCODE_ARRAY_SUBSCRIPT_ERROR, "PT422", "Unprocessable Entity"},
	{ERRCODE_CHECK_VIOLATION, "PT422", "Unprocessable Entity"},
	{ERRCODE_WRONG_OBJECT_TYPE, "PT422", "Unprocessable Entity"},
	{ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "PT422", "Unprocessable Entity"},
	{ERRCODE_FEATURE_NOT_SUPPORTED, "PT422", "Unprocessable Entity"},
};

/*
 * Give an error its HTTP status; false where it has none of ours.
 */
static bool
translate(ErrorData *error)
{
	const Status *status = NULL;
	int			sqlerrcode;

	for (size_t i = 0; i < lengthof(statuses); i++)
	{
		if (statuses[i].sqlerrcode == error->sqlerrcode)
			status = &statuses[i];
	}
	if (status == NULL)
		return false;

	sqlerrcode = MAKE_SQLSTATE(status->code[0], status->code[1],
							   status->code[2], status->code[3],
							   status->code[4]);
	error->sqlerrcode = sqlerrcode;

	/*
	 * A constraint's own words repeat the row, with all that is of the
	 * inside.
	 */
	if (error->constraint_name != NULL)
		error->detail = psprintf("constraint \"%s\" refuses it",
								 error->constraint_name);
	else
		error->detail = error->detail ?
			psprintf("%s: %s", error->message, error->detail) : error->message;
	error->message = pstrdup(status->message);
	return true;
}

/*
 * Call the body of a function.  The outermost one sees that the claims of this
 * session are believed; what it calls in turn, for each row perhaps, asks for
 * them only where it needs them.
 */
Datum
sqlfunction_call(FunctionCallInfo fcinfo, PGFunction body)
{
	static int	depth = 0;
	MemoryContext caller = CurrentMemoryContext;
	int			depth_before = depth;
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		if (depth++ == 0)
			(void) claims_sub();
		result = body(fcinfo);
		depth = depth_before;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		depth = depth_before;
		if (!request_is_http())
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (!translate(error))
			PG_RE_THROW();
		FlushErrorState();
		ReThrowError(error);
	}
	PG_END_TRY();
	return result;
}
