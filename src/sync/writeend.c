/*
 * writeend.c
 *	  The entities of a batch in one copy of a link, written: the one way in
 *	  which a sync writes entities, with SQL and without.
 *
 * Rows are written by ctid: one that a trigger of an application has changed
 * since it was locked is passed over.  (Without such triggers they are updated
 * without SQL; then one that has changed was not locked, and the sync starts
 * over.)  What became of each is noted in the item.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "json/document.h"
#include "statement/capturecheck.h"
#include "statement/ownersql.h"
#include "statement/rowwriter.h"
#include "sync/columns.h"
#include "sync/writeend.h"

static OwnerSql insert_entities =
OWNER_SQL_INSERTING(1, 2,
					"INSERT INTO %1$s.entity AS e (diagram_id, id, doc, rev, modified_at, modified_by)"
					" SELECT $1, c.id, c.doc, $6, c.modified_at, c.modified_by"
					" FROM unnest($2, $3, $4, $5) AS c(id, doc, modified_at, modified_by)"
					" ON CONFLICT (diagram_id, id) DO NOTHING RETURNING e.id, e.doc",
					6, TEXTOID, TEXTARRAYOID, JSONBARRAYOID,
					TIMESTAMPTZARRAYOID, TEXTARRAYOID, INT8OID);

static OwnerSql update_entities =
OWNER_SQL("UPDATE %1$s.entity AS e"
		  " SET doc = c.doc, rev = $5, modified_at = c.modified_at, modified_by = c.modified_by"
		  " FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS c(tid, doc, modified_at, modified_by, n)"
		  " WHERE e.ctid" EQ "c.tid RETURNING c.n, e.doc",
		  5, TIDARRAYOID, JSONBARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID,
		  INT8OID);

static OwnerSql delete_entities =
OWNER_SQL("DELETE FROM %1$s.entity AS e"
		  " USING pg_catalog.unnest($1) WITH ORDINALITY AS c(tid, n)"
		  " WHERE e.ctid" EQ "c.tid RETURNING c.n",
		  1, TIDARRAYOID);

static OwnerSql upsert_tombstones =
OWNER_SQL("INSERT INTO %1$s.tombstone AS t (diagram_id, id, rev, deleted_at, deleted_by)"
		  " SELECT $1, c.id, $5, c.deleted_at, c.deleted_by"
		  " FROM unnest($2, $3, $4) AS c(id, deleted_at, deleted_by)"
		  " ON CONFLICT (diagram_id, id) DO UPDATE SET rev = excluded.rev,"
		  " deleted_at = excluded.deleted_at, deleted_by = excluded.deleted_by",
		  5, TEXTOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID,
		  INT8OID);

/*
 * One copy of a link: which of the two decisions and outcomes is meant.
 */
typedef struct End
{
	SyncRun    *run;
	bool		is_local;
	const Diagram *diagram;
} End;

static const Version *
target_of(const End *end, const SyncItem *item)
{
	return end->is_local ? item->decision.local : item->decision.public;
}

static Version *
current_of(const End *end, SyncItem *item)
{
	return end->is_local ? &item->entity.local : &item->entity.public;
}

static Outcome *
outcome_of(const End *end, SyncItem *item)
{
	return end->is_local ? &item->local_outcome : &item->public_outcome;
}

/*
 * Note what became of the write of an item, "stored" being what is there now.
 */
static void
note_stored(const End *end, SyncItem *item, const Jsonb *stored)
{
	*outcome_of(end, item) =
		document_equal(stored, target_of(end, item)->doc) ?
		OUTCOME_WRITTEN : OUTCOME_ALTERED;
}

