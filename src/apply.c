/*
 * apply.c
 *	  A batch of entities that lock.c has locked, written.
 *
 * Writing comes in this order: copies that keep a local version, then base rows
 * are dropped or set, then the rest of the local end, then the far one.  An
 * application's trigger that edits an entity meanwhile thus finds the books as
 * they are afterwards, and its edit is noted like any other.  Rows are written
 * by ctid: one that such a trigger has changed since it was locked is passed
 * over.  (Without such triggers they are written without SQL; then one that has
 * changed was not locked, and the sync starts over.)  In the end, the base of what was not stored as intended is put back, so
 * that it stays a change.
 *
 * May call work.c, columns.c, document.c, command.c, noted.c and rowwriter.c.
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

#include "apply.h"
#include "columns.h"
#include "command.h"
#include "document.h"
#include "lock.h"
#include "noted.h"
#include "rowwriter.h"

static Command insert_entities =
COMMAND_INSERTING(1, 2,
	"INSERT INTO %1$s.entity AS e (diagram_id, id, doc, rev, modified_at, modified_by)"
	" SELECT $1, c.id, c.doc, $6, c.modified_at, c.modified_by"
	" FROM unnest($2, $3, $4, $5) AS c(id, doc, modified_at, modified_by)"
	" ON CONFLICT (diagram_id, id) DO NOTHING RETURNING e.id, e.doc",
		6, TEXTOID, TEXTARRAYOID, JSONBARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, INT8OID);

static Command update_entities =
COMMAND("UPDATE %1$s.entity AS e"
	" SET doc = c.doc, rev = $5, modified_at = c.modified_at, modified_by = c.modified_by"
	" FROM unnest($1, $2, $3, $4) WITH ORDINALITY AS c(tid, doc, modified_at, modified_by, n)"
	" WHERE e.ctid" EQ "c.tid RETURNING c.n, e.doc",
		5, TIDARRAYOID, JSONBARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, INT8OID);

static Command delete_entities =
COMMAND("DELETE FROM %1$s.entity AS e"
	" USING pg_catalog.unnest($1) WITH ORDINALITY AS c(tid, n)"
	" WHERE e.ctid" EQ "c.tid RETURNING c.n",
		1, TIDARRAYOID);

static Command upsert_tombstones =
COMMAND("INSERT INTO %1$s.tombstone AS t (diagram_id, id, rev, deleted_at, deleted_by)"
	" SELECT $1, c.id, $5, c.deleted_at, c.deleted_by"
	" FROM unnest($2, $3, $4) AS c(id, deleted_at, deleted_by)"
	" ON CONFLICT (diagram_id, id) DO UPDATE SET rev = excluded.rev,"
	" deleted_at = excluded.deleted_at, deleted_by = excluded.deleted_by",
		5, TEXTOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID, INT8OID);

static Command drop_bases =
COMMAND("DELETE FROM diagsync_local.base AS b USING pg_catalog.unnest($1) AS c(tid)"
	" WHERE b.ctid" EQ "c.tid",
		1, TIDARRAYOID);

static Command set_bases =
COMMAND("UPDATE diagsync_local.base AS b SET doc = c.doc"
	" FROM unnest($1, $2) AS c(tid, doc) WHERE b.ctid" EQ "c.tid",
		2, TIDARRAYOID, JSONBARRAYOID);

static Command accept_dangling =
COMMAND("UPDATE diagsync_local.base AS b SET accepted = $3"
	" WHERE b.diagram_id" EQ "$1 AND b.id" EQ "$2",
		3, TEXTOID, TEXTOID, TEXTARRAYOID);

static Command upsert_bases =
COMMAND("INSERT INTO diagsync_local.base AS b (diagram_id, id, doc, changed_at, changed_by)"
	" SELECT $1, c.id, c.doc, c.changed_at, c.changed_by"
	" FROM unnest($2, $3, $4, $5) AS c(id, doc, changed_at, changed_by)"
	" ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc,"
	" changed_at = COALESCE(excluded.changed_at, b.changed_at),"
	" changed_by = COALESCE(excluded.changed_by, b.changed_by)",
		5, TEXTOID, TEXTARRAYOID, JSONBARRAYOID, TIMESTAMPTZARRAYOID, TEXTARRAYOID);

static void
accept(const Work *work, const WorkItem *item)
{
	int			n = 0;
	Datum	   *ids = palloc(list_length(item->effect.accepted) * sizeof(Datum));
	Datum		values[3] = {work->link->local->key, item->entity.key, 0};
	ListCell   *lc;

	foreach(lc, item->effect.accepted)
		ids[n++] = CStringGetTextDatum(lfirst(lc));
	values[2] = columns_array(ids, NULL, n, TEXTOID);
	(void) command_run(&accept_dangling, STORAGE_LOCAL, values, NULL,
					   COMMAND_EXEMPT);
}

/* Delete base rows; false where one is not that version any more. */
static bool
delete_bases(const Work *work, Columns *drop)
{
	RowWriter	writer;
	bool		complete = true;
	Datum		values[1];

	if (!work->direct_local)
	{
		values[0] = TIDS(drop);
		return command_run(&drop_bases, STORAGE_LOCAL, values, NULL,
						   COMMAND_EXEMPT) == (uint64) drop->n;
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
 * A base row is not that version any more, though its entity is locked: changed by
 * an administrator, who is past by the next try; or by a trigger of an application
 * that a copy has just fired, which will be there again.
 */
static void
note_base_moved(Work *work)
{
	if (work->cautious)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("an entity of diagram \"%s\" was edited by a trigger while it was synced",
						work->link->local->id),
				 errhint("A trigger on table \"%s.entity\" edits other entities of the diagram. Resolve the conflicts one by one, or with something else than both.",
						 storage_schema(STORAGE_LOCAL))));
	work->moved = true;
}

