/*
 * effect.c
 *	  What a sync or a resolution does with one entity: pure decisions, nothing
 *	  is read or written here (but for a look whether a new id is free).
 *
 * May call weigh.c, reference.c and document.c.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "document.h"
#include "effect.h"

/* Digits of the digest that make the id of a copy, and its greatest length */
#define COPY_DIGITS 8
#define ID_MAX_CHARS 400

static const char *const resolution_names[] = {
	[RESOLUTION_ABORT] = "abort",
	[RESOLUTION_SKIP] = "skip",
	[RESOLUTION_LOCAL] = "local",
	[RESOLUTION_PUBLIC] = "public",
	[RESOLUTION_BOTH] = "both",
	[RESOLUTION_NEWEST] = "newest",
	[RESOLUTION_MERGED] = "merged",
};

/*
 * Name of a resolution.
 */
const char *
resolution_name(Resolution resolution)
{
	return resolution_names[resolution];
}

/*
 * The resolution of that name; false if there is none.
 */
bool
resolution_parse(const char *name, Resolution *resolution)
{
	for (int i = 0; i < (int) lengthof(resolution_names); i++)
	{
		if (strcmp(name, resolution_names[i]) == 0)
		{
			*resolution = (Resolution) i;
			return true;
		}
	}
	return false;
}

/*
 * Does the resolution "both" leave the local version of an entity beside the
 * public one?
 */
bool
effect_copies(const Entity *entity)
{
	return entity->conflict != CONFLICT_NONE &&
		entity->conflict != CONFLICT_DANGLING &&
		entity->local.doc != NULL && entity->public.doc != NULL;
}

/*
 * Which side's version a conflict keeps by "newest".  One over a reference is
 * settled by the time of the deletion and that of what refers to it: see ties.c.
 */
static Resolution
newest_of(const Entity *entity)
{
	const Ties *ties = entity->ties;
	ListCell   *lc;

	if (ties != NULL && ties->referred_to && entity->local.doc == NULL)
		return ties->stays_deleted ? RESOLUTION_LOCAL : RESOLUTION_PUBLIC;
	if (ties != NULL && ties->referred_to && entity->public.doc == NULL)
		return ties->stays_deleted ? RESOLUTION_PUBLIC : RESOLUTION_LOCAL;
	foreach(lc, ties != NULL ? ties->targets : NIL)
	{
		const Target *target = lfirst(lc);

		if (target->stays_deleted)
			return target->deleted_locally ? RESOLUTION_LOCAL :
				RESOLUTION_PUBLIC;
	}
	if (entity->conflict == CONFLICT_DANGLING)
		return RESOLUTION_BOTH;
	return entity->local.at > entity->public.at ?
		RESOLUTION_LOCAL : RESOLUTION_PUBLIC;
}

/*
 * Which version a conflict really keeps: "newest" becomes that of one side, and
 * "both" the version that is left where one end deleted the entity, or the only
 * edit where a reference would dangle.  "Both" that remains means two entities,
 * or for one that refers to others the merge of its edits.
 */
static Resolution
resolution_for(const Entity *entity, Resolution resolution)
{
	if (resolution == RESOLUTION_NEWEST)
		resolution = newest_of(entity);
	if (resolution != RESOLUTION_BOTH)
		return resolution;
	if (entity->public.doc == NULL)
		return RESOLUTION_LOCAL;
	if (entity->local.doc == NULL)
		return RESOLUTION_PUBLIC;
	if (entity->conflict == CONFLICT_DANGLING && !entity->merges)
		return entity->local_change != CHANGE_NONE ? RESOLUTION_LOCAL :
			RESOLUTION_PUBLIC;
	return RESOLUTION_BOTH;
}

/*
 * A version that keeps local edits, with references led to what got a new id.
 */
const Version *
effect_led(const Entity *entity, const Version *version)
{
	Jsonb	   *doc;
	Version    *led;

	if (entity->ties == NULL || entity->ties->renames == NIL ||
		version->doc == NULL)
		return version;
	doc = reference_lead(entity->threeway.policy, version->doc,
						 entity->ties->renames, entity->base.doc,
						 entity->public.doc);
	if (doc == version->doc)
		return version;
	led = palloc(sizeof(Version));
	*led = *version;
	led->doc = doc;
	ItemPointerSetInvalid(&led->tid);
	return led;
}

