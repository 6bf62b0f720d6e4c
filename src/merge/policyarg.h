/*
 * policyarg.h
 *	  Merge policies that functions are given.
 */
#ifndef DIAGSYNC_POLICYARG_H
#define DIAGSYNC_POLICYARG_H

#include "fmgr.h"

#include "merge/policy.h"

/* To begin with all zero */
typedef struct PolicyArg
{
	MemoryContext context;		/* of the policy */
	Jsonb	   *given;			/* as it was given, or NULL */
	Policy	   *policy;
} PolicyArg;

extern const Policy *policyarg_get(PolicyArg *arg, FunctionCallInfo fcinfo,
								   int number);

#endif							/* DIAGSYNC_POLICYARG_H */
