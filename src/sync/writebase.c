/*
 * writebase.c
 *	  The base rows of a batch: dropped and set before the entities are
 *	  written, put in afterwards.
 *
 * What is dropped or set exists, and is written by ctid: one that has changed
 * meanwhile is not that version any more.  What is put in is new, or is put
 * back: what was not stored as intended stays a change.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "principal/principal.h"
#include "statement/capturecheck.h"
#include "statement/ownersql.h"
#include "statement/rowwriter.h"
#include "sync/columns.h"
#include "sync/writebase.h"

static OwnerSql drop_bases =
OWNER_SQL("DELETE FROM diagsync_local.base AS b USING pg_catalog.unnest($1) AS c(tid)"
		  " WHERE b.ctid" EQ "c.tid",
		  1, TIDARRAYOID);

static OwnerSql set_bases =
OWNER_SQL("UPDATE diagsync_local.base AS b SET doc = c.doc,"
		  " changed_at = c.changed_at, changed_by = c.changed_by, unknown = c.unknown"
		  " FROM unnest($1, $2, $3, $4, $5) AS c(tid, doc, changed_at, changed_by, unknown)"
		  " WHERE b.ctid" EQ "c.tid",
		  5, TIDARRAYOID, JSONBARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID,
		  BOOLARRAYOID);

static OwnerSql accept_dangling =
OWNER_SQL("UPDATE diagsync_local.base AS b SET accepted = c.accepted::pg_catalog.text[]"
		  " FROM unnest($2, $3) AS c(id, accepted)"
		  " WHERE b.diagram_id" EQ "$1 AND b.id" EQ "c.id",
		  3, TEXTOID, TEXTARRAYOID, TEXTARRAYOID);

static OwnerSql upsert_bases =
OWNER_SQL("INSERT INTO diagsync_local.base AS b (diagram_id, id, doc, changed_at, changed_by, unknown)"
		  " SELECT $1, c.id, c.doc, c.changed_at, c.changed_by, c.unknown"
		  " FROM unnest($2, $3, $4, $5, $6) AS c(id, doc, changed_at, changed_by, unknown)"
		  " ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc,"
		  " changed_at = COALESCE(excluded.changed_at, b.changed_at),"
		  " changed_by = COALESCE(excluded.changed_by, b.changed_by),"
		  " unknown = excluded.unknown",
		  6, TEXTOID, TEXTARRAYOID, JSONBARRAYOID, TIMESTAMPTZARRAYOID,
		  TEXTARRAYOID, BOOLARRAYOID);

/* An array of ids, written as a text: arrays of arrays have one length */
static Datum
array_as_text(List *strings)
{
	int			n = 0;
	Datum	   *ids = palloc(list_length(strings) * sizeof(Datum));
	ListCell   *lc;

	foreach(lc, strings)
		ids[n++] = CStringGetTextDatum(lfirst(lc));
	return CStringGetTextDatum(OidOutputFunctionCall(F_ARRAY_OUT,
													 columns_array(ids, NULL,
																   n,
																   TEXTOID)));
}

/*
 * Note in base rows what a resolution has accepted.  No sync does.
 */
static void
accept_at(const SyncRun *run, List *items)
{
	Datum	   *keys = palloc(list_length(items) * sizeof(Datum));
	Datum	   *accepted = palloc(list_length(items) * sizeof(Datum));
	Datum		values[3];
	int			n = 0;
	ListCell   *lc;

	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);

		if (item->decision.accepted == NIL || item->copy_failed)
			continue;
		keys[n] = item->entity.key;
		accepted[n++] = array_as_text(item->decision.accepted);
	}
	if (n == 0)
		return;
	values[0] = run->link->local->key;
	values[1] = columns_array(keys, NULL, n, TEXTOID);
	values[2] = columns_array(accepted, NULL, n, TEXTOID);
	(void) ownersql_run(&accept_dangling, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT);
}

/* Delete base rows; false where one is not that version any more. */
static bool
delete_bases(const SyncRun *run, Columns *drop)
{
	RowWriter	writer;
	bool		complete = true;
	Datum		values[1];

	if (!run->direct_local)
	{
		values[0] = TIDS(drop);
		return ownersql_run(&drop_bases, STORAGE_LOCAL, values, NULL,
							OWNER_SQL_EXEMPT) == (uint64) drop->n;
	}
	rowwriter_open(&writer, STORAGE_LOCAL, TABLE_BASE, CMD_DELETE);
	for (int i = 0; i < drop->n && complete; i++)
	{
		CHECK_FOR_INTERRUPTS();
		complete = rowwriter_delete(&writer,
									(ItemPointer) DatumGetPointer(drop->tids[i]));
	}
	rowwriter_close(&writer);
	return complete;
}