static void
set_base(Effect *effect, const Entity *entity, Jsonb *doc)
{
	if (entity->has_base_row && document_equal(entity->base.doc, doc))
		return;
	effect->base = BASE_SET;
	effect->base_doc = doc;
}

/* Keep a version locally, as a change on top of the public one. */
static void
keep_locally(Effect *effect, const Entity *entity, const Version *version)
{
	if (!document_equal(version->doc, entity->local.doc))
		effect->local = version;
	if (document_equal(version->doc, entity->public.doc))
		effect->base = BASE_DROP;
	else
		set_base(effect, entity, entity->public.doc);
}

/* Store a version at both ends. */
static void
store(Effect *effect, const Entity *entity, const Version *version)
{
	if (!document_equal(version->doc, entity->local.doc))
		effect->local = version;
	if (!document_equal(version->doc, entity->public.doc))
		effect->public = version;
	effect->base = BASE_DROP;
}

static void
keep(Effect *effect, const Entity *entity, const Version *version,
	 Direction direction)
{
	if (direction == DIRECTION_PUSH)
		store(effect, entity, version);
	else
		keep_locally(effect, entity, version);
}

static List *
with_id(List *ids, const char *id)
{
	ListCell   *lc;

	foreach(lc, ids)
	{
		if (strcmp(lfirst(lc), id) == 0)
			return ids;
	}
	return lappend(ids, pstrdup(id));
}

static List *
with_new_id(List *ids, char *id, const char **last)
{
	if (*last != NULL && strcmp(*last, id) == 0)
		return ids;
	*last = id;
	return lappend(ids, id);
}

/*
 * What the resolution of a conflict over a reference is remembered by: the local
 * change is to be kept though the reference dangles.
 */
static List *
accepted_by(const Entity *entity)
{
	List	   *accepted = list_copy(entity->accepted);
	const char *last = NULL;
	ListCell   *lc;

	/* These are new, but may occur more than once in a row. */
	foreach(lc, entity->ties->referrers)
		accepted = with_new_id(accepted, lfirst(lc), &last);
	last = NULL;
	foreach(lc, entity->ties->targets)
		accepted = with_new_id(accepted, ((Target *) lfirst(lc))->id, &last);
	return accepted;
}

/* The local version as it was before it was edited */
static Version *
unedited(const Entity *entity)
{
	Version    *version = palloc(sizeof(Version));

	*version = entity->local;
	version->doc = entity->base.doc;
	return version;
}

/* A new version of an entity, not earlier than the two that it takes the place of */
static const Version *
edited_last(const Entity *entity, const Version *given)
{
	Version    *version = palloc(sizeof(Version));

	*version = *given;
	version->at = Max(given->at, Max(entity->local.at, entity->public.at));
	return version;
}

static void
decide_conflict(Effect *effect, Entity *entity, Direction direction,
				Resolution resolution, const Version *given)
{
	bool		dangles = entity->conflict == CONFLICT_DANGLING;

	switch (resolution)
	{
		case RESOLUTION_ABORT:
		case RESOLUTION_SKIP:

			/*
			 * The pull records what it saw, so what it passes over must stay a
			 * candidate.
			 */
			if (direction == DIRECTION_PULL && !entity->has_base_row)
			{
				effect->base = BASE_SET;
				effect->base_doc = entity->base.doc;
			}
			return;
		case RESOLUTION_LOCAL:
			keep(effect, entity, effect_led(entity, &entity->local), direction);
			break;
		case RESOLUTION_PUBLIC:
			if (entity->public.doc == NULL && entity->ties != NULL &&
				entity->ties->referred_to &&
				(direction == DIRECTION_PUSH ||
				 (direction == DIRECTION_NONE && !dangles)))
			{
				/*
				 * Deleted here, local references would dangle: in a push those
				 * that the far end has led elsewhere, until they are pulled;
				 * in a resolution those that nobody was asked about.  So only
				 * the edit is given up; the deletion is pulled with the rest,
				 * or comes back as a conflict.
				 */
				if (entity->local_change != CHANGE_NONE)
					effect->local = unedited(entity);
			}
			else
				store(effect, entity, &entity->public);
			break;
		case RESOLUTION_BOTH:
			if (dangles)
			{
				keep(effect, entity, effect_led(entity, entity_merged(entity)),
					 direction);
				effect->merged = true;
				break;
			}
			store(effect, entity, &entity->public);
			effect->copies = true;
			break;
		case RESOLUTION_MERGED:
			given = edited_last(entity, given);
			keep_locally(effect, entity, given);
			effect->local = given;	/* by whom and when is new at least */
			break;
		case RESOLUTION_NEWEST:
			Assert(false);
			break;
	}
	effect->resolved = true;
}

