/*
 * resolve.c
 *	  One conflict settled: resolve(); and what it shares with
 *	  resolvemany.c.
 *
 * The way of a resolution is in sync/settle.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "directory/content.h"
#include "directory/directory.h"
#include "directory/quota.h"
#include "directory/ratelimit.h"
#include "directory/synclog.h"
#include "functions/changes.h"
#include "functions/resolve.h"
#include "principal/principal.h"
#include "server/sqlfunction.h"
#include "server/textarg.h"
#include "statement/statement.h"

/* The row that is answered */
typedef struct ShownRow
{
	TupleDesc	tupdesc;
	HeapTuple	row;
} ShownRow;

/*
 * By whom a document is that is given now, and when.
 */
Version
resolve_stamp(void)
{
	Version		stamp = {.at = GetCurrentTimestamp(),.by = principal_current()};

	ItemPointerSetInvalid(&stamp.tid);
	return stamp;
}

/*
 * Take the document (or NULL) for the choice of an entity of a local diagram,
 * whose resolution and stamp are set.  22004 where "merged" has none, 22023 where it is
 * no object, or has another id, or another resolution has one; 54000 where it
 * is too deep or too large.
 */
void
resolve_take_document(const char *local, Choice *choice, Jsonb *doc)
{
	if (choice->resolution != RESOLUTION_MERGED)
	{
		if (doc != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("resolution \"%s\" of entity \"%s\" of diagram \"%s\" takes no document",
							resolution_name(choice->resolution), choice->id,
							local),
					 errhint("Only \"merged\" does.")));
		return;
	}
	if (doc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("resolution \"merged\" of entity \"%s\" of diagram \"%s\" needs a document",
						choice->id, local),
				 errhint("Give the merged entity as \"doc\".")));
	if (!JB_ROOT_IS_OBJECT(doc))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the merged document for entity \"%s\" of diagram \"%s\" is not an object",
						choice->id, local),
				 errhint("An entity is a JSON object.")));
	content_check(local, choice->id, JsonbPGetDatum(doc), quota_applies());
	choice->given.doc = doc;
}

static void
parse_arguments(FunctionCallInfo fcinfo, Settling *settling)
{
	Choice	   *choice = palloc0(sizeof(Choice));
	char	   *resolution;

	settling->local = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										 "local");
	settling->choices.named = choice;
	settling->choices.n = 1;
	settling->single = true;
	directory_refuse_null(PG_ARGISNULL(1), "entity_id", settling->local);
	choice->id = textarg_get(PG_GETARG_DATUM(1), "entity_id",
							 settling->local, MAX_ENTITY_ID);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" for entity \"%s\" of diagram \"%s\" must not be null",
						"resolution", choice->id, settling->local)));
	resolution = textarg_get(PG_GETARG_DATUM(2), "resolution", settling->local,
							 MAX_WORD);
	if (!resolution_parse(resolution, &choice->resolution) ||
		choice->resolution == RESOLUTION_ABORT ||
		choice->resolution == RESOLUTION_SKIP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown resolution \"%s\" for entity \"%s\" of diagram \"%s\"",
						resolution, choice->id, settling->local),
				 errhint("It is local, public, both, newest or merged.")));
	choice->given = resolve_stamp();
	resolve_take_document(settling->local, choice, PG_ARGISNULL(3) ? NULL :
						  PG_GETARG_JSONB_P(3));
	choice->expected = PG_ARGISNULL(4) ? NULL :
		textarg_get(PG_GETARG_DATUM(4), "expected", settling->local, MAX_WORD);
}

/*
 * Carry out a resolution: charged, logged, whole or not at all.
 */
void
resolve_run(Settling *settling, const char *function)
{
	SyncLogEntry entry;
	SubxactEnd	end;

	statement_check_may_write(function, settling->local,
							  settling->single ? settling->choices.named->id :
							  NULL);
	settling->context = CurrentMemoryContext;
	ratelimit_charge(function);
	synclog_begin(&entry, function, settling->local);
	SPI_connect();
	end = subxact_run(settle_carry_out, settling, &settling->inserter,
					  settling->local);
	entry.public = settling->shared;
	entry.success = settling->conflicts == 0 &&
		(end == SUBXACT_DONE || !settling->single);
	entry.resolved = settling->resolved;
	if (!settling->single)
	{
		entry.conflicts = settling->conflicts;
		entry.refused_deletions = settling->refused_deletions;
	}
	synclog_write(&entry);
	SPI_finish();
}

/* Keep the row to return, where it survives the subtransaction. */
static void
keep_row(Settling *settling, Settled settled, const char *id,
		 const char *copy_id,
		 const Entity *now)
{
	ShownRow   *shown = settling->answer_arg;
	MemoryContext caller = MemoryContextSwitchTo(settling->context);

	shown->row = changes_form_row(now, shown->tupdesc);
	MemoryContextSwitchTo(caller);
}

/*
 * diagsync.resolve(local, entity_id, resolution, doc, expected)
 *
 * For the local diagram's owner, who may read the shared copy.  55000 where
 * the entity has no conflict, unless another version of it was expected.
 * Locks as settle_carry_out() does.
 */
DIAGSYNC_FUNCTION(diagsync_resolve)
{
	Settling	settling = {0};
	ShownRow	shown = {0};

	parse_arguments(fcinfo, &settling);
	if (get_call_result_type(fcinfo, NULL,
							 &shown.tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	shown.tupdesc = BlessTupleDesc(shown.tupdesc);
	settling.answer = keep_row;
	settling.answer_arg = &shown;
	settling.allow_deletions = true;
	resolve_run(&settling, "resolve");
	return HeapTupleGetDatum(shown.row);
}
