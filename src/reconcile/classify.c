/*
 * classify.c
 *	  One entity in its three versions (base, local, public), compared with
 *	  each other: the table "What counts as a change" of docs/how-it-works.md.
 *
 * This is the one place that says what a change and a conflict is.  What is in
 * the documents is classified by threeway.c; whether a reference would dangle
 * or close a ring is known of an entity's dependencies, which dependency.c and
 * ring.c have found before;
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
#include "merge/unit.h"
#include "reconcile/classify.h"
#include "reconcile/cycle.h"

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
	[CONFLICT_CYCLE] = "cycle",
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

/*
 * The kind of conflict of that name; false if there is none.
 */
bool
conflict_parse(const char *name, ConflictKind *conflict)
{
	for (int i = CONFLICT_NONE + 1; i < (int) lengthof(conflict_names); i++)
	{
		if (strcmp(name, conflict_names[i]) == 0)
		{
			*conflict = (ConflictKind) i;
			return true;
		}
	}
	return false;
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

static bool
has_place(const List *places, const JsonPointer *place)
{
	ListCell   *lc;

	foreach(lc, places)
	{
		if (pointer_equal(lfirst(lc), place))
			return true;
	}
	return false;
}

/*
 * Note where the references of a version would dangle.  "side": only where the
 * other end than that deleted what they lead to; SIDE_NONE: whichever did.
 */
static void
find_dangling(Entity *entity, const Jsonb *doc, Side side)
{
	ReferenceScan scan;
	JsonValue	id;

	reference_scan(&scan, entity->threeway.policy, doc);
	while (reference_next(&scan, &id))
	{
		const Target *target = dependencies_target(entity->dependencies,
												   id.data, id.len);

		if (target != NULL &&
			(target->deleted_locally ? entity->public_change :
			 entity->local_change) != CHANGE_NONE &&
			(side == SIDE_NONE ||
			 target->deleted_locally == (side == SIDE_PUBLIC)) &&
			!has_place(entity->dangling, scan.place))
			entity->dangling = lappend(entity->dangling,
									   unconstify(JsonPointer *, scan.place));
	}
}

/*
 * An entity that has no conflict of its own: would a sync leave a reference
 * that dangles, or a ring of references?
 */
static void
classify_dependencies(Entity *entity)
{
	if (entity->dependencies->referred_to &&
		!(entity->merges && entity_merged(entity)->doc != NULL) &&
		((entity->local.doc == NULL && entity->local_change == CHANGE_DELETE) ||
		 (entity->public.doc == NULL && entity->public_change == CHANGE_DELETE)))
	{
		entity->conflict = CONFLICT_DANGLING;
		return;
	}

	/* What the one end deleted, the change of the other must not refer to. */
	find_dangling(entity, entity->merges ? entity_merged(entity)->doc :
				  entity->local_change != CHANGE_NONE ? entity->local.doc :
				  entity->public.doc, SIDE_NONE);
	if (entity->dangling != NIL)
		entity->conflict = CONFLICT_DANGLING;
	else if (cycle_places(entity) != NIL)
		entity->conflict = CONFLICT_CYCLE;
}

/*
 * Is a conflict decided by path: what does not conflict is merged, whichever
 * side wins?
 */
static bool
is_by_path(const Entity *entity)
{
	return entity->conflict != CONFLICT_NONE &&
		entity->conflict != CONFLICT_UNKNOWN &&
		entity->local.doc != NULL && entity->public.doc != NULL &&
		entity->threeway.policy->by_property;
}

/* An entity whose documents conflict. */
static void
classify_conflict(Entity *entity)
{
	const Dependencies *dependencies = entity->dependencies;
	const Threeway *threeway = &entity->threeway;

	if (entity->base.doc == NULL)
		entity->conflict = CONFLICT_INSERT_INSERT;
	else if (entity->public.doc == NULL)
		entity->conflict = CONFLICT_UPDATE_DELETE;
	else if (entity->local.doc == NULL)
		entity->conflict = CONFLICT_DELETE_UPDATE;
	else
		entity->conflict = CONFLICT_UPDATE_UPDATE;

	/* Where one side wins, all else may have references of the other. */
	if (dependencies != NULL && dependencies->targets != NIL &&
		is_by_path(entity))
	{
		find_dangling(entity, threeway_merged(threeway, SIDE_LOCAL),
					  SIDE_LOCAL);
		find_dangling(entity, threeway_merged(threeway, SIDE_PUBLIC),
					  SIDE_PUBLIC);
	}
}

/*
 * The verdict on an unexplained difference, whose documents have been
 * classified. What an end lacks is shown as deleted there, what both have as
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
 * Classify the three versions of an entity.  "unexplained": no records say
 * which side has changed or deleted it.  Whether they repeat its id is no
 * difference: they are classified as if all did as the shared one does, or
 * without that the local one.
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
	memset(entity->won, 0, sizeof(entity->won));
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
		entity->merges = threeway->differ && threeway->conflicts == NIL;
	}
	if (entity->agreed)
		return;
	if (threeway->local_changed)
		entity->local_change = kind_of_change(entity->base.doc,
											  entity->local.doc);
	if (threeway->public_changed)
		entity->public_change = kind_of_change(entity->base.doc,
											   entity->public.doc);

	if (threeway->conflicts == NIL)
	{
		if (entity->dependencies != NULL && (threeway->local_changed ||
											 threeway->public_changed))
			classify_dependencies(entity);
	}
	else
		classify_conflict(entity);
}

/* A version made of both ends', which is as new as the newer one */
static Version *
made_version(const Entity *entity, Jsonb *doc)
{
	Version    *version = palloc0(sizeof(Version));
	const Version *newer = entity->threeway.local_is_newer ?
		&entity->local : &entity->public;

	if (doc == NULL)
		newer = entity->local.doc == NULL ? &entity->local : &entity->public;
	version->doc = doc;
	version->at = newer->at;
	version->by = newer->by;
	ItemPointerSetInvalid(&version->tid);
	return version;
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
		Assert(entity->merges);
		entity->merged = made_version(entity,
									  threeway_merged(&entity->threeway,
													  SIDE_NONE));
	}
	return entity->merged;
}