/*
 * Decide what is done with a weighed entity.  "given" is the caller's document
 * for RESOLUTION_MERGED.  The effect points into the entity.
 */
void
effect_decide(Effect *effect, Entity *entity, Direction direction,
			  Resolution resolution, const Version *given)
{
	memset(effect, 0, sizeof(Effect));
	effect->base = BASE_KEEP;

	if (entity->conflict != CONFLICT_NONE)
	{
		Resolution	kept = resolution_for(entity, resolution);

		decide_conflict(effect, entity, direction, kept, given);
		if (entity->conflict == CONFLICT_DANGLING && entity->has_base_row &&
			direction == DIRECTION_NONE && kept == RESOLUTION_LOCAL &&
			resolution != RESOLUTION_BOTH)
			effect->accepted = accepted_by(entity);
	}
	else if (direction == DIRECTION_NONE)
		return;
	else if (entity->equal)
	{
		if (entity->has_base_row)
			effect->base = BASE_DROP;
	}
	else if (entity->agreed)
		set_base(effect, entity, entity->public.doc);
	else if (entity->merges)
	{
		keep(effect, entity, effect_led(entity, entity_merged(entity)),
			 direction);
		effect->merged = true;
	}
	else if (entity->local_change != CHANGE_NONE)
	{
		if (direction == DIRECTION_PUSH)
			store(effect, entity, effect_led(entity, &entity->local));
		else
			effect_follow(effect, entity);
	}
	else if (direction == DIRECTION_PULL &&
			 entity->public_change != CHANGE_NONE)
	{
		effect->local = &entity->public;
		if (entity->has_base_row)
			effect->base = BASE_DROP;
	}
}

/*
 * Decide only that the references of the local version follow what got a new
 * id.
 */
void
effect_follow(Effect *effect, Entity *entity)
{
	const Version *led = effect_led(entity, &entity->local);

	memset(effect, 0, sizeof(Effect));
	effect->base = BASE_KEEP;
	if (led != &entity->local)
		effect->local = led;
}

/*
 * Decide only that an entity stays deleted locally though another refers to it.
 */
void
effect_accept(Effect *effect, const Entity *entity, const char *referrer)
{
	memset(effect, 0, sizeof(Effect));
	effect->base = BASE_KEEP;
	if (entity->local.doc == NULL && entity->has_base_row)
		effect->accepted = with_id(list_copy(entity->accepted), referrer);
}

/*
 * Is there nothing to do?
 */
bool
effect_is_nothing(const Effect *effect)
{
	return effect->local == NULL && effect->public == NULL &&
		effect->base == BASE_KEEP && effect->accepted == NIL;
}

/*
 * The id under which the local version is kept beside the public one: the old
 * id and a digest of the version, so that it is the same at every try; the next
 * such one where it is taken.  palloc'd.
 */
char *
effect_copy_id(Reader *reader, const Entity *entity)
{
	int			room = ID_MAX_CHARS - COPY_DIGITS - 1;
	int			bytes = pg_mbcharcliplen(entity->id, strlen(entity->id), room);

	for (int attempt = 0;; attempt++)
	{
		Digest	   *digest = digest_begin();
		char	   *hex;
		char	   *id;

		digest_string(digest, entity->id);
		digest_document(digest, entity->local.doc);
		digest_string(digest, psprintf("%d", attempt));
		hex = digest_end(digest);
		id = psprintf("%.*s-%.*s", bytes, entity->id, COPY_DIGITS, hex);
		if (!reader_id_is_taken(reader, id))
			return id;
	}
}
