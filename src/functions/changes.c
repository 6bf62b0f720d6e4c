/*
 * changes.c
 *	  Which entities differ: changes(), conflicts(); status() counts them.
 *	  Read-only.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "directory/directory.h"
#include "functions/changes.h"
#include "reconcile/dependency.h"
#include "server/sqlfunction.h"
#include "tracking/candidate.h"

#define CHANGE_COLUMNS 14

static Datum
text_or_null(const char *string, bool *isnull)
{
	*isnull = string == NULL;
	return string ? CStringGetTextDatum(string) : (Datum) 0;
}

static Datum
doc_or_null(const Jsonb *doc, bool *isnull)
{
	*isnull = doc == NULL;
	return PointerGetDatum(doc);
}

static Datum
time_or_null(TimestampTz at, bool *isnull)
{
	*isnull = at == DT_NOBEGIN;
	return TimestampTzGetDatum(at);
}

/*
 * A row of diagsync.change for a classified entity.  palloc'd.
 */
HeapTuple
changes_form_row(const Entity *entity, TupleDesc tupdesc)
{
	Datum		values[CHANGE_COLUMNS];
	bool		nulls[CHANGE_COLUMNS] = {false};
	const char *side = NULL;

	if (entity->local_change != CHANGE_NONE)
		side = entity->public_change != CHANGE_NONE ? "both" : "local";
	else if (entity->public_change != CHANGE_NONE)
		side = "public";

	values[0] = entity->key;
	values[1] = text_or_null(side, &nulls[1]);
	values[2] = text_or_null(change_name(entity->local_change), &nulls[2]);
	values[3] = text_or_null(change_name(entity->public_change), &nulls[3]);
	values[4] = text_or_null(conflict_name(entity->conflict), &nulls[4]);
	nulls[5] = entity->conflict == CONFLICT_NONE;
	if (!nulls[5])
		values[5] = PointerGetDatum(entity_paths(entity));
	values[6] = doc_or_null(entity->base.doc, &nulls[6]);
	values[7] = doc_or_null(entity->local.doc, &nulls[7]);
	values[8] = doc_or_null(entity->public.doc, &nulls[8]);
	values[9] = time_or_null(entity->local.at, &nulls[9]);
	values[10] = text_or_null(entity->local.by, &nulls[10]);
	values[11] = time_or_null(entity->public.at, &nulls[11]);
	values[12] = text_or_null(entity->public.by, &nulls[12]);
	values[13] = CStringGetTextDatum(entity_version(entity));
	return heap_form_tuple(tupdesc, values, nulls);
}

/*
 * Classify the candidates of a link under a registered snapshot, one after the
 * other, and call "look" with each.  "referrers": say also which entities refer
 * to one that was deleted.
 */
void
changes_classify(const Link *link, Snapshot snapshot, bool referrers,
				 void (*look) (const Entity *entity, void *arg), void *arg)
{
	Candidates *candidates = candidates_collect(link, snapshot);
	Reader		reader;
	DependencySet *dependencies;
	MemoryContext row_context;
	Datum		id;

	if (candidates->added == 0)
	{
		candidates_end(candidates);
		return;
	}
	reader_open(&reader, link, AccessShareLock, AccessShareLock);
	dependencies = dependencies_collect(&reader, candidates, snapshot, false);
	reader_begin(&reader, snapshot);
	row_context = AllocSetContextCreate(CurrentMemoryContext, "diagsync change",
										ALLOCSET_DEFAULT_SIZES);
	while (candidates_next(candidates, &id))
	{
		MemoryContext caller = MemoryContextSwitchTo(row_context);
		Entity		entity = {0};

		CHECK_FOR_INTERRUPTS();
		entity.id = TextDatumGetCString(id);
		entity.key = id;
		entity.found_at = candidates->found_at;
		entity.dependencies = dependencyset_next(dependencies, entity.id,
												 referrers);
		(void) reader_read(&reader, &entity);
		look(&entity, arg);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row_context);
	}
	MemoryContextDelete(row_context);
	reader_end(&reader);
	dependencyset_end(dependencies);
	reader_close(&reader);
	candidates_end(candidates);
}

static void
put_row(const Entity *entity, ReturnSetInfo *result)
{
	tuplestore_puttuple(result->setResult,
						changes_form_row(entity, result->setDesc));
}

static void
put_change(const Entity *entity, void *result)
{
	if (entity->local_change != CHANGE_NONE ||
		entity->public_change != CHANGE_NONE)
		put_row(entity, result);
}

static void
put_conflict(const Entity *entity, void *result)
{
	if (entity->conflict != CONFLICT_NONE)
		put_row(entity, result);
}

/*
 * Return the entities of a link that "look" puts in.
 */
static Datum
list_changes(FunctionCallInfo fcinfo,
			 void (*look) (const Entity *entity, void *result))
{
	char	   *local = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										   "local");
	Snapshot	snapshot = RegisterSnapshot(GetActiveSnapshot());
	Link	   *link = directory_read_link(local, NULL, ACCESS_READER,
										   snapshot);

	InitMaterializedSRF(fcinfo, 0);
	changes_classify(link, snapshot, true, look, fcinfo->resultinfo);
	UnregisterSnapshot(snapshot);
	return (Datum) 0;
}

/*
 * diagsync.changes(local)
 */
DIAGSYNC_FUNCTION(diagsync_changes)
{
	return list_changes(fcinfo, put_change);
}

/*
 * diagsync.conflicts(local)
 */
DIAGSYNC_FUNCTION(diagsync_conflicts)
{
	return list_changes(fcinfo, put_conflict);
}