/*
 * A base row is not that version any more, though its entity is locked:
 * changed by an administrator, who is past by the next try; or by a trigger of
 * an application that a copy has just fired, which will be there again.
 */
static PhaseEnd
base_moved(const SyncRun *run)
{
	if (run->lock_all)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("an entity of diagram \"%s\" was edited by a trigger while it was synced",
						run->link->local->id),
				 errhint("A trigger on table \"%s.entity\" edits other entities of the diagram. Resolve the conflicts one by one, or with something else than both.",
						 storage_schema(STORAGE_LOCAL))));
	return PHASE_OVERTAKEN;
}

static bool
update_base(RowWriter *writer, const SyncRun *run, const Columns *set, int n)
{
	Datum		values[BASE_NATTS] = {0};
	bool		nulls[BASE_NATTS] = {false};

	values[0] = run->link->local->key;
	values[Anum_base_id - 1] = set->keys[n];
	values[Anum_base_doc - 1] = set->docs[n];
	nulls[Anum_base_doc - 1] = set->no_doc[n];
	values[Anum_base_changed_at - 1] = set->times[n];
	nulls[Anum_base_changed_at - 1] = set->no_time[n];
	values[Anum_base_changed_by - 1] = set->principals[n];
	nulls[Anum_base_changed_by - 1] = set->no_principal[n];
	nulls[Anum_base_accepted - 1] = true;
	values[Anum_base_unknown - 1] = set->explanations[n];
	nulls[Anum_base_unknown - 1] = set->no_explanation[n];
	return rowwriter_update(writer,
							(ItemPointer) DatumGetPointer(set->tids[n]),
							values, nulls);
}

/* Set base rows; false where one is not that version any more. */
static bool
update_bases(const SyncRun *run, Columns *set)
{
	RowWriter	writer;
	bool		direct = run->direct_local;
	bool		complete = true;
	Datum		values[5];

	/* SQL leaves alone what it does not name. */
	for (int i = 0; i < set->n && direct; i++)
		direct = set->items[i]->entity.accepted == NIL;
	if (!direct)
	{
		values[0] = TIDS(set);
		values[1] = DOCS(set);
		values[2] = TIMES(set);
		values[3] = PRINCIPALS(set);
		values[4] = EXPLANATIONS(set);
		return ownersql_run(&set_bases, STORAGE_LOCAL, values, NULL,
							OWNER_SQL_EXEMPT) == (uint64) set->n;
	}
	rowwriter_open(&writer, STORAGE_LOCAL, TABLE_BASE, CMD_UPDATE);
	for (int i = 0; i < set->n && complete; i++)
	{
		CHECK_FOR_INTERRUPTS();
		complete = update_base(&writer, run, set, i);
	}
	rowwriter_close(&writer);
	return complete;
}

/*
 * Add the base row that an item is to have.  Where the local copy does not
 * have the entity then, that is its deletion, and the base row says when and
 * by whom: if nobody has deleted it yet, the caller does now.
 */
static void
add_set_base(Columns *set, SyncItem *item)
{
	Entity	   *entity = &item->entity;
	const Decision *decision = &item->decision;
	const Jsonb *doc = decision->local ? decision->local->doc : entity->local.doc;
	TimestampTz at = DT_NOBEGIN;
	const char *by = NULL;

	if (doc == NULL && entity->has_base_row)
	{
		at = entity->base.at;
		by = entity->base.by;
	}
	if (doc == NULL && at == DT_NOBEGIN && decision->explanation != EXPLANATION_MISSING &&
		decision->base_doc != NULL)
	{
		at = GetCurrentTransactionStartTimestamp();
		by = principal_current();
	}
	columns_add(set, item, &entity->base.tid, decision->base_doc, at, by);
	columns_set_explanation(set, decision->explanation);
}

/*
 * Drop and set the base rows that locked items have.
 */
