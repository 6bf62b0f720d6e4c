/*
 * decision.c
 *	  What a sync or a resolution does with one entity: pure decisions, nothing
 *	  is read or written here (but for a look whether a new id is free).
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "json/document.h"
#include "reconcile/cycle.h"
#include "reconcile/decision.h"

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
decision_copies(const Entity *entity)
{
	return entity->conflict != CONFLICT_NONE &&
		entity->conflict != CONFLICT_DANGLING &&
		entity->conflict != CONFLICT_CYCLE &&
		entity->local.doc != NULL && entity->public.doc != NULL;
}

/*
 * Which side's version a conflict keeps by "newest".  One over a reference is
 * settled by the time of the deletion and that of what refers to it: see
 * dependency.c.
 */
static Resolution
newest_of(const Entity *entity)
{
	const Dependencies *dependencies = entity->dependencies;
	ListCell   *lc;

	if (dependencies != NULL && dependencies->referred_to && entity->local.doc == NULL)
		return dependencies->stays_deleted ? RESOLUTION_LOCAL : RESOLUTION_PUBLIC;
	if (dependencies != NULL && dependencies->referred_to && entity->public.doc == NULL)
		return dependencies->stays_deleted ? RESOLUTION_PUBLIC : RESOLUTION_LOCAL;
	foreach(lc, dependencies != NULL ? dependencies->targets : NIL)
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
 * Which version a conflict really keeps: "newest" becomes that of one side,
 * and "both" the version that is left where one side deleted the entity, or
 * the only edit where a reference would dangle.  "Both" that remains means two
 * entities, or for one that refers to others the merge of its edits.
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
 * A version that keeps local edits, with references redirected to what got a
 * new id.
 */
const Version *
decision_redirect(const Entity *entity, const Version *version)
{
	Jsonb	   *doc;
	Version    *redirected;

	if (entity->dependencies == NULL || entity->dependencies->renames == NIL ||
		version->doc == NULL)
		return version;
	doc = reference_redirect(entity->threeway.policy, version->doc,
							 entity->dependencies->renames, entity->base.doc,
							 entity->public.doc);
	if (doc == version->doc)
		return version;
	redirected = palloc(sizeof(Version));
	*redirected = *version;
	redirected->doc = doc;
	ItemPointerSetInvalid(&redirected->tid);
	return redirected;
}

static void
set_base(Decision *decision, const Entity *entity, Jsonb *doc)
{
	/* What settles an unknown one is to be noted in any case. */
	if (entity->has_base_row && entity->conflict != CONFLICT_UNKNOWN &&
		entity->explanation != EXPLANATION_MISSING && document_equal(entity->base.doc, doc))
		return;
	decision->base = BASE_SET;
	decision->base_doc = doc;
}

/* Keep a version locally, as a change on top of the public one. */
static void
keep_locally(Decision *decision, const Entity *entity, const Version *version)
{
	if (!document_equal(version->doc, entity->local.doc))
		decision->local = version;
	if (document_equal(version->doc, entity->public.doc))
		decision->base = BASE_DROP;
	else
		set_base(decision, entity, entity->public.doc);
}

/* Store a version in both copies. */
static void
store(Decision *decision, const Entity *entity, const Version *version)
{
	if (!document_equal(version->doc, entity->local.doc))
		decision->local = version;
	if (!document_equal(version->doc, entity->public.doc))
		decision->public = version;
	decision->base = BASE_DROP;
}

static void
keep(Decision *decision, const Entity *entity, const Version *version,
	 Direction direction)
{
	if (direction == DIRECTION_PUSH)
		store(decision, entity, version);
	else
		keep_locally(decision, entity, version);
}

/* A side wins a conflict. */
static void
keep_winner(Decision *decision, Entity *entity, Side winner,
			Direction direction)
{
	const Version *version = cycle_break(entity, entity_won(entity, winner));

	keep(decision, entity, winner == SIDE_LOCAL ?
		 decision_redirect(entity, version) : version, direction);
	decision->winner = winner;
	decision->merged = version != &entity->local &&
		version != &entity->public;
}

static bool
has_id(List *ids, const char *id)
{
	ListCell   *lc;

	foreach(lc, ids)
	{
		if (strcmp(lfirst(lc), id) == 0)
			return true;
	}
	return false;
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
 * What the resolution of a conflict over a reference is remembered by: the
 * local change is to be kept though the reference dangles.
 */
static List *
accepted_by(const Entity *entity)
{
	List	   *accepted = list_copy(entity->accepted);
	const char *last = NULL;
	ListCell   *lc;

	/* These are new, but may occur more than once in a row. */
	foreach(lc, entity->dependencies->referrers)
		accepted = with_new_id(accepted, lfirst(lc), &last);
	last = NULL;
	foreach(lc, entity->dependencies->targets)
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

/*
 * A new version of an entity, not earlier than the two that it takes the place
 * of
 */
static const Version *
edited_last(const Entity *entity, const Version *given)
{
	Version    *version = palloc(sizeof(Version));

	*version = *given;
	version->at = Max(given->at, Max(entity->local.at, entity->public.at));
	return version;
}

/*
 * Leave a conflict.  The pull records what it saw, so what it passes over must
 * stay a candidate.  So does what no record tells of, which nothing else would
 * show again.
 */
static void
leave_conflict(Decision *decision, const Entity *entity, Direction direction)
{
	if (entity->conflict == CONFLICT_UNKNOWN)
	{
		if (entity->explanation != EXPLANATION_MISSING)
		{
			decision->base = BASE_SET;
			decision->base_doc = entity->base.doc;
			decision->explanation = EXPLANATION_MISSING;
		}
	}
	else if (direction == DIRECTION_PULL && !entity->has_base_row)
	{
		decision->base = BASE_SET;
		decision->base_doc = entity->base.doc;
	}
}

static void
decide_conflict(Decision *decision, Entity *entity, Direction direction,
				Resolution resolution, const Version *given)
{
	bool		dangles = entity->conflict == CONFLICT_DANGLING;

	switch (resolution)
	{
		case RESOLUTION_ABORT:
		case RESOLUTION_SKIP:
			leave_conflict(decision, entity, direction);
			return;
		case RESOLUTION_LOCAL:
			keep_winner(decision, entity, SIDE_LOCAL, direction);
			break;
		case RESOLUTION_PUBLIC:
			if (entity->public.doc == NULL && entity->dependencies != NULL &&
				entity->dependencies->referred_to &&
				(direction == DIRECTION_PUSH ||
				 (direction == DIRECTION_NONE && !dangles)))
			{
				/*
				 * Deleted here, local references would dangle: in a push
				 * those that the shared copy has redirected, until they are
				 * pulled; in a resolution those that nobody was asked about.
				 * So only the edit is given up; the deletion is pulled with
				 * the rest, or comes back as a conflict.
				 */
				if (entity->local_change != CHANGE_NONE)
					decision->local = unedited(entity);
				if (entity->conflict == CONFLICT_UNKNOWN)
				{
					decision->base = BASE_SET;
					decision->base_doc = entity->base.doc;
					decision->explanation = EXPLANATION_KNOWN;
				}
			}
			else
				keep_winner(decision, entity, SIDE_PUBLIC, direction);
			break;
		case RESOLUTION_BOTH:
			if (dangles)
			{
				keep(decision, entity, decision_redirect(entity,
														 entity_merged(entity)),
					 direction);
				decision->merged = true;
				break;
			}
			store(decision, entity, &entity->public);
			decision->copies = true;
			break;
		case RESOLUTION_MERGED:
			given = edited_last(entity, given);
			keep_locally(decision, entity, given);
			decision->local = given;	/* by whom and when is new at least */
			break;
		case RESOLUTION_NEWEST:
			Assert(false);
			break;
	}
	decision->resolved = true;
}

/*
 * An entity whose only conflict is that it is in a ring: one side's references
 * are taken back, whatever is said of other conflicts.  What only the shared
 * copy changed, a push leaves to the next pull.
 */
static void
decide_cycle(Decision *decision, Entity *entity, Direction direction)
{
	const Ring *ring = entity->dependencies->ring;
	const Version *version;

	if (ring->is_stuck || ring->side == RING_LEFT)
	{
		leave_conflict(decision, entity, direction);
		return;
	}
	version = cycle_settled(entity);
	if (direction != DIRECTION_PUSH || entity->local_change != CHANGE_NONE ||
		version != &entity->public)
		keep(decision, entity, decision_redirect(entity, version), direction);
	decision->merged = entity->merges;
	decision->resolved = true;
}

/*
 * A push does not bring to the local end what would be in a ring there until
 * more is pulled.  So that is left as a change of the shared copy.
 */
static void
hold_back(Decision *decision, const Entity *entity)
{
	const Version *held;

	if (decision->local == NULL)
		return;
	held = cycle_hold(entity, decision->local);
	if (held == decision->local)
		return;
	decision->local = document_equal(held->doc, entity->local.doc) ? NULL :
		held;
	decision->base = BASE_KEEP;
	set_base(decision, entity, held->doc);
}

/*
 * A deletion in the shared copy that stays to be pulled, of an entity with a
 * base row: the base row says that it is known, since the tombstone may be
 * dropped once the link has seen it.
 */
static void
note_deletion(Decision *decision, const Entity *entity)
{
	bool		stays = decision->base == BASE_SET ? decision->explanation == EXPLANATION_BY_RECORDS :
		decision->base == BASE_KEEP && entity->has_base_row &&
		entity->explanation == EXPLANATION_BY_RECORDS;

	if (!stays || decision->resolved || decision->local != NULL || decision->public != NULL ||
		entity->conflict == CONFLICT_UNKNOWN || entity->base.doc == NULL ||
		entity->local.doc == NULL || entity->public.doc != NULL)
		return;
	decision->base = BASE_SET;
	decision->base_doc = entity->base.doc;
	decision->explanation = EXPLANATION_KNOWN;
}

/*
 * Does a resolution of a conflict over a reference keep what the local side
 * did, because that side was chosen?
 */
bool
decision_keeps_local(const Entity *entity, Resolution resolution)
{
	return entity->conflict == CONFLICT_DANGLING &&
		resolution != RESOLUTION_BOTH &&
		resolution_for(entity, resolution) == RESOLUTION_LOCAL;
}

/*
 * Decide what is done with a classified entity.  "given" is the caller's
 * document for RESOLUTION_MERGED.  The decision points into the entity.
 */
void
decision_make(Decision *decision, Entity *entity, Direction direction,
			  Resolution resolution, const Version *given)
{
	memset(decision, 0, sizeof(Decision));
	decision->base = BASE_KEEP;

	if (entity->conflict == CONFLICT_CYCLE && resolution != RESOLUTION_MERGED)
		decide_cycle(decision, entity, direction);
	else if (entity->conflict != CONFLICT_NONE && cycle_is_stuck(entity) &&
			 resolution != RESOLUTION_MERGED)
		leave_conflict(decision, entity, direction);
	else if (entity->conflict != CONFLICT_NONE)
	{
		Resolution	kept = resolution_for(entity, resolution);

		decide_conflict(decision, entity, direction, kept, given);
		if (direction == DIRECTION_NONE && entity->has_base_row &&
			decision_keeps_local(entity, resolution))
			decision->accepted = accepted_by(entity);
	}
	else if (direction == DIRECTION_NONE)
		return;
	else if (entity->equal)
	{
		if (entity->has_base_row)
			decision->base = BASE_DROP;
	}
	else if (entity->agreed)
		set_base(decision, entity, entity->public.doc);
	else if (entity->merges)
	{
		keep(decision, entity, decision_redirect(entity,
												 entity_merged(entity)),
			 direction);
		decision->merged = true;
	}
	else if (entity->local_change != CHANGE_NONE)
	{
		if (direction == DIRECTION_PUSH)
			store(decision, entity, decision_redirect(entity, &entity->local));
		else
			decision_follow(decision, entity);
	}
	else if (direction == DIRECTION_PULL &&
			 entity->public_change != CHANGE_NONE)
	{
		decision->local = &entity->public;
		if (entity->has_base_row)
			decision->base = BASE_DROP;
	}
	if (direction == DIRECTION_PUSH)
		hold_back(decision, entity);
	if (direction != DIRECTION_NONE)
		note_deletion(decision, entity);
}

/*
 * Decide only that an entity stays as it is at both ends, and is found again.
 */
void
decision_leave(Decision *decision, const Entity *entity, Direction direction)
{
	memset(decision, 0, sizeof(Decision));
	decision->base = BASE_KEEP;
	leave_conflict(decision, entity, direction);
	note_deletion(decision, entity);
}

/*
 * Decide only that the references of the local version follow what got a new
 * id.
 */
void
decision_follow(Decision *decision, Entity *entity)
{
	const Version *redirected = decision_redirect(entity, &entity->local);

	memset(decision, 0, sizeof(Decision));
	decision->base = BASE_KEEP;
	if (redirected != &entity->local)
		decision->local = redirected;
}

/*
 * Decide only that an entity stays deleted locally though others refer to it
 * (their ids, each once).
 */
void
decision_accept(Decision *decision, const Entity *entity, List *referrers)
{
	ListCell   *lc;

	memset(decision, 0, sizeof(Decision));
	decision->base = BASE_KEEP;
	if (entity->local.doc != NULL || !entity->has_base_row)
		return;
	decision->accepted = list_copy(entity->accepted);
	foreach(lc, referrers)
	{
		if (!has_id(entity->accepted, lfirst(lc)))
			decision->accepted = lappend(decision->accepted, lfirst(lc));
	}
}

/*
 * Decide only what is in a ring.
 */
void
decision_break(Decision *decision, Entity *entity)
{
	memset(decision, 0, sizeof(Decision));
	decision->base = BASE_KEEP;
	if (entity->conflict == CONFLICT_CYCLE)
		decide_cycle(decision, entity, DIRECTION_NONE);
}

/*
 * Is there nothing to do?
 */
bool
decision_is_nothing(const Decision *decision)
{
	return decision->local == NULL && decision->public == NULL &&
		decision->base == BASE_KEEP && decision->accepted == NIL;
}

/*
 * The id under which the local version is kept beside the public one: the old
 * id and a digest of the version, so that it is the same at every try; the
 * next such one where it is taken.  palloc'd.
 */
char *
decision_copy_id(Reader *reader, const Entity *entity)
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
