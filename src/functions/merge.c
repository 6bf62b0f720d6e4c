/*
 * merge.c
 *	  Functions of documents alone: merge(), the three-way merge of three;
 *	  diff() and patch(), what makes one another, as a JSON Patch (RFC 6902),
 *	  and such a patch applied.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "directory/content.h"
#include "json/patch.h"
#include "merge/diff.h"
#include "merge/policyarg.h"
#include "merge/threeway.h"
#include "server/request.h"
#include "server/sqlfunction.h"

#define MERGE_COLUMNS 6

/* Kept from one call to the next, in fn_extra */
typedef struct MergeState
{
	TupleDesc	tupdesc;
	PolicyArg	policy;
} MergeState;

static MergeState *
merge_state(FunctionCallInfo fcinfo)
{
	MergeState *state = fcinfo->flinfo->fn_extra;
	MemoryContext caller;

	if (state != NULL)
		return state;
	caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	state = palloc0(sizeof(MergeState));
	if (get_call_result_type(fcinfo, NULL,
							 &state->tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	Assert(state->tupdesc->natts == MERGE_COLUMNS);
	state->tupdesc = BlessTupleDesc(CreateTupleDescCopy(state->tupdesc));
	MemoryContextSwitchTo(caller);
	fcinfo->flinfo->fn_extra = state;
	return state;
}

static JsonValue
base_of(const Three *values)
{
	return values->base;
}

static JsonValue
local_of(const Three *values)
{
	return values->local;
}

static JsonValue
public_of(const Three *values)
{
	return values->public;
}

/* The values of a side where there are conflicts, as an array of jsonb */
static Datum
value_array(List *conflicts, JsonValue (*side) (const Three *values))
{
	int			n = list_length(conflicts);
	Datum	   *values = palloc(n * sizeof(Datum));
	bool	   *nulls = palloc(n * sizeof(bool));
	int			lower = 1;
	ListCell   *lc;

	if (n == 0)
		return PointerGetDatum(construct_empty_array(JSONBOID));
	foreach(lc, conflicts)
	{
		int			i = foreach_current_index(lc);
		const Conflict *conflict = lfirst(lc);
		Jsonb	   *doc = json_document(side(&conflict->values));

		values[i] = PointerGetDatum(doc);
		nulls[i] = doc == NULL;
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower,
											  JSONBOID, -1, false,
											  TYPALIGN_INT));
}

/*
 * diagsync.merge(base, local, public, policy)
 *
 * A null document is one that does not exist.  No side counts as the newer
 * one: the public one is taken where that decides.  In a request a document
 * may be as large as an entity (54000).
 */
DIAGSYNC_FUNCTION(diagsync_merge)
{
	MergeState *state = merge_state(fcinfo);
	Threeway	threeway = {
		.policy = policyarg_get(&state->policy, fcinfo, 3),
		.base = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0),
		.local = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1),
		.public = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2),
	};
	bool		conflict;
	Datum		values[MERGE_COLUMNS];
	bool		nulls[MERGE_COLUMNS] = {false};

	if (request_is_http())
	{
		content_check_given("base", threeway.base);
		content_check_given("local", threeway.local);
		content_check_given("public", threeway.public);
	}
	threeway_classify(&threeway);
	conflict = threeway.conflicts != NIL;
	values[0] = PointerGetDatum(conflict ? NULL :
								threeway_merged(&threeway, SIDE_NONE));
	nulls[0] = DatumGetPointer(values[0]) == NULL;
	values[1] = BoolGetDatum(conflict);
	values[2] = PointerGetDatum(threeway_paths(threeway.conflicts));
	values[3] = value_array(threeway.conflicts, base_of);
	values[4] = value_array(threeway.conflicts, local_of);
	values[5] = value_array(threeway.conflicts, public_of);
	return HeapTupleGetDatum(heap_form_tuple(state->tupdesc, values, nulls));
}

/*
 * diagsync.diff(old, new, policy)
 *
 * A null document is one that does not exist.  In a request a document may be
 * as large as an entity (54000).
 */
DIAGSYNC_FUNCTION(diagsync_diff)
{
	PolicyArg  *arg = fcinfo->flinfo->fn_extra;
	const Policy *policy;
	const Jsonb *old = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	const Jsonb *new = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);

	if (request_is_http())
	{
		content_check_given("old", old);
		content_check_given("new", new);
	}
	if (arg == NULL)
		arg = fcinfo->flinfo->fn_extra =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
								   sizeof(PolicyArg));
	policy = policyarg_get(arg, fcinfo, 2);
	PG_RETURN_JSONB_P(diff_documents(policy, old, new));
}

/*
 * diagsync.patch(doc, diff)
 *
 * A null document is one that does not exist.  In a request document and patch
 * may each be as large as an entity (54000).
 */
DIAGSYNC_FUNCTION(diagsync_patch)
{
	const Jsonb *doc = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	const Jsonb *diff;
	Jsonb	   *result;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "diff")));
	diff = PG_GETARG_JSONB_P(1);
	if (request_is_http())
	{
		content_check_given("doc", doc);
		content_check_given("diff", diff);
	}
	result = patch_apply(doc, diff);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(result);
}
