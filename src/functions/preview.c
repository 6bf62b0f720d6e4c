/*
 * preview.c
 *	  What a push or pull would do with each entity, page by page:
 *	  preview_push(), preview_pull().  Read-only.
 *
 * A page is that of one dry run, whose plan comes with it: who shows pages to
 * somebody, and gives the plan of the last one as expected_plan, has shown
 * what will be done, if all had the same plan.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/typcache.h"

#include "functions/pushpull.h"
#include "server/sqlfunction.h"

/* A page has so many entities at most */
#define LISTING_MAX 1000

static int
count_arg(FunctionCallInfo fcinfo, int arg, const char *name, int least,
		  int most)
{
	char	   *local = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										   "local");
	int			value;

	directory_refuse_null(PG_ARGISNULL(arg), name, local);
	value = PG_GETARG_INT32(arg);
	if (value < least || value > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" for diagram \"%s\" must be between %d and %d",
						name, local, least, most)));
	return value;
}

static Datum
preview(FunctionCallInfo fcinfo, Direction direction)
{
	Listing		listing = {0};
	TupleDesc	tupdesc;
	TupleDesc	result;
	Datum		values[3];
	bool		nulls[3] = {false};

	listing.first = count_arg(fcinfo, 3, "first", 0, PG_INT32_MAX);
	listing.max = count_arg(fcinfo, 4, "max", 1, LISTING_MAX);
	directory_refuse_null(PG_ARGISNULL(5), "allow_deletions",
						  directory_name_arg(PG_GETARG_DATUM(0),
											 PG_ARGISNULL(0), "local"));
	initStringInfo(&listing.json);
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	result = lookup_rowtype_tupdesc_copy(TupleDescAttr(tupdesc, 0)->atttypid,
										 -1);
	values[0] = sync_preview(fcinfo, direction, &listing, PG_GETARG_BOOL(5),
							 BlessTupleDesc(result));
	appendStringInfoChar(&listing.json, ']');
	values[1] = PointerGetDatum(cstring_to_text_with_len(listing.json.data,
														 listing.json.len));
	values[2] = BoolGetDatum(listing.more);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values,
											 nulls));
}

/*
 * diagsync.preview_push(local, public, on_conflict, first, max,
 *						 allow_deletions, entities)
 *
 * For whoever may push.  Takes no row locks.
 */
DIAGSYNC_FUNCTION(diagsync_preview_push)
{
	return preview(fcinfo, DIRECTION_PUSH);
}

/*
 * diagsync.preview_pull(local, public, on_conflict, first, max,
 *						 allow_deletions, entities)
 *
 * For whoever may pull.  Takes no row locks.
 */
DIAGSYNC_FUNCTION(diagsync_preview_pull)
{
	return preview(fcinfo, DIRECTION_PULL);
}