static bool
update_base(RowWriter *writer, const Work *work, const Columns *set, int n)
{
	const Entity *entity = &set->items[n]->entity;
	Datum		values[6] = {0};
	bool		nulls[6] = {false};

	values[0] = work->link->local->key;
	values[Anum_base_id - 1] = set->keys[n];
	values[Anum_base_doc - 1] = set->docs[n];
	nulls[Anum_base_doc - 1] = set->no_doc[n];
	values[Anum_base_changed_at - 1] = TimestampTzGetDatum(entity->base.at);
	nulls[Anum_base_changed_at - 1] = entity->base.at == DT_NOBEGIN;
	nulls[Anum_base_changed_by - 1] = entity->base.by == NULL;
	if (entity->base.by != NULL)
		values[Anum_base_changed_by - 1] = CStringGetTextDatum(entity->base.by);
	nulls[Anum_base_accepted - 1] = true;
	return rowwriter_update(writer,
							(ItemPointer) DatumGetPointer(set->tids[n]),
							values, nulls);
}

/* Set base rows; false where one is not that version any more. */
static bool
update_bases(const Work *work, Columns *set)
{
	RowWriter	writer;
	bool		direct = work->direct_local;
	bool		complete = true;
	Datum		values[2];

	/* SQL leaves alone what it does not name. */
	for (int i = 0; i < set->n && direct; i++)
		direct = set->items[i]->entity.accepted == NIL;
	if (!direct)
	{
		values[0] = TIDS(set);
		values[1] = DOCS(set);
		return command_run(&set_bases, STORAGE_LOCAL, values, NULL,
						   COMMAND_EXEMPT) == (uint64) set->n;
	}
	rowwriter_open(&writer, STORAGE_LOCAL, TABLE_BASE, CMD_UPDATE);
	for (int i = 0; i < set->n && complete; i++)
	{
		CHECK_FOR_INTERRUPTS();
		complete = update_base(&writer, work, set, i);
	}
	rowwriter_close(&writer);
	return complete;
}

/*
 * Drop and set base rows.
 */
static void
drop_and_set_bases(Work *work, List *items)
{
	Columns		drop;
	Columns		set;
	ListCell   *lc;

	columns_init(&drop, list_length(items));
	columns_init(&set, list_length(items));
	foreach(lc, items)
	{
		WorkItem   *item = lfirst(lc);
		Entity	   *entity = &item->entity;

		if (!entity->has_base_row || item->withheld)
			continue;
		if (item->effect.base == BASE_DROP)
			columns_add(&drop, item, &entity->base.tid, NULL, DT_NOBEGIN, NULL);
		else if (item->effect.base == BASE_SET)
			columns_add(&set, item, &entity->base.tid, item->effect.base_doc,
						DT_NOBEGIN, NULL);
	}
	if (drop.n > 0 && !delete_bases(work, &drop))
		note_base_moved(work);
	if (set.n > 0 && !update_bases(work, &set))
		note_base_moved(work);

	/* Only resolve() does, for one entity. */
	foreach(lc, items)
	{
		WorkItem   *item = lfirst(lc);

		if (item->effect.accepted != NIL && !item->withheld)
			accept(work, item);
	}
}

/*
 * One end of a link: which of the two effects and outcomes is meant.
 */
typedef struct End
{
	Work	   *work;
	bool		is_local;
	const Diagram *diagram;
} End;

