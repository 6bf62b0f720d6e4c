/*
 * feed.c
 *	  What was written and deleted in a shared diagram since a reader looked
 *	  last: changes_since().  Read-only.
 *
 * What little has changed is found by revision, and returned in one page.
 * More than fits into that is returned in the order of ids, by walking through
 * the tables from where the last page ended: so all pages together cost one
 * walk, and each needs no more memory than it has entities.  What is written
 * meanwhile may be in one of them or not; it has not been seen by the snapshot
 * of the first page, which is what the reader has seen in the end, so it comes
 * afterwards in any case.
 *
 * Local diagrams have no tombstones and no index by revision.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "directory/directory.h"
#include "server/sqlfunction.h"
#include "tracking/candidate.h"
#include "tracking/mark.h"

/* A page ends with so many entities at most, ... */
#define PAGE_MAX 10000

/* ... and with so many bytes, if not before */
#define PAGE_BYTES (4 * 1024 * 1024)

/* A page in the making */
typedef struct FeedPage
{
	const Diagram *diagram;
	Snapshot	snapshot;
	int			max;
	Probe		entity;
	Probe		tombstone;
	StringInfoData json;		/* the array of what has changed */
	int			n;
	text	   *last;			/* the id that is last in it */
	MemoryContext entry;		/* for one entry at a time */
} FeedPage;

static bool
is_full(const FeedPage *page)
{
	return page->n >= page->max || page->json.len >= PAGE_BYTES;
}

static void
append_string(StringInfo json, Datum value)
{
	escape_json(json, TextDatumGetCString(value));
}

/*
 * Add an entity that is there, or one that was deleted: the row of a probe.
 */
static void
add_entry(FeedPage *page, TupleTableSlot *slot, bool deleted)
{
	MemoryContext caller = MemoryContextSwitchTo(page->entry);
	StringInfo	json = &page->json;
	bool		isnull;
	Datum		id = slot_getattr(slot, Anum_entity_id, &isnull);
	Datum		at;
	Datum		by;

	appendStringInfoString(json, page->n++ > 0 ? ", {\"id\": " : "{\"id\": ");
	append_string(json, id);
	appendStringInfo(json, ", \"deleted\": %s, \"doc\": ",
					 deleted ? "true" : "false");
	if (deleted)
		appendStringInfoString(json, "null");
	else
	{
		Jsonb	   *doc = DatumGetJsonbP(slot_getattr(slot, Anum_entity_doc,
													  &isnull));

		(void) JsonbToCString(json, &doc->root, VARSIZE(doc));
	}
	appendStringInfoString(json, ", \"modifiedAt\": ");
	at = slot_getattr(slot, deleted ? Anum_tombstone_deleted_at :
					  Anum_entity_modified_at, &isnull);
	if (isnull)
		appendStringInfoString(json, "null");
	else
	{
		char		buffer[MAXDATELEN + 1];

		JsonEncodeDateTime(buffer, at, TIMESTAMPTZOID, NULL);
		appendStringInfo(json, "\"%s\"", buffer);
	}
	appendStringInfoString(json, ", \"modifiedBy\": ");
	by = slot_getattr(slot, deleted ? Anum_tombstone_deleted_by :
					  Anum_entity_modified_by, &isnull);
	if (isnull)
		appendStringInfoString(json, "null");
	else
		append_string(json, by);
	appendStringInfoChar(json, '}');
	MemoryContextSwitchTo(caller);
	if (page->last != NULL)
		pfree(page->last);
	page->last = DatumGetTextPCopy(id);
	MemoryContextReset(page->entry);
}

/*
 * Add what has the ids of candidates.  Returns whether that is all of it.
 */
static bool
add_candidates(FeedPage *page, Candidates *candidates)
{
	Datum		id;

	while (candidates_next(candidates, &id))
	{
		CHECK_FOR_INTERRUPTS();
		if (is_full(page))
			return false;
		if (probe_find(&page->entity, page->diagram->key, id))
			add_entry(page, page->entity.slot, false);
		else if (probe_find(&page->tombstone, page->diagram->key, id))
			add_entry(page, page->tombstone.slot, true);
	}
	return true;
}

/*
 * Go to the first row whose id comes after that one; false if there is none.
 */
static bool
walk_after(Probe *probe, Datum diagram, Datum after)
{
	if (probe_walk(probe, diagram, after))
		return probe_next(probe, diagram);
	return !probe->at_end;
}

/* How the ids of two rows stand to each other, in the order of "C" */
static int
compare_ids(TupleTableSlot *a, TupleTableSlot *b)
{
	bool		isnull;
	text	   *x = DatumGetTextPP(slot_getattr(a, Anum_entity_id, &isnull));
	text	   *y = DatumGetTextPP(slot_getattr(b, Anum_tombstone_id,
												&isnull));
	int			x_len = VARSIZE_ANY_EXHDR(x);
	int			y_len = VARSIZE_ANY_EXHDR(y);
	int			order = memcmp(VARDATA_ANY(x), VARDATA_ANY(y),
							   Min(x_len, y_len));

	return order != 0 ? order : x_len - y_len;
}

static bool
is_unseen(const Seen *since, TupleTableSlot *slot, int attno)
{
	bool		isnull;

	return since == NULL ||
		!seen_has(since, SEEN_OWN_NONE,
				  (uint64) DatumGetInt64(slot_getattr(slot, attno,
													  &isnull)));
}

