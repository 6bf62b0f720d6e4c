/*
 * weigh.c
 *	  One entity in its three versions (base, local, public), read and weighed
 *	  against each other: the table "What counts as a change" of
 *	  docs/how-it-works.md.
 *
 * This is the one place that says what a change and a conflict is.  What is in
 * the documents is weighed by threeway.c; whether a reference would dangle is
 * known of an entity's ties, which ties.c has found before.
 *
 * May call storage.c, directory.c, document.c, same.c, threeway.c and reference.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "document.h"
#include "same.h"
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
	[CONFLICT_DANGLING] = "dangling",
};

/*
 * Open the tables of both ends of a link, each end under a table lock.
 */
void
reader_open(Reader *reader, const Link *link, LOCKMODE local, LOCKMODE public)
{
	reader->link = link;
	reader->policy = policy_parse(link->local->merge_policy, link->local->id);
	reader->snapshot = NULL;
	probe_open(&reader->local, STORAGE_LOCAL, TABLE_ENTITY, local);
	probe_open(&reader->base, STORAGE_LOCAL, TABLE_BASE, local);
	probe_open(&reader->public, link->public->storage, TABLE_ENTITY, public);
	probe_open(&reader->tombstone, link->public->storage, TABLE_TOMBSTONE, public);
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

static Size
set_entity_version(Version *version, TupleTableSlot *slot)
{
	bool		isnull;

	version->rev = (uint64) DatumGetInt64(slot_getattr(slot, Anum_entity_rev,
													   &isnull));
	return set_version(version, slot, Anum_entity_doc, Anum_entity_modified_at,
					   Anum_entity_modified_by);
}

static void
set_absent(Version *version)
{
	version->rev = 0;
	version->doc = NULL;
	version->at = DT_NOBEGIN;
	version->by = NULL;
	ItemPointerSetInvalid(&version->tid);
}

static List *
get_accepted(TupleTableSlot *slot)
{
	bool		isnull;
	Datum		array = slot_getattr(slot, Anum_base_accepted, &isnull);
	List	   *ids = NIL;
	Datum	   *values;
	int			n;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &values, NULL, &n);
	for (int i = 0; i < n; i++)
		ids = lappend(ids, TextDatumGetCString(values[i]));
	return ids;
}

static void weigh_entity(Entity *entity, const Policy *policy);

/*
 * Read the versions of the entity whose id and key are set, and weigh them.
 * What they point to is palloc'd; returns how large the documents are.
 */
Size
reader_read(Reader *reader, Entity *entity)
{
	Size		size = 0;

	if (probe_find(&reader->local, reader->link->local->key, entity->key))
		size += set_entity_version(&entity->local, reader->local.slot);
	else
		set_absent(&entity->local);

	if (probe_fetch(&reader->public, &entity->found_at,
					reader->link->public->key, entity->key) ||
		probe_find(&reader->public, reader->link->public->key, entity->key))
		size += set_entity_version(&entity->public, reader->public.slot);
	else
		set_absent(&entity->public);

	/* All base rows are candidates. */
	entity->has_base_row = probe_walk(&reader->base, reader->link->local->key,
									  entity->key);
	if (entity->has_base_row)
	{
		size += set_version(&entity->base, reader->base.slot,
							Anum_base_doc, Anum_base_changed_at,
							Anum_base_changed_by);
		entity->accepted = get_accepted(reader->base.slot);
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
		entity->accepted = NIL;
	}

	/* When and by whom it was deleted, the tombstone says. */
	if (entity->public.doc == NULL && entity->base.doc != NULL &&
		entity->local.doc != NULL &&
		probe_find(&reader->tombstone, reader->link->public->key, entity->key))
		set_time(&entity->public, reader->tombstone.slot,
				 Anum_tombstone_deleted_at, Anum_tombstone_deleted_by);

	weigh_entity(entity, reader->policy);
	return size;
}

/* Are two versions of an entity the same, as a policy sees it? */
static bool
is_same(const Policy *policy, Jsonb *a, const Jsonb *b, const text *id)
{
	a = document_with_ids_as(a, b, id);
	if (document_is_too_deep(a) || document_is_too_deep(b))
		return document_identical(a, b);
	return same_documents(policy, a, b);
}

/*
 * Is an entity deleted at one end, while the other has it?
 */