/*
 * What an entity in conflict becomes where a side wins: that side's version,
 * or where it is decided by path, the merge of both ends with that side's
 * values where they conflict.  It belongs to the entity, and is that of an end
 * if it is the same.
 */
const Version *
entity_won(Entity *entity, Side winner)
{
	const Threeway *threeway = &entity->threeway;
	Jsonb	   *doc;
	ListCell   *lc;

	if (!is_by_path(entity))
		return winner == SIDE_LOCAL ? &entity->local : &entity->public;
	if (entity->won[winner] != NULL)
		return entity->won[winner];
	doc = threeway_merged(threeway,
						  threeway->conflicts == NIL ? SIDE_NONE : winner);
	foreach(lc, entity->dangling)
		doc = unit_take(threeway->policy, doc,
						winner == SIDE_LOCAL ? threeway->local :
						threeway->public, lfirst(lc));
	entity->won[winner] =
		document_equal(doc, threeway->public) ? &entity->public :
		document_equal(doc, threeway->local) ? &entity->local :
		made_version(entity, doc);
	return entity->won[winner];
}

/* Is a place at the path of a conflict, or inside? */
static bool
is_in_conflict(const text *path, const List *conflicts)
{
	ListCell   *lc;

	foreach(lc, conflicts)
	{
		const text *around = ((Conflict *) lfirst(lc))->path;
		Size		len = VARSIZE_ANY_EXHDR(around);

		if (VARSIZE_ANY_EXHDR(path) >= len &&
			memcmp(VARDATA_ANY(path), VARDATA_ANY(around), len) == 0 &&
			(VARSIZE_ANY_EXHDR(path) == len || VARDATA_ANY(path)[len] == '/'))
			return true;
	}
	return false;
}

/*
 * Is a version (or NULL) made of others, so that nobody has written it as it
 * is, and nobody has looked whether that is allowed?
 */
bool
entity_is_made(const Entity *entity, const Version *version)
{
	return version != NULL && version->doc != NULL &&
		version->doc != entity->local.doc &&
		version->doc != entity->public.doc &&
		version->doc != entity->base.doc;
}

static bool
has_path(const Datum *paths, int n, const text *path)
{
	for (int i = 0; i < n; i++)
	{
		const text *other = DatumGetTextPP(paths[i]);

		if (VARSIZE_ANY_EXHDR(other) == VARSIZE_ANY_EXHDR(path) &&
			memcmp(VARDATA_ANY(other), VARDATA_ANY(path),
				   VARSIZE_ANY_EXHDR(path)) == 0)
			return true;
	}
	return false;
}

/*
 * JSON Pointers to what is in conflict: first those in the document, then
 * references that would dangle or close a ring.  palloc'd.
 */
ArrayType *
entity_paths(const Entity *entity)
{
	JsonPointer root = {0, NULL};
	bool		own = entity->conflict != CONFLICT_DANGLING &&
		entity->conflict != CONFLICT_CYCLE &&
		entity->conflict != CONFLICT_UNKNOWN;
	List	   *conflicts = own ? entity->threeway.conflicts : NIL;
	List	   *places = list_concat_copy(entity->dangling,
										  cycle_places(entity));
	Datum	   *paths;
	int			n = 0;
	ListCell   *lc;

	if (!own && places == NIL)
		places = list_make1(&root); /* the entity as a whole */
	paths = palloc((list_length(conflicts) + list_length(places)) *
				   sizeof(Datum));
	foreach(lc, conflicts)
		paths[n++] = PointerGetDatum(((Conflict *) lfirst(lc))->path);
	foreach(lc, places)
	{
		text	   *path = pointer_text(lfirst(lc));

		if (!is_in_conflict(path, conflicts) && !has_path(paths, n, path))
			paths[n++] = PointerGetDatum(path);
	}
	return construct_array(paths, n, TEXTOID, -1, false, TYPALIGN_INT);
}

/*
 * A digest of the three versions by value, and where a reference would dangle
 * of what that is about, of what is in a ring with it, or whether they are
 * unexplained; 64 hexadecimal digits, palloc'd.
 */
char *
entity_version(const Entity *entity)
{
	Digest	   *digest = digest_begin();
	ListCell   *lc;

	digest_document(digest, entity->base.doc);
	digest_document(digest, entity->local.doc);
	digest_document(digest, entity->public.doc);
	if (entity->conflict == CONFLICT_DANGLING || entity->dangling != NIL)
	{
		digest_string(digest, conflict_name(CONFLICT_DANGLING));
		foreach(lc, entity->dependencies->targets)
			digest_string(digest, ((Target *) lfirst(lc))->id);
		foreach(lc, entity->dependencies->referrers)
			digest_string(digest, lfirst(lc));
	}
	else if (entity->conflict == CONFLICT_UNKNOWN)
		digest_string(digest, conflict_name(entity->conflict));
	if (cycle_members(entity) != NULL)
	{
		digest_string(digest, conflict_name(CONFLICT_CYCLE));
		digest_string(digest, cycle_members(entity));
	}
	return digest_end(digest);
}