/*
 * Add what comes after an id and was not seen; of a reader who had seen
 * nothing no deletions.  Returns whether that is all of it.
 */
static bool
add_walked(FeedPage *page, const Seen *since, const char *after)
{
	Datum		key = page->diagram->key;
	Datum		from = CStringGetTextDatum(after);
	bool		entity = walk_after(&page->entity, key, from);
	bool		tombstone = since != NULL &&
		walk_after(&page->tombstone, key, from);

	while (entity || tombstone)
	{
		int			order = !entity ? 1 : !tombstone ? -1 :
			compare_ids(page->entity.slot, page->tombstone.slot);
		bool		unseen = (order <= 0 &&
							  is_unseen(since, page->entity.slot,
										Anum_entity_rev)) ||
			(order >= 0 && is_unseen(since, page->tombstone.slot,
									 Anum_tombstone_rev));

		CHECK_FOR_INTERRUPTS();
		if (unseen && is_full(page))
			return false;
		if (unseen)
			add_entry(page, order <= 0 ? page->entity.slot :
					  page->tombstone.slot, order > 0);
		if (order <= 0)
			entity = probe_next(&page->entity, key);
		if (order >= 0)
			tombstone = probe_next(&page->tombstone, key);
	}
	return true;
}

/*
 * Fill a page for a reader with that mark (NULL: who has seen nothing), and
 * make it their next one.  Returns whether there is more.
 */
static bool
fill(FeedPage *page, Mark *mark)
{
	const Seen *since = mark->after != NULL ? mark->since : mark->covers;
	Seen	   *now = mark->after != NULL ? mark->covers :
		mark_now(page->diagram, page->snapshot);
	bool		all = false;
	bool		walk = true;

	if (mark->after == NULL && since != NULL)
	{
		Candidates *candidates = candidates_collect_unseen(page->diagram,
														   since,
														   page->max + 1,
														   page->snapshot);

		if (candidates->added <= page->max)
		{
			walk = false;
			all = add_candidates(page, candidates);
		}
		candidates_end(candidates);
	}
	if (walk)
		all = add_walked(page, since, mark->after ? mark->after : "");

	mark->since = all ? NULL : unconstify(Seen *, since);
	mark->after = all ? NULL : text_to_cstring(page->last);
	mark->covers = now;
	return !all;
}

/*
 * Make a page.  The caller may read the diagram.
 */
static bool
make_page(FeedPage *page, Mark *mark)
{
	bool		more;

	initStringInfo(&page->json);
	page->entry = AllocSetContextCreate(CurrentMemoryContext,
										"diagsync feed entry",
										ALLOCSET_DEFAULT_SIZES);
	probe_open(&page->entity, page->diagram->storage, TABLE_ENTITY,
			   AccessShareLock);
	probe_open(&page->tombstone, page->diagram->storage, TABLE_TOMBSTONE,
			   AccessShareLock);
	probe_begin(&page->entity, page->snapshot);
	probe_begin(&page->tombstone, page->snapshot);
	appendStringInfoChar(&page->json, '[');
	more = fill(page, mark);
	appendStringInfoChar(&page->json, ']');
	probe_close(&page->entity);
	probe_close(&page->tombstone);
	MemoryContextDelete(page->entry);
	return more;
}

/* How many entities a page may have, as the caller says */
static int
max_arg(FunctionCallInfo fcinfo, const char *diagram)
{
	int			max;

	directory_refuse_null(PG_ARGISNULL(2), "max", diagram);
	max = PG_GETARG_INT32(2);
	if (max < 1 || max > PAGE_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"max\" for diagram \"%s\" must be between 1 and %d",
						diagram, PAGE_MAX)));
	return max;
}

/*
 * diagsync.changes_since(diagram, mark, max)
 *
 * For whoever may read the diagram, a shared one.  Takes no row locks.
 */
DIAGSYNC_FUNCTION(diagsync_changes_since)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										"diagram");
	FeedPage	page = {0};
	Mark	   *mark = NULL;
	Diagram    *diagram;
	char	   *stream;
	TupleDesc	tupdesc;
	Datum		values[4];
	bool		nulls[4] = {false};

	page.max = max_arg(fcinfo, id);
	page.snapshot = RegisterSnapshot(GetActiveSnapshot());
	page.diagram = diagram = directory_see(id, ACCESS_READER, page.snapshot);
	if (diagram->storage == STORAGE_LOCAL)
		directory_need_shared(diagram);
	if (!PG_ARGISNULL(1) && VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(1)) > 0)
		mark = mark_read(TextDatumGetCString(PG_GETARG_DATUM(1)), diagram);
	values[1] = BoolGetDatum(mark == NULL);
	if (mark == NULL)
		mark = palloc0(sizeof(Mark));
	stream = mark->stream != NULL ? mark->stream : mark_new_stream();
	values[2] = BoolGetDatum(make_page(&page, mark));
	mark->stream = stream;
	values[0] = CStringGetTextDatum(mark_write(mark, diagram));
	values[3] = PointerGetDatum(cstring_to_text_with_len(page.json.data,
														 page.json.len));
	UnregisterSnapshot(page.snapshot);
	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values,
											 nulls));
}