static const Version *
target_of(const End *end, const WorkItem *item)
{
	return end->is_local ? item->effect.local : item->effect.public;
}

static Version *
current_of(const End *end, WorkItem *item)
{
	return end->is_local ? &item->entity.local : &item->entity.public;
}

static Outcome *
outcome_of(const End *end, WorkItem *item)
{
	return end->is_local ? &item->local_outcome : &item->public_outcome;
}

/* Note what became of the write of an item, "stored" being what is there now. */
static void
note_stored(const End *end, WorkItem *item, const Jsonb *stored)
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
		int64		n = DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc,
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
									   &isnull)) != (int64) end->work->own;
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
		WorkItem   *item = deletes->items[i];
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
	values[4] = Int64GetDatum((int64) end->work->own);
	if (command_run(&upsert_tombstones, end->diagram->storage, values, NULL,
					COMMAND_EXEMPT) != (uint64) deleted.n)
		noted_refuse(end->diagram->storage, TABLE_TOMBSTONE, end->diagram->id);
}

/*
 * Update entities without SQL, where that serves.  One that is not that version
 * any more sets work->moved.
 */
static void
update_directly(const End *end, Columns *updates)
{
	RowWriter	writer;

	rowwriter_open(&writer, end->diagram->storage, TABLE_ENTITY, CMD_UPDATE);
	for (int i = 0; i < updates->n; i++)
	{
		Datum		values[6];
		bool		nulls[6] = {false};

		CHECK_FOR_INTERRUPTS();
		values[Anum_entity_diagram_id - 1] = end->diagram->key;
		values[Anum_entity_id - 1] = updates->keys[i];
		values[Anum_entity_doc - 1] = updates->docs[i];
		values[Anum_entity_rev - 1] = Int64GetDatum((int64) end->work->own);
		values[Anum_entity_modified_at - 1] = updates->times[i];
		values[Anum_entity_modified_by - 1] = updates->principals[i];
		if (!rowwriter_update(&writer,
							  (ItemPointer) DatumGetPointer(updates->tids[i]),
							  values, nulls))
		{
			end->work->moved = true;
			break;
		}
		*outcome_of(end, updates->items[i]) = OUTCOME_WRITTEN;
	}
	rowwriter_close(&writer);
}

/*
 * Write one end of the items; notes the outcomes.
 */
static void
write_end(const End *end, List *items)
{
	StorageType storage = end->diagram->storage;
	Columns		inserts;
	Columns		updates;
	Columns		deletes;
	ListCell   *lc;
	Datum		values[6];

	columns_init(&inserts, list_length(items));
	columns_init(&updates, list_length(items));
	columns_init(&deletes, list_length(items));
	foreach(lc, items)
	{
		WorkItem   *item = lfirst(lc);
		const Version *target = item->withheld ? NULL : target_of(end, item);
		Version    *current = current_of(end, item);
		Columns    *columns;

		if (target == NULL || (target->doc == NULL && current->doc == NULL))
			continue;
		columns = target->doc == NULL ? &deletes :
			current->doc == NULL ? &inserts : &updates;
		columns_add(columns, item, &current->tid, target->doc, target->at,
					target->by);
		*outcome_of(end, item) = OUTCOME_MISSED;
	}

	if (deletes.n > 0)
	{
		values[0] = TIDS(&deletes);
		(void) command_run(&delete_entities, storage, values, NULL,
						   COMMAND_EXEMPT);
		note_returned(end, &deletes);
		if (!end->is_local)
			upsert_deleted(end, &deletes);
	}
	if (updates.n > 0 && (end->is_local ? end->work->direct_local :
						  end->work->direct_public))
		update_directly(end, &updates);
	else if (updates.n > 0)
	{
		values[0] = TIDS(&updates);
		values[1] = DOCS(&updates);
		values[2] = TIMES(&updates);
		values[3] = PRINCIPALS(&updates);
		values[4] = Int64GetDatum((int64) end->work->own);
		(void) command_run(&update_entities, storage, values, NULL,
						   COMMAND_EXEMPT);
		note_returned(end, &updates);
	}
	if (inserts.n > 0)
	{
		values[0] = end->diagram->key;
		values[1] = KEYS(&inserts);
		values[2] = DOCS(&inserts);
		values[3] = TIMES(&inserts);
		values[4] = PRINCIPALS(&inserts);
		values[5] = Int64GetDatum((int64) end->work->own);
		if (command_run(&insert_entities, storage, values, NULL,
						COMMAND_EXEMPT) < (uint64) inserts.n)
		{
			note_inserted(end, &inserts);
			if (is_inserted_by_others(end, &inserts))
				end->work->moved = true;
		}
		else
			note_inserted(end, &inserts);
	}
	if (!end->is_local && (inserts.n > 0 || updates.n > 0 || deletes.n > 0))
		end->work->public_written = true;
}

