/*
 * policyarg.c
 *	  Merge policies that functions are given: parsed once, and kept from one
 *	  call of a query to the next.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "merge/policyarg.h"

static bool
is_as_given(const PolicyArg *arg, const Jsonb *given)
{
	if (given == NULL || arg->given == NULL)
		return given == arg->given;
	return VARSIZE(given) == VARSIZE(arg->given) &&
		memcmp(given, arg->given, VARSIZE(given)) == 0;
}

/*
 * The merge policy that is the argument with that number, which may be null:
 * the default.  "arg" keeps it, with the function's lifetime.  An error
 * (22023) where it is none.
 */
const Policy *
policyarg_get(PolicyArg *arg, FunctionCallInfo fcinfo, int number)
{
	const Jsonb *given = PG_ARGISNULL(number) ? NULL :
		PG_GETARG_JSONB_P(number);
	MemoryContext caller;

	if (arg->policy != NULL && is_as_given(arg, given))
		return arg->policy;
	if (arg->context == NULL)
		arg->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt,
											 "diagsync policy argument",
											 ALLOCSET_SMALL_SIZES);

	arg->policy = NULL;			/* until it is right */
	MemoryContextReset(arg->context);
	caller = MemoryContextSwitchTo(arg->context);
	arg->given = NULL;
	if (given != NULL)
	{
		arg->given = palloc(VARSIZE(given));
		memcpy(arg->given, given, VARSIZE(given));
	}
	arg->policy = policy_parse(arg->given == NULL ? NULL :
							   policy_expand(arg->given, NULL), NULL);
	MemoryContextSwitchTo(caller);
	return arg->policy;
}