bool
reader_is_deleted(Reader *reader, Datum key, bool locally, Deletion *deletion)
{
	Probe	   *gone = locally ? &reader->local : &reader->public;
	Probe	   *left = locally ? &reader->public : &reader->local;
	Datum		gone_from = locally ? reader->link->local->key :
		reader->link->public->key;
	Datum		left_in = locally ? reader->link->public->key :
		reader->link->local->key;
	bool		isnull;
	Version		version;

	deletion->at = DT_NOBEGIN;
	deletion->left_at = DT_NOBEGIN;
	deletion->accepted = NIL;
	deletion->is_insert = false;
	if (probe_find(gone, gone_from, key) || !probe_find(left, left_in, key))
		return false;

	/* Without a base row the local version is the base. */
	if (!probe_find(&reader->base, reader->link->local->key, key))
	{
		deletion->is_insert = locally;
		if (locally)
			return false;
	}
	else
	{
		Datum		base = slot_getattr(reader->base.slot, Anum_base_doc,
										&isnull);

		deletion->is_insert = isnull;
		if (isnull)
			return false;
		deletion->accepted = get_accepted(reader->base.slot);
		if (!is_same(reader->policy, DatumGetJsonbP(base),
					 DatumGetJsonbP(slot_getattr(left->slot, Anum_entity_doc,
												 &isnull)),
					 DatumGetTextPP(key)))
			deletion->left_at =
				DatumGetTimestampTz(slot_getattr(left->slot,
												 Anum_entity_modified_at,
												 &isnull));
	}

	if (locally)
	{
		set_time(&version, reader->base.slot, Anum_base_changed_at,
				 Anum_base_changed_by);
		deletion->at = version.at;
	}
	else if (probe_find(&reader->tombstone, reader->link->public->key, key))
	{
		set_time(&version, reader->tombstone.slot, Anum_tombstone_deleted_at,
				 Anum_tombstone_deleted_by);
		deletion->at = version.at;
	}
	return true;
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
kind_of_change(const Jsonb *base, const Jsonb *now)
{
	return base == NULL ? CHANGE_INSERT :
		now == NULL ? CHANGE_DELETE : CHANGE_UPDATE;
}

/*
 * What an entity refers to that is deleted: the one with that id, or NULL.
 */
const Target *
ties_target(const Ties *ties, const char *id, int len)
{
	int			low = 0;
	int			high = list_length(ties->targets);

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		const Target *target = list_nth(ties->targets, middle);
		int			target_len = strlen(target->id);
		int			order = memcmp(target->id, id, Min(len, target_len));

		if (order == 0)
			order = target_len - len;
		if (order == 0)
			return target;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Does a reference lead to what the one end deleted, while the other changed? */
static bool
dangles(const Entity *entity, JsonValue id)
{
	const Target *target = ties_target(entity->ties, id.data, id.len);

	return target != NULL &&
		(target->deleted_locally ? entity->public_change :
		 entity->local_change) != CHANGE_NONE;
}

/*
 * An entity that has no conflict of its own: would a sync leave a reference that
 * dangles?
 */
static void
weigh_ties(Entity *entity)
{
	const Ties *ties = entity->ties;
	const Policy *policy = entity->threeway.policy;
	ReferenceScan scan;
	JsonValue	id;

	if (ties->referred_to &&
		!(entity->merges && entity_merged(entity)->doc != NULL) &&
		((entity->local.doc == NULL && entity->local_change == CHANGE_DELETE) ||
		 (entity->public.doc == NULL && entity->public_change == CHANGE_DELETE)))
	{
		entity->conflict = CONFLICT_DANGLING;
		return;
	}

	/* What the one end deleted, the change of the other must not refer to. */
	reference_scan(&scan, policy, entity->merges ? entity_merged(entity)->doc :
				   entity->local_change != CHANGE_NONE ? entity->local.doc :
				   entity->public.doc);
	while (reference_next(&scan, &id))
	{
		if (dangles(entity, id) &&
			(entity->dangling == NIL || llast(entity->dangling) != scan.place))
			entity->dangling = lappend(entity->dangling,
									   unconstify(JsonPointer *, scan.place));
	}
	if (entity->dangling != NIL)
		entity->conflict = CONFLICT_DANGLING;
}

/*
 * Weigh the three versions of an entity: sets its verdict.  Whether they repeat
 * its id is no difference: they are weighed as if all did as the shared one does,
 * or without that the local one.
 */
static void
weigh_entity(Entity *entity, const Policy *policy)
{
	Threeway   *threeway = &entity->threeway;
	const text *id = DatumGetTextPP(entity->key);
	Jsonb	   *public = entity->public.doc;
	Jsonb	   *like = public != NULL ? public : entity->local.doc;
	Jsonb	   *local = document_with_ids_as(entity->local.doc, like, id);

	entity->equal = document_equal(local, public);
	entity->conflict = CONFLICT_NONE;
	entity->local_change = CHANGE_NONE;
	entity->public_change = CHANGE_NONE;
	entity->agreed = false;
	entity->merges = false;
	entity->merged = NULL;
	entity->dangling = NIL;
	if (entity->equal)
		return;

	threeway->policy = policy;
	threeway->local_is_newer = entity->local.at > entity->public.at;
	threeway->base = document_with_ids_as(entity->base.doc, like, id);
	threeway->local = local;
	threeway->public = public;
	if (document_is_too_deep(threeway->base) ||
		document_is_too_deep(threeway->local) ||
		document_is_too_deep(threeway->public))
		threeway_weigh_whole(threeway);
	else
		threeway_weigh(threeway);
	if (threeway->local_changed && threeway->public_changed)
	{
		entity->agreed = !threeway->differ;
		entity->merges = threeway->differ && threeway->clashes == NIL;
	}
	if (entity->agreed)
		return;
	if (threeway->local_changed)
		entity->local_change = kind_of_change(entity->base.doc,
											  entity->local.doc);
	if (threeway->public_changed)
		entity->public_change = kind_of_change(entity->base.doc,
											   entity->public.doc);

	if (threeway->clashes == NIL)
	{
		if (entity->ties != NULL && (threeway->local_changed ||
									 threeway->public_changed))
			weigh_ties(entity);
	}
	else if (entity->base.doc == NULL)
		entity->conflict = CONFLICT_INSERT_INSERT;
	else if (entity->public.doc == NULL)
		entity->conflict = CONFLICT_UPDATE_DELETE;
	else if (entity->local.doc == NULL)
		entity->conflict = CONFLICT_DELETE_UPDATE;
	else
		entity->conflict = CONFLICT_UPDATE_UPDATE;
}

/*
 * What an entity that both ends changed is merged to; it belongs to the entity.
 */
const Version *
entity_merged(Entity *entity)
{
	if (entity->merged == NULL)
	{
		Version    *merged = palloc0(sizeof(Version));
		const Version *newer = entity->threeway.local_is_newer ?
			&entity->local : &entity->public;

		Assert(entity->merges);
		merged->doc = threeway_merged(&entity->threeway);
		if (merged->doc == NULL)
			newer = entity->local.doc == NULL ? &entity->local : &entity->public;
		merged->at = newer->at;
		merged->by = newer->by;
		ItemPointerSetInvalid(&merged->tid);
		entity->merged = merged;
	}
	return entity->merged;
}

/*
 * JSON Pointers to what is in conflict.  palloc'd.
 */
ArrayType *
entity_paths(const Entity *entity)
{
	JsonPointer root = {0, NULL};
	List	   *places = entity->dangling;
	Datum	   *paths;
	int			n = 0;
	ListCell   *lc;

	if (entity->conflict != CONFLICT_DANGLING)
		return threeway_paths(entity->threeway.clashes);
	if (places == NIL)
		places = list_make1(&root); /* the deleted entity as a whole */
	paths = palloc(list_length(places) * sizeof(Datum));
	foreach(lc, places)
		paths[n++] = PointerGetDatum(pointer_text(lfirst(lc)));
	return construct_array(paths, n, TEXTOID, -1, false, TYPALIGN_INT);
}

/*
 * A digest of the three versions by value, and where a reference would dangle of
 * what that is about; 64 hexadecimal digits, palloc'd.
 */
char *
entity_version(const Entity *entity)
{
	Digest	   *digest = digest_begin();
	ListCell   *lc;

	digest_document(digest, entity->base.doc);
	digest_document(digest, entity->local.doc);
	digest_document(digest, entity->public.doc);
	if (entity->conflict == CONFLICT_DANGLING)
	{
		digest_string(digest, conflict_name(entity->conflict));
		foreach(lc, entity->ties->targets)
			digest_string(digest, ((Target *) lfirst(lc))->id);
		foreach(lc, entity->ties->referrers)
			digest_string(digest, lfirst(lc));
	}
	return digest_end(digest);
}
