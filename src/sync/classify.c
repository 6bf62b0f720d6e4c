/*
 * classify.c
 *	  One entity in its three versions (base, local, public), compared with
 *	  each other: the table "What counts as a change" of docs/how-it-works.md.
 *
 * This is the one place that says what a change and a conflict is.  What is in
 * the documents is classified by threeway.c; whether a reference would dangle
 * is known of an entity's dependencies, which dependency.c has found before;
 * whether the records explain a difference at all, reader.c has found out.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "json/document.h"
#include "merge/policycompare.h"
#include "sync/classify.h"

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
	[CONFLICT_UNKNOWN] = "unknown",
};

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
dependencies_target(const Dependencies *dependencies, const char *id, int len)
{
	int			low = 0;
	int			high = list_length(dependencies->targets);

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		const Target *target = list_nth(dependencies->targets, middle);
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

/*
 * Does a reference lead to what the one side deleted, while the other changed?
 */
static bool
dangles(const Entity *entity, JsonValue id)
{
	const Target *target = dependencies_target(entity->dependencies, id.data,
											   id.len);

	return target != NULL &&
		(target->deleted_locally ? entity->public_change :
		 entity->local_change) != CHANGE_NONE;
}

/*
 * An entity that has no conflict of its own: would a sync leave a reference
 * that dangles?
 */
static void
classify_ties(Entity *entity)
{
	const Dependencies *dependencies = entity->dependencies;
	const Policy *policy = entity->threeway.policy;
	ReferenceScan scan;
	JsonValue	id;

	if (dependencies->referred_to &&
		!(entity->merges && entity_merged(entity)->doc != NULL) &&
		((entity->local.doc == NULL && entity->local_change == CHANGE_DELETE) ||
		 (entity->public.doc == NULL && entity->public_change == CHANGE_DELETE)))
	{
		entity->conflict = CONFLICT_DANGLING;
		return;
	}

	/* What the one side deleted, the change of the other must not refer to. */
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
 * Classify an unexplained difference, whose documents have been
 * classified. What a side lacks is shown as deleted there, what both have as
 * updated by both.
 */
static void
classify_unexplained(Entity *entity)
{
	const Threeway *threeway = &entity->threeway;
	bool		both = entity->local.doc != NULL && entity->public.doc != NULL;

	if (both && policycompare_versions(threeway->policy, entity->local.doc,
									   entity->public.doc,
									   DatumGetTextPP(entity->key)))
	{
		entity->agreed = entity->has_base_row;
		return;
	}
	entity->conflict = CONFLICT_UNKNOWN;
	entity->local_change = entity->local.doc == NULL ? CHANGE_DELETE :
		both || threeway->local_changed ? CHANGE_UPDATE : CHANGE_NONE;
	entity->public_change = entity->public.doc == NULL ? CHANGE_DELETE :
		both || threeway->public_changed ? CHANGE_UPDATE : CHANGE_NONE;
}

/*
 * Classify the three versions of an entity.  "unexplained":
 * no records say which side has changed or deleted it.  Whether they repeat its
 * id is no difference: they are classified as if all did as the shared one
 * does, or without that the local one.
 */
void
entity_classify(Entity *entity, const Policy *policy, bool unexplained)
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
		threeway_classify_whole(threeway);
	else
		threeway_classify(threeway);
	if (unexplained)
	{
		classify_unexplained(entity);
		return;
	}
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
		if (entity->dependencies != NULL && (threeway->local_changed ||
											 threeway->public_changed))
			classify_ties(entity);
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
 * What an entity that both copies changed is merged to; it belongs to the
 * entity.
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

	if (entity->conflict != CONFLICT_DANGLING &&
		entity->conflict != CONFLICT_UNKNOWN)
		return threeway_paths(entity->threeway.clashes);
	if (places == NIL)
		places = list_make1(&root); /* the entity as a whole */
	paths = palloc(list_length(places) * sizeof(Datum));
	foreach(lc, places)
		paths[n++] = PointerGetDatum(pointer_text(lfirst(lc)));
	return construct_array(paths, n, TEXTOID, -1, false, TYPALIGN_INT);
}

/*
 * A digest of the three versions by value, and where a reference would dangle
 * of what that is about, or whether they are unexplained; 64 hexadecimal
 * digits, palloc'd.
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
		foreach(lc, entity->dependencies->targets)
			digest_string(digest, ((Target *) lfirst(lc))->id);
		foreach(lc, entity->dependencies->referrers)
			digest_string(digest, lfirst(lc));
	}
	else if (entity->conflict == CONFLICT_UNKNOWN)
		digest_string(digest, conflict_name(entity->conflict));
	return digest_end(digest);
}