PhaseEnd
writebase_change(const SyncRun *run, List *items)
{
	Columns		drop;
	Columns		set;
	ListCell   *lc;

	columns_init(&drop, list_length(items));
	columns_init(&set, list_length(items));
	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);
		Entity	   *entity = &item->entity;

		if (!entity->has_base_row || item->copy_failed)
			continue;
		if (item->decision.base == BASE_DROP)
			columns_add(&drop, item, &entity->base.tid, NULL, DT_NOBEGIN,
						NULL);
		else if (item->decision.base == BASE_SET)
			add_set_base(&set, item);
	}
	if (drop.n > 0 && !delete_bases(run, &drop))
		return base_moved(run);
	if (set.n > 0 && !update_bases(run, &set))
		return base_moved(run);
	accept_at(run, items);
	return PHASE_DONE;
}

/*
 * What the base row of an entity is to say whose versions stay as they are:
 * that the difference is unexplained, or that the shared copy's deletion is
 * known.
 */
static Explanation
lasting_explanation(const Entity *entity)
{
	if (entity->conflict == CONFLICT_UNKNOWN)
		return EXPLANATION_MISSING;
	return entity->public.doc == NULL && entity->base.doc != NULL ?
		EXPLANATION_KNOWN : EXPLANATION_BY_RECORDS;
}

/*
 * Where the base of an item must be written once more, the document that it is
 * to have, and what it is to say of the difference: what was not stored as
 * intended stays a change, on the side whose trigger made the difference.
 */
static bool
is_base_to_be_put(const SyncItem *item, Jsonb **doc, Explanation *explanation)
{
	const Entity *entity = &item->entity;
	const Decision *decision = &item->decision;
	bool		local_missed = decision->local != NULL &&
		item->local_outcome == OUTCOME_MISSED;
	bool		public_missed = decision->public != NULL &&
		item->public_outcome == OUTCOME_MISSED;

	*doc = NULL;
	*explanation = EXPLANATION_BY_RECORDS;
	if (item->copy_failed)
		return false;
	if (item->copy_of != NULL && public_missed)
		return true;
	if (local_missed)
	{
		*doc = entity->base.doc;
		*explanation = lasting_explanation(entity);
		return true;
	}
	if (public_missed)
	{
		/* What the local copy holds rests on the public version, if on any. */
		*doc = entity->public_change != CHANGE_NONE ? entity->public.doc :
			entity->base.doc;
		return true;
	}
	if (decision->base == BASE_SET)
	{
		*doc = decision->base_doc;
		*explanation = decision->explanation;
		return !entity->has_base_row;
	}
	if (decision->local != NULL && item->local_outcome == OUTCOME_ALTERED &&
		!(decision->base == BASE_KEEP && entity->has_base_row))
	{
		*doc = decision->local->doc;
		return true;
	}
	return false;
}

/*
 * Put in the base rows of written items that are new, and once more those of
 * what was not stored as intended.  Sets run->classify_own where the shared
 * copy holds something else than was sent.
 */
void
writebase_put(SyncRun *run, List *items)
{
	Columns		bases;
	ListCell   *lc;
	Datum		values[6];

	columns_init(&bases, list_length(items));
	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);
		Entity	   *entity = &item->entity;
		Jsonb	   *doc;
		Explanation explanation;

		if (is_base_to_be_put(item, &doc, &explanation))
		{
			if (item->decision.base == BASE_SET && doc == item->decision.base_doc &&
				!entity->has_base_row)
				add_set_base(&bases, item);
			else
				columns_add(&bases, item, NULL, doc,
							entity->has_base_row ? entity->base.at : DT_NOBEGIN,
							entity->has_base_row ? entity->base.by : NULL);
			columns_set_explanation(&bases, explanation);
		}
		if (item->decision.public != NULL && !item->copy_failed &&
			item->public_outcome == OUTCOME_ALTERED)
			run->classify_own = true;
	}
	if (bases.n == 0)
		return;
	values[0] = run->link->local->key;
	values[1] = KEYS(&bases);
	values[2] = DOCS(&bases);
	values[3] = TIMES(&bases);
	values[4] = PRINCIPALS(&bases);
	values[5] = EXPLANATIONS(&bases);
	if (ownersql_run(&upsert_bases, STORAGE_LOCAL, values, NULL,
					 OWNER_SQL_EXEMPT) != (uint64) bases.n)
		capturecheck_refuse(STORAGE_LOCAL, TABLE_BASE, run->link->local->id);
}
