/*
 * weigh.c
 *	  One entity in its three versions (base, local, public), read and weighed
 *	  against each other: the table "What counts as a change" of
 *	  docs/how-it-works.md.
 *
 * This is the one place that says what a change and a conflict is.
 *
 * May call storage.c, directory.c and document.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "document.h"
#include "weigh.h"

static const char *const change_names[] = {
	[CHANGE_NONE] = NULL,
	[CHANGE_INSERT] = "insert",
	[CHANGE_UPDATE] = "update",
	[CHANGE_DELETE] = "delete",
};

static const char *const conflict_names[] = {
	[CONFLICT_NONE] = NULL,
	[CONFLICT_UPDATE_UPDATE] = "update_update",
	[CONFLICT_UPDATE_DELETE] = "update_delete",
	[CONFLICT_DELETE_UPDATE] = "delete_update",
	[CONFLICT_INSERT_INSERT] = "insert_insert",
};

/*
 * Open the tables of both ends of a link; the lock mode is for those whose rows
 * may be locked.
 */
void
reader_open(Reader *reader, const Link *link, LOCKMODE lockmode)
{
	reader->link = link;
	reader->snapshot = NULL;
	probe_open(&reader->local, STORAGE_LOCAL, TABLE_ENTITY, lockmode);
	probe_open(&reader->base, STORAGE_LOCAL, TABLE_BASE, lockmode);
	probe_open(&reader->public, link->public->storage, TABLE_ENTITY, lockmode);
	probe_open(&reader->tombstone, link->public->storage, TABLE_TOMBSTONE,
			   AccessShareLock);
}

/*
 * Read under a snapshot, which is registered, until reader_end().
 */
void
reader_begin(Reader *reader, Snapshot snapshot)
{
	reader->snapshot = snapshot = RegisterSnapshot(snapshot);
	probe_begin(&reader->local, snapshot);
	probe_begin(&reader->base, snapshot);
	probe_begin(&reader->public, snapshot);
	probe_begin(&reader->tombstone, snapshot);
}

static void
set_time(Version *version, TupleTableSlot *slot, int at_attno, int by_attno)
{
	bool		isnull;
	Datum		value;

	value = slot_getattr(slot, at_attno, &isnull);
	version->at = isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
	value = slot_getattr(slot, by_attno, &isnull);
	version->by = isnull ? NULL : TextDatumGetCString(value);
}

/* Returns the size of the document. */
static Size
set_version(Version *version, TupleTableSlot *slot, int doc_attno,
			int at_attno, int by_attno)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, doc_attno, &isnull);

	version->tid = slot->tts_tid;
	version->doc = isnull ? NULL : DatumGetJsonbPCopy(value);
	set_time(version, slot, at_attno, by_attno);
	return isnull ? 0 : VARSIZE(version->doc);
}

static void
set_absent(Version *version)
{
	version->doc = NULL;
	version->at = DT_NOBEGIN;
	version->by = NULL;
	ItemPointerSetInvalid(&version->tid);
}

/*
 * Read the versions of the entity whose id and key are set, and weigh them.
 * What they point to is palloc'd; returns how large the documents are.
 */
Size
reader_read(Reader *reader, Entity *entity)
{
	Size		size = 0;

	if (probe_find(&reader->local, reader->link->local->key, entity->key))
		size += set_version(&entity->local, reader->local.slot,
							Anum_entity_doc, Anum_entity_modified_at,
							Anum_entity_modified_by);
	else
		set_absent(&entity->local);

	if (probe_find(&reader->public, reader->link->public->key, entity->key))
		size += set_version(&entity->public, reader->public.slot,
							Anum_entity_doc, Anum_entity_modified_at,
							Anum_entity_modified_by);
	else
		set_absent(&entity->public);

	entity->has_base_row = probe_find(&reader->base, reader->link->local->key,
									  entity->key);
	if (entity->has_base_row)
	{
		size += set_version(&entity->base, reader->base.slot,
							Anum_base_doc, Anum_base_changed_at,
							Anum_base_changed_by);
		if (entity->local.doc == NULL)
		{
			entity->local.at = entity->base.at;
			entity->local.by = entity->base.by;
		}
	}
	else
	{
		entity->base = entity->local;
		ItemPointerSetInvalid(&entity->base.tid);
	}

	entity_weigh(entity);

	/* When and by whom it was deleted, the tombstone says. */
	if (entity->public.doc == NULL && entity->base.doc != NULL &&
		probe_find(&reader->tombstone, reader->link->public->key, entity->key))
		set_time(&entity->public, reader->tombstone.slot,
				 Anum_tombstone_deleted_at, Anum_tombstone_deleted_by);
	return size;
}

/*
 * Is there an entity or a base row with this id on either end?
 */
bool
reader_id_is_taken(Reader *reader, const char *id)
{
	Datum		key = CStringGetTextDatum(id);

	return probe_find(&reader->local, reader->link->local->key, key) ||
		probe_find(&reader->public, reader->link->public->key, key) ||
		probe_find(&reader->base, reader->link->local->key, key);
}

/*
 * End reading under the snapshot.
 */
void
reader_end(Reader *reader)
{
	probe_end(&reader->local);
	probe_end(&reader->base);
	probe_end(&reader->public);
	probe_end(&reader->tombstone);
	UnregisterSnapshot(reader->snapshot);
	reader->snapshot = NULL;
}

/*
 * Close the tables.
 */
void
reader_close(Reader *reader)
{
	probe_close(&reader->local);
	probe_close(&reader->base);
	probe_close(&reader->public);
	probe_close(&reader->tombstone);
}

/*
 * Name of a change, NULL for none.
 */
const char *
change_name(ChangeKind change)
{
	return change_names[change];
}

/*
 * Name of a kind of conflict, NULL for none.
 */
const char *
conflict_name(ConflictKind conflict)
{
	return conflict_names[conflict];
}

static ChangeKind
change_since(const Jsonb *base, const Jsonb *now)
{
	if (document_equal(base, now))
		return CHANGE_NONE;
	if (base == NULL)
		return CHANGE_INSERT;
	if (now == NULL)
		return CHANGE_DELETE;
	return CHANGE_UPDATE;
}

/*
 * Weigh the three versions of an entity: sets its verdict.
 */
void
entity_weigh(Entity *entity)
{
	entity->equal = document_equal(entity->local.doc, entity->public.doc);
	entity->conflict = CONFLICT_NONE;
	entity->local_change = CHANGE_NONE;
	entity->public_change = CHANGE_NONE;
	if (entity->equal)
		return;

	if (entity->has_base_row)
		entity->local_change = change_since(entity->base.doc, entity->local.doc);
	entity->public_change = change_since(entity->base.doc, entity->public.doc);
	if (entity->local_change == CHANGE_NONE ||
		entity->public_change == CHANGE_NONE)
		return;

	if (entity->base.doc == NULL)
		entity->conflict = CONFLICT_INSERT_INSERT;
	else if (entity->public.doc == NULL)
		entity->conflict = CONFLICT_UPDATE_DELETE;
	else if (entity->local.doc == NULL)
		entity->conflict = CONFLICT_DELETE_UPDATE;
	else
		entity->conflict = CONFLICT_UPDATE_UPDATE;
}

/*
 * A digest of the three versions by value; 64 hexadecimal digits, palloc'd.
 */
char *
entity_version(const Entity *entity)
{
	Digest	   *digest = digest_begin();

	digest_document(digest, entity->base.doc);
	digest_document(digest, entity->local.doc);
	digest_document(digest, entity->public.doc);
	return digest_end(digest);
}
