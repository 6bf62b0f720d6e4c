/*
 * resolve.c
 *	  One conflict settled: resolve().
 *
 * It writes the local end only; what it leaves as a local change, the next push
 * sends.
 *
 * May call lock.c, apply.c, attempt.c, changes.c and what is below them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "apply.h"
#include "attempt.h"
#include "changes.h"
#include "directory.h"
#include "lock.h"
#include "principal.h"
#include "session.h"

PG_FUNCTION_INFO_V1(diagsync_resolve);

/* A call and what comes of it */
typedef struct Resolving
{
	char	   *local;
	char	   *entity_id;
	Resolution	resolution;
	Version		merged;
	char	   *expected;		/* or NULL */
	TupleDesc	tupdesc;
	MemoryContext context;		/* for the row */
	HeapTuple	row;
	TransactionId inserter;		/* to be waited for before the next try */
} Resolving;

static void
parse_arguments(FunctionCallInfo fcinfo, Resolving *resolving)
{
	char	   *resolution;

	resolving->local = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										  "local");
	directory_refuse_null(PG_ARGISNULL(1), "entity_id", resolving->local);
	resolving->entity_id = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" for entity \"%s\" of diagram \"%s\" must not be null",
						"resolution", resolving->entity_id, resolving->local)));
	resolution = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (!resolution_parse(resolution, &resolving->resolution) ||
		resolving->resolution == RESOLUTION_ABORT ||
		resolving->resolution == RESOLUTION_SKIP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown resolution \"%s\" for entity \"%s\" of diagram \"%s\"",
						resolution, resolving->entity_id, resolving->local),
				 errhint("It is local, public, both, newest or merged.")));
	if (resolving->resolution == RESOLUTION_MERGED)
	{
		if (PG_ARGISNULL(3))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("resolution \"merged\" of entity \"%s\" of diagram \"%s\" needs a document",
							resolving->entity_id, resolving->local),
					 errhint("Give the merged entity as \"doc\".")));
		resolving->merged.doc = PG_GETARG_JSONB_P(3);
		if (!JB_ROOT_IS_OBJECT(resolving->merged.doc))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the merged document for entity \"%s\" of diagram \"%s\" is not an object",
							resolving->entity_id, resolving->local),
					 errhint("An entity is a JSON object.")));
		resolving->merged.at = GetCurrentTransactionStartTimestamp();
		resolving->merged.by = principal_current();
	}
	else if (!PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("resolution \"%s\" of entity \"%s\" of diagram \"%s\" takes no document",
						resolution, resolving->entity_id, resolving->local),
				 errhint("Only \"merged\" does.")));
	resolving->expected = PG_ARGISNULL(4) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(4));
}

/* Keep the row to return, where it survives the subtransaction. */
static void
form_row(Resolving *resolving, const Entity *entity)
{
	MemoryContext caller = MemoryContextSwitchTo(resolving->context);

	resolving->row = changes_form_row(entity, resolving->tupdesc);
	MemoryContextSwitchTo(caller);
}

/*
 * Is the entity still as the caller was shown it?  An error where it is, but
 * has no conflict.
 */
static bool
is_as_expected(const Resolving *resolving, const Entity *entity)
{
	if (resolving->expected != NULL &&
		strcmp(resolving->expected, entity_version(entity)) != 0)
		return false;
	if (entity->conflict == CONFLICT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("entity \"%s\" of diagram \"%s\" has no conflict",
						resolving->entity_id, resolving->local),
				 errhint("diagsync.conflicts() lists the conflicts of a diagram.")));
	return true;
}

static AttemptEnd
process(void *arg)
{
	Resolving  *resolving = arg;
	Work		work = {0};
	WorkItem   *item = work_item(resolving->entity_id);
	WorkItem   *shown = item;
	List	   *items = list_make1(item);
	bool		expected;

	work.link = directory_lock_link(resolving->local, NULL);
	work.direction = DIRECTION_NONE;
	work.resolution = resolving->resolution;
	work.merged = &resolving->merged;
	work.own = U64FromFullTransactionId(GetTopFullTransactionId());
	reader_open(&work.reader, work.link, RowShareLock);

	reader_begin(&work.reader, GetTransactionSnapshot());
	(void) reader_read(&work.reader, &item->entity);
	expected = is_as_expected(resolving, &item->entity);
	if (expected)
	{
		effect_decide(&item->effect, &item->entity, work.direction,
					  work.resolution, work.merged);
		lock_items(&work, items);
		expected = !work.moved && is_as_expected(resolving, &item->entity);
	}
	if (expected && item->effect.copies)
	{
		shown = work_copy(&work, item);
		items = lappend(items, shown);
	}
	reader_end(&work.reader);

	if (expected)
		apply_write(&work, items);
	if (!work.moved)
	{
		reader_begin(&work.reader, GetTransactionSnapshot());
		(void) reader_read(&work.reader, &shown->entity);
		form_row(resolving, &shown->entity);
		reader_end(&work.reader);
	}
	reader_close(&work.reader);
	resolving->inserter = work.inserter;
	return work.moved ? ATTEMPT_AGAIN : expected ? ATTEMPT_DONE : ATTEMPT_UNDONE;
}

/*
 * diagsync.resolve(local, entity_id, resolution, doc, expected)
 *
 * Locks the local directory row FOR NO KEY UPDATE, the shared one FOR KEY SHARE,
 * the local entity and its base row.
 */
Datum
diagsync_resolve(PG_FUNCTION_ARGS)
{
	Resolving	resolving = {0};

	parse_arguments(fcinfo, &resolving);
	session_check_may_write("resolve", resolving.local, resolving.entity_id);
	if (get_call_result_type(fcinfo, NULL, &resolving.tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	resolving.tupdesc = BlessTupleDesc(resolving.tupdesc);
	resolving.context = CurrentMemoryContext;

	SPI_connect();
	(void) attempt_run(process, &resolving, &resolving.inserter,
					   resolving.local);
	SPI_finish();
	return HeapTupleGetDatum(resolving.row);
}