/*
 * Where the base of an item must be written once more, the document that it is to
 * have: what was not stored as intended stays a change, at the end whose trigger
 * made the difference.
 */
static bool
is_base_to_be_put(const WorkItem *item, Jsonb **doc)
{
	const Entity *entity = &item->entity;
	const Effect *effect = &item->effect;
	bool		local_missed = effect->local != NULL &&
		item->local_outcome == OUTCOME_MISSED;
	bool		public_missed = effect->public != NULL &&
		item->public_outcome == OUTCOME_MISSED;

	*doc = NULL;
	if (item->withheld)
		return false;
	if (item->copy_of != NULL && public_missed)
		return true;
	if (local_missed)
	{
		*doc = entity->base.doc;
		return true;
	}
	if (public_missed)
	{
		/* What the local end holds rests on the public version, if on any. */
		*doc = entity->public_change != CHANGE_NONE ? entity->public.doc :
			entity->base.doc;
		return true;
	}
	if (effect->base == BASE_SET)
	{
		*doc = effect->base_doc;
		return !entity->has_base_row;
	}
	if (effect->local != NULL && item->local_outcome == OUTCOME_ALTERED &&
		!(effect->base == BASE_KEEP && entity->has_base_row))
	{
		*doc = effect->local->doc;
		return true;
	}
	return false;
}

static void
put_bases(Work *work, List *items)
{
	Columns		bases;
	ListCell   *lc;
	Datum		values[5];

	columns_init(&bases, list_length(items));
	foreach(lc, items)
	{
		WorkItem   *item = lfirst(lc);
		Entity	   *entity = &item->entity;
		Jsonb	   *doc;

		if (is_base_to_be_put(item, &doc))
			columns_add(&bases, item, NULL, doc,
						entity->has_base_row ? entity->base.at : DT_NOBEGIN,
						entity->has_base_row ? entity->base.by : NULL);
		if (item->effect.public != NULL && !item->withheld &&
			item->public_outcome == OUTCOME_ALTERED)
			work->weigh_own = true;
	}
	if (bases.n == 0)
		return;
	values[0] = work->link->local->key;
	values[1] = KEYS(&bases);
	values[2] = DOCS(&bases);
	values[3] = TIMES(&bases);
	values[4] = PRINCIPALS(&bases);
	if (command_run(&upsert_bases, STORAGE_LOCAL, values, NULL,
					COMMAND_EXEMPT) != (uint64) bases.n)
		noted_refuse(STORAGE_LOCAL, TABLE_BASE, work->link->local->id);
}

/*
 * Write the effects of locked items, and of copies; notes the outcomes.  The
 * caller is connected to SPI.  Where it sets work->moved, all that the sync has
 * done must be rolled back and done again.
 */
void
apply_write(Work *work, List *items)
{
	End			local = {work, true, work->link->local};
	End			public = {work, false, work->link->public};
	List	   *copies = NIL;
	List	   *others = NIL;
	ListCell   *lc;

	lock_check_inserts(work, items);
	if (work->moved)
		return;

	/*
	 * Copies first: where a trigger does not let one be, the conflict stays as
	 * it is, or else the local version would be nowhere.
	 */
	foreach(lc, items)
	{
		WorkItem   *item = lfirst(lc);

		if (item->copy_of != NULL)
			copies = lappend(copies, item);
		else
			others = lappend(others, item);
	}
	if (copies != NIL)
		write_end(&local, copies);
	foreach(lc, copies)
	{
		WorkItem   *copy = lfirst(lc);

		if (copy->local_outcome != OUTCOME_MISSED)
			continue;
		copy->withheld = copy->copy_of->withheld = true;
		if (copy->copy_of->entity.ties != NULL &&
			copy->copy_of->entity.ties->copy_id != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("the copy of entity \"%s\" of diagram \"%s\" could not be stored, and other entities are to refer to it",
							copy->copy_of->entity.id, work->link->local->id),
					 errhint("A trigger on table \"%s.entity\" keeps it out. Resolve the conflict with local, public or merged.",
							 storage_schema(STORAGE_LOCAL))));
	}

	drop_and_set_bases(work, others);
	if (!work->moved)
		write_end(&local, others);
	if (!work->moved)
		write_end(&public, items);
	if (!work->moved)
		put_bases(work, items);
}
