/*
 * effect.c
 *	  What a sync or a resolution does with one entity: pure decisions, nothing
 *	  is read or written here (but for a look whether a new id is free).
 *
 * May call weigh.c and document.c.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "document.h"
#include "effect.h"

/* Digits of the digest that make the id of a copy, and its greatest length */
#define COPY_DIGITS 8
#define ID_MAX_CHARS 255

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
 * Which version a conflict really keeps: "newest" becomes local or public, and
 * "both" the version that is left where one end deleted the entity.
 */
static Resolution
resolution_for(const Entity *entity, Resolution resolution)
{
	if (resolution == RESOLUTION_NEWEST)
		return entity->local.at > entity->public.at ?
			RESOLUTION_LOCAL : RESOLUTION_PUBLIC;
	if (resolution == RESOLUTION_BOTH && entity->public.doc == NULL)
		return RESOLUTION_LOCAL;
	if (resolution == RESOLUTION_BOTH && entity->local.doc == NULL)
		return RESOLUTION_PUBLIC;
	return resolution;
}

static void
decide_conflict(Effect *effect, const Entity *entity, Direction direction,
				Resolution resolution, const Version *merged)
{
	switch (resolution)
	{
		case RESOLUTION_ABORT:
		case RESOLUTION_SKIP:
			return;
		case RESOLUTION_LOCAL:
			if (direction == DIRECTION_PUSH)
			{
				effect->public = &entity->local;
				effect->base = BASE_DROP;
			}
			else
			{
				effect->base = BASE_SET;
				effect->base_doc = entity->public.doc;
			}
			break;
		case RESOLUTION_PUBLIC:
		case RESOLUTION_BOTH:
			effect->local = &entity->public;
			effect->base = BASE_DROP;
			effect->copies = resolution == RESOLUTION_BOTH;
			break;
		case RESOLUTION_MERGED:
			effect->local = merged;
			if (document_equal(merged->doc, entity->public.doc))
				effect->base = BASE_DROP;
			else
			{
				effect->base = BASE_SET;
				effect->base_doc = entity->public.doc;
			}
			break;
		case RESOLUTION_NEWEST:
			Assert(false);
			break;
	}
	effect->resolved = true;
}

/*
 * Decide what is done with a weighed entity.  "merged" is the caller's document
 * for RESOLUTION_MERGED.  The effect points into the entity.
 */
void
effect_decide(Effect *effect, const Entity *entity, Direction direction,
			  Resolution resolution, const Version *merged)
{
	memset(effect, 0, sizeof(Effect));
	effect->base = BASE_KEEP;

	if (entity->conflict != CONFLICT_NONE)
		decide_conflict(effect, entity, direction,
						resolution_for(entity, resolution), merged);
	else if (entity->equal)
	{
		if (entity->has_base_row && direction != DIRECTION_NONE)
			effect->base = BASE_DROP;
	}
	else if (direction == DIRECTION_PUSH &&
			 entity->local_change != CHANGE_NONE)
	{
		effect->public = &entity->local;
		effect->base = BASE_DROP;
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
 * Is there nothing to do?
 */
bool
effect_is_nothing(const Effect *effect)
{
	return effect->local == NULL && effect->public == NULL &&
		effect->base == BASE_KEEP;
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