/* The columns n (from 1) and doc of UPDATE and DELETE ... RETURNING */
static void
note_returned(const End *end, Columns *columns)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		bool		isnull;
		int64		n = DatumGetInt64(SPI_getbinval(tuple,
													SPI_tuptable->tupdesc,
													1, &isnull));
		Jsonb	   *stored = NULL;

		if (SPI_tuptable->tupdesc->natts > 1)
			stored = DatumGetJsonbP(SPI_getbinval(tuple, SPI_tuptable->tupdesc,
												  2, &isnull));
		note_stored(end, columns->items[n - 1], stored);
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * The columns id and doc of INSERT ... RETURNING; rows come back in the order
 * of the array, those left out missing.
 */
static void
note_inserted(const End *end, Columns *columns)
{
	int			n = 0;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		bool		isnull;
		char	   *id = TextDatumGetCString(SPI_getbinval(tuple,
														   SPI_tuptable->tupdesc,
														   1, &isnull));
		Jsonb	   *stored = DatumGetJsonbP(SPI_getbinval(tuple,
														  SPI_tuptable->tupdesc,
														  2, &isnull));

		for (int m = n; m < columns->n; m++)
		{
			if (strcmp(columns->items[m]->entity.id, id) == 0)
			{
				note_stored(end, columns->items[m], stored);
				n = m + 1;
				break;
			}
		}
		pfree(id);
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Was an insert missed because somebody else has inserted that id meanwhile?
 * (An application's trigger of this transaction may have done so too; that is
 * an edit on top.)
 */
static bool
is_inserted_by_others(const End *end, Columns *columns)
{
	Probe		probe;
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	bool		found = false;

	probe_open(&probe, end->diagram->storage, TABLE_ENTITY, AccessShareLock);
	probe_begin(&probe, snapshot);
	for (int i = 0; i < columns->n && !found; i++)
	{
		bool		isnull;

		found = *outcome_of(end, columns->items[i]) == OUTCOME_MISSED &&
			probe_find(&probe, end->diagram->key, columns->keys[i]) &&
			DatumGetInt64(slot_getattr(probe.slot, Anum_entity_rev,
									   &isnull)) != (int64) end->run->own;
	}
	probe_close(&probe);
	UnregisterSnapshot(snapshot);
	return found;
}

static void
upsert_deleted(const End *end, Columns *deletes)
{
	Columns		deleted;
	Datum		values[5];

	columns_init(&deleted, deletes->n);
	for (int i = 0; i < deletes->n; i++)
	{
		SyncItem   *item = deletes->items[i];
		const Version *target = target_of(end, item);

		if (*outcome_of(end, item) != OUTCOME_MISSED)
			columns_add(&deleted, item, NULL, NULL, target->at, target->by);
	}
	if (deleted.n == 0)
		return;
	values[0] = end->diagram->key;
	values[1] = KEYS(&deleted);
	values[2] = TIMES(&deleted);
	values[3] = PRINCIPALS(&deleted);
	values[4] = Int64GetDatum((int64) end->run->own);
	if (ownersql_run(&upsert_tombstones, end->diagram->storage, values, NULL,
					 OWNER_SQL_EXEMPT) != (uint64) deleted.n)
		capturecheck_refuse(end->diagram->storage, TABLE_TOMBSTONE,
							end->diagram->id);
}

/*
 * Update entities without SQL, where that serves.  OVERTAKEN where one is not
 * that version any more.
 */
static PhaseEnd
update_directly(const End *end, Columns *updates)
{
	RowWriter	writer;
	PhaseEnd	phase = PHASE_DONE;

	rowwriter_open(&writer, end->diagram->storage, TABLE_ENTITY, CMD_UPDATE);
	for (int i = 0; i < updates->n; i++)
	{
		Datum		values[6];
		bool		nulls[6] = {false};

		CHECK_FOR_INTERRUPTS();
		values[Anum_entity_diagram_id - 1] = end->diagram->key;
		values[Anum_entity_id - 1] = updates->keys[i];
		values[Anum_entity_doc - 1] = updates->docs[i];
		values[Anum_entity_rev - 1] = Int64GetDatum((int64) end->run->own);
		values[Anum_entity_modified_at - 1] = updates->times[i];
		values[Anum_entity_modified_by - 1] = updates->principals[i];
		if (!rowwriter_update(&writer,
							  (ItemPointer) DatumGetPointer(updates->tids[i]),
							  values, nulls))
		{
			phase = PHASE_OVERTAKEN;
			break;
		}
		*outcome_of(end, updates->items[i]) = OUTCOME_WRITTEN;
	}
	rowwriter_close(&writer);
	return phase;
}

static void
delete_entities_of(const End *end, Columns *deletes)
{
	Datum		values[1] = {TIDS(deletes)};

	(void) ownersql_run(&delete_entities, end->diagram->storage, values, NULL,
						OWNER_SQL_EXEMPT);
	note_returned(end, deletes);
	if (!end->is_local)
		upsert_deleted(end, deletes);
}

/* Whether SQL is needed has been decided when both copies were opened. */
static PhaseEnd
update_entities_of(const End *end, Columns *updates)
{
	Datum		values[5];

	if (end->is_local ? end->run->direct_local : end->run->direct_public)
		return update_directly(end, updates);
	values[0] = TIDS(updates);
	values[1] = DOCS(updates);
	values[2] = TIMES(updates);
	values[3] = PRINCIPALS(updates);
	values[4] = Int64GetDatum((int64) end->run->own);
	(void) ownersql_run(&update_entities, end->diagram->storage, values, NULL,
						OWNER_SQL_EXEMPT);
	note_returned(end, updates);
	return PHASE_DONE;
}

/* OVERTAKEN where somebody else has inserted one of them. */
static PhaseEnd
insert_entities_of(const End *end, Columns *inserts)
{
	Datum		values[6];
	bool		complete;

	values[0] = end->diagram->key;
	values[1] = KEYS(inserts);
	values[2] = DOCS(inserts);
	values[3] = TIMES(inserts);
	values[4] = PRINCIPALS(inserts);
	values[5] = Int64GetDatum((int64) end->run->own);
	complete = ownersql_run(&insert_entities, end->diagram->storage, values,
							NULL, OWNER_SQL_EXEMPT) == (uint64) inserts->n;
	note_inserted(end, inserts);
	if (!complete && is_inserted_by_others(end, inserts))
		return PHASE_OVERTAKEN;
	return PHASE_DONE;
}

/*
 * Write the local copy of locked items, or the shared one: what is to be
 * deleted, then updated, then inserted there.  Notes the outcomes.
 */
PhaseEnd
writeend_write(SyncRun *run, bool is_local, List *items)
{
	End			end = {run, is_local,
	is_local ? run->link->local : run->link->public};
	PhaseEnd	phase = PHASE_DONE;
	Columns		inserts;
	Columns		updates;
	Columns		deletes;
	ListCell   *lc;

	columns_init(&inserts, list_length(items));
	columns_init(&updates, list_length(items));
	columns_init(&deletes, list_length(items));
	foreach(lc, items)
	{
		SyncItem   *item = lfirst(lc);
		const Version *target = item->copy_failed ? NULL : target_of(&end,
																	 item);
		Version    *current = current_of(&end, item);
		Columns    *columns;

		if (target == NULL || (target->doc == NULL && current->doc == NULL))
			continue;
		columns = target->doc == NULL ? &deletes :
			current->doc == NULL ? &inserts : &updates;
		columns_add(columns, item, &current->tid, target->doc, target->at,
					target->by);
		*outcome_of(&end, item) = OUTCOME_MISSED;
	}

	if (deletes.n > 0)
		delete_entities_of(&end, &deletes);
	if (updates.n > 0)
		phase = update_entities_of(&end, &updates);
	if (inserts.n > 0 && phase == PHASE_DONE)
		phase = insert_entities_of(&end, &inserts);
	if (!is_local && (inserts.n > 0 || updates.n > 0 || deletes.n > 0))
		run->public_written = true;
	return phase;
}
