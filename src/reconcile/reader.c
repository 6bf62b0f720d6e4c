/*
 * reader.c
 *	  One entity in its three versions (base, local, public), read by key; and
 *	  whether the records explain how they differ.
 *
 * A row that is missing was deleted only where a base row or a tombstone says
 * so; and what differs without a base row, though the link has seen the shared
 * row, was changed past the triggers, in whichever copy.  classify.c makes
 * such a difference a conflict "unknown".
 */
#include "postgres.h"

#include "access/subtrans.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "merge/policycompare.h"
#include "reconcile/classify.h"

/*
 * Open the tables of both copies of a link, each copy under a table lock.
 */
void
reader_open(Reader *reader, const Link *link, LOCKMODE local, LOCKMODE public)
{
	reader->link = link;
	reader->policy = policy_parse(link->local->merge_policy, link->local->id);
	reader->seen_policy = link->local->compare_in_full ?
		policy_parse(link->local->seen_policy,
					 link->local->id) : reader->policy;
	reader->by_key = false;
	reader->snapshot = NULL;
	probe_open(&reader->local, STORAGE_LOCAL, TABLE_ENTITY, local);
	probe_open(&reader->base, STORAGE_LOCAL, TABLE_BASE, local);
	probe_open(&reader->public, link->public->storage, TABLE_ENTITY, public);
	probe_open(&reader->tombstone, link->public->storage, TABLE_TOMBSTONE,
			   public);
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

/*
 * The transaction that wrote a base row, 0 if it was over before this one
 * looked at anything.  A deletion has no revision of its own.
 */
static uint64
base_revision(TupleTableSlot *slot)
{
	FullTransactionId next = ReadNextFullTransactionId();
	bool		isnull;
	TransactionId writer =
		DatumGetTransactionId(slot_getsysattr(slot,
											  MinTransactionIdAttributeNumber,
											  &isnull));

	if (!TransactionIdIsNormal(writer) ||
		TransactionIdPrecedes(writer, TransactionXmin))
		return 0;
	if (TransactionIdIsCurrentTransactionId(writer))
		return U64FromFullTransactionId(GetTopFullTransactionId());
	writer = SubTransGetTopmostTransaction(writer);
	return U64FromFullTransactionId(next) -
		(uint32) (XidFromFullTransactionId(next) - writer);
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

static Explanation
get_explanation(TupleTableSlot *slot)
{
	bool		isnull;
	Datum		unknown = slot_getattr(slot, Anum_base_unknown, &isnull);

	if (isnull)
		return EXPLANATION_BY_RECORDS;
	return DatumGetBool(unknown) ? EXPLANATION_MISSING : EXPLANATION_KNOWN;
}

/*
 * Has the shared copy deleted an entity that is missing there, as far as its
 * tombstone (NULL: there is none) tells?  prune() has dropped tombstones that
 * a link without "seen" had not seen.
 */
static bool
is_deleted_publicly(const Reader *reader, const Entity *entity,
					const Version *tombstone)
{
	const Diagram *local = reader->link->local;

	if (tombstone == NULL)
		return local->seen == NULL;
	if (entity->has_base_row)
		return true;

	/*
	 * One that the link has seen is of an earlier deletion, or else the local
	 * copy would not have the entity any more; so is one from before the
	 * local version, by both its revision and its time.
	 */
	if (reader->link->seen_is_valid)
		return !seen_has(local->seen, local->seen_own, tombstone->rev);
	return tombstone->rev >= entity->local.rev ||
		tombstone->at >= entity->local.at;
}

/*
 * Do both copies differ on an entity without anything in the records that says
 * which of them has changed it?
 */
static bool
is_unexplained(const Reader *reader, const Entity *entity,
			   const Version *tombstone)
{
	const Link *link = reader->link;

	if (entity->has_base_row)
	{
		/* With a base, only what is missing is unexplained. */
		if (entity->base.doc == NULL)
			return entity->explanation == EXPLANATION_MISSING;
		if (entity->local.doc == NULL)
			return entity->base.at == DT_NOBEGIN;
		if (entity->public.doc != NULL || entity->explanation == EXPLANATION_KNOWN)
			return false;
		return entity->explanation == EXPLANATION_MISSING ||
			!is_deleted_publicly(reader, entity, tombstone);
	}

	/*
	 * Without a base row such a one is found only by comparing in full, or
	 * where it is named.
	 */
	if (!link->compare_in_full && !reader->by_key)
		return false;
	if (entity->public.doc == NULL)
		return !is_deleted_publicly(reader, entity, tombstone);
	return link->seen_is_valid &&
		seen_has(link->local->seen, link->local->seen_own,
				 entity->public.rev) &&
		(entity->local.doc == NULL ||
		 !policycompare_versions(reader->seen_policy, entity->local.doc,
								 entity->public.doc,
								 DatumGetTextPP(entity->key)));
}

/*
 * The tombstone of an entity that the shared copy does not have; false if none
 */
static bool
find_tombstone(Reader *reader, const Entity *entity, Version *tombstone)
{
	TupleTableSlot *slot = reader->tombstone.slot;
	bool		isnull;

	if (!probe_find(&reader->tombstone, reader->link->public->key,
					entity->key))
		return false;
	tombstone->rev = (uint64) DatumGetInt64(slot_getattr(slot,
														 Anum_tombstone_rev,
														 &isnull));
	set_time(tombstone, slot, Anum_tombstone_deleted_at,
			 Anum_tombstone_deleted_by);
	return true;
}

/*
 * The base of an unexplained difference without a base row: of an entity that
 * one side lacks, what the other has; of one that both have, nobody knows.
 */
static void
set_assumed_base(Entity *entity)
{
	if (entity->local.doc != NULL && entity->public.doc != NULL)
		set_absent(&entity->base);
	else if (entity->local.doc == NULL)
		entity->base = entity->public;
	ItemPointerSetInvalid(&entity->base.tid);
}

/*
 * Read the versions of the entity whose id and key are set, and classify them.
 * What they point to is palloc'd; returns how large the documents are.
 */
Size
reader_read(Reader *reader, Entity *entity)
{
	Size		size = 0;
	Version		tombstone;
	bool		has_tombstone = false;
	bool		unexplained;

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

	/* All base rows are candidates, unless some are chosen. */
	entity->has_base_row = reader->by_key ?
		probe_find(&reader->base, reader->link->local->key, entity->key) :
		probe_walk(&reader->base, reader->link->local->key, entity->key);
	if (entity->has_base_row)
	{
		size += set_version(&entity->base, reader->base.slot,
							Anum_base_doc, Anum_base_changed_at,
							Anum_base_changed_by);
		entity->accepted = get_accepted(reader->base.slot);
		entity->explanation = get_explanation(reader->base.slot);
		if (entity->local.doc == NULL)
		{
			entity->local.at = entity->base.at;
			entity->local.by = entity->base.by;
			entity->local.rev = base_revision(reader->base.slot);
		}
	}
	else
	{
		entity->base = entity->local;
		ItemPointerSetInvalid(&entity->base.tid);
		entity->accepted = NIL;
		entity->explanation = EXPLANATION_BY_RECORDS;
	}

	/* When and by whom it was deleted, the tombstone says. */
	if (entity->public.doc == NULL && entity->base.doc != NULL &&
		entity->local.doc != NULL)
		has_tombstone = find_tombstone(reader, entity, &tombstone);
	unexplained = (entity->local.doc != NULL || entity->public.doc != NULL) &&
		is_unexplained(reader, entity, has_tombstone ? &tombstone : NULL);
	if (has_tombstone && !unexplained)
	{
		entity->public.at = tombstone.at;
		entity->public.by = tombstone.by;
		entity->public.rev = tombstone.rev;
	}
	if (unexplained && !entity->has_base_row)
		set_assumed_base(entity);

	entity_classify(entity, reader->policy, unexplained);
	return size;
}

/*
 * Is an entity deleted in one copy, while the other has it?
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
		if (!policycompare_versions(reader->policy, DatumGetJsonbP(base),
									DatumGetJsonbP(slot_getattr(left->slot,
																Anum_entity_doc,
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
 * Is there an entity or a base row with this id in either copy?
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
