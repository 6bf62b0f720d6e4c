/*
 * sqlfunction.h
 *	  What every function that SQL can call begins with.
 */
#ifndef DIAGSYNC_SQLFUNCTION_H
#define DIAGSYNC_SQLFUNCTION_H

#include "fmgr.h"

/*
 * Begins the definition of a C function that SQL can call, in the place of
 * PG_FUNCTION_INFO_V1(name) and its head.  See sqlfunction.c.
 */
#define DIAGSYNC_FUNCTION(name) \
	PG_FUNCTION_INFO_V1(name); \
	static Datum name##_body(PG_FUNCTION_ARGS); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return sqlfunction_call(fcinfo, name##_body); \
	} \
	static Datum \
	name##_body(PG_FUNCTION_ARGS)

/* A count as an integer, which clients get as a number */
static inline Datum
sqlfunction_count(int64 count)
{
	return Int32GetDatum((int32) Min(count, PG_INT32_MAX));
}

extern Datum sqlfunction_call(FunctionCallInfo fcinfo, PGFunction body);

#endif							/* DIAGSYNC_SQLFUNCTION_H */
