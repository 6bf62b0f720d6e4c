/*
 * match.c
 *	  Which entities of an import are which of those that are there, whatever
 *	  ids they have: told by their contents, then by the members that the
 *	  policy names for it (policy key "match").
 *
 * Ids say nothing here, neither those of the entities nor those in references.
 * A reference says something when what it leads to has a partner: it has to
 * lead to that.  So this goes in rounds.  Each looks for what is the same in
 * one entity of either side that has no partner yet, and in no other one:
 *
 *	  1. the contents, and where references lead; repeated while there is more
 *	  to
 *		 find, since each partner tells where some reference leads;
 *	  2. for each key in turn: its values, and where references lead; then its
 *		 values alone; each time followed by the first round;
 *	  3. the contents, wherever references lead.
 *
 * A round sorts hashes, so it takes n log n.  How often rounds are repeated is
 * limited: in a deeper tree of entities that have nothing but their parents to
 * be known by, those far down are left without.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "json/document.h"
#include "merge/match.h"
#include "merge/policycompare.h"
#include "merge/policyhash.h"
#include "merge/reference.h"

/* How often the first round is repeated at most, whatever there is to find */
#define MAX_REPEATS 64

/* What a round goes by */
typedef struct Round
{
	const MatchKey *key;		/* its values; NULL: the contents */
	bool		references;		/* and where references lead */
	const char *by;
} Round;

typedef struct Matching
{
	const Policy *policy;
	const Policy *contents;		/* ignores ids and references, too */
	MatchSide  *old;
	MatchSide  *new;
	int			repeats;
} Matching;

/* An entity in a round */
typedef struct Candidate
{
	uint64		hash;
	bool		is_new;
	MatchEntity *entity;
} Candidate;

/* ---- Entities by their ids ---------------------------------------------- */

static int
compare_ids(const void *a, const void *b, void *arg)
{
	const MatchEntity *entities = arg;

	CHECK_FOR_INTERRUPTS();
	return json_compare_keys(entities[*(const int *) a].id,
							 entities[*(const int *) b].id);
}

static void
sort_by_id(MatchSide *side)
{
	side->by_id = MemoryContextAllocHuge(CurrentMemoryContext,
										 Max(side->count, 1) * sizeof(int));
	for (int i = 0; i < side->count; i++)
		side->by_id[i] = i;
	qsort_arg(side->by_id, side->count, sizeof(int), compare_ids,
			  side->entities);
}

/*
 * The number of the entity with that id, or -1.
 */
int
match_find(const MatchSide *side, JsonKey id)
{
	int			low = 0;
	int			high = side->count;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			order = json_compare_keys(side->entities[side->by_id[middle]].id,
											  id);

		if (order == 0)
			return side->by_id[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* ---- The policy for contents -------------------------------------------- */

static void
add_pointers(JsonBuild *build, JsonValue array)
{
	JsonKey		none = {NULL, 0};
	JsonMembers elements;
	JsonValue	element;

	if (!json_exists(array))
		return;
	json_members(&elements, array);
	while (json_next_element(&elements, &element))
		json_build_value(build, none, element);
}

/*
 * A policy as it is given, that ignores references and repeated ids as well.
 */
static const Policy *
policy_for_contents(const Jsonb *given)
{
	JsonValue	policy = json_root(given);
	JsonKey		none = {NULL, 0};
	JsonBuild	ignore = {.is_array = true};
	JsonBuild	build = {0};
	const char *const kept[] = {"keys", "null", "tolerance"};

	add_pointers(&ignore, json_member(policy, json_key("ignore")));
	add_pointers(&ignore, json_member(policy, json_key("references")));
	for (int i = 0; i < DOCUMENT_IDS; i++)
		json_build_value(&ignore, none,
						 json_string(psprintf("/%s", document_ids[i])));

	/* In the order of keys */
	for (int i = 0; i < (int) lengthof(kept); i++)
	{
		JsonValue	value = json_member(policy, json_key(kept[i]));

		if (i == (int) lengthof(kept) - 1)
			json_build_made(&build, json_key("ignore"), &ignore);
		if (json_exists(value))
			json_build_value(&build, json_key(kept[i]), value);
	}
	return policy_parse(json_build_end(&build), NULL);
}

/* ---- References --------------------------------------------------------- */

/* Where a reference leads: what stands for it is the same on both sides. */
typedef struct Aim
{
	bool		is_known;
	bool		is_inside;		/* an entity of that side, with a partner */
	JsonKey		id;				/* the old one, or that of something else */
} Aim;

static Aim
aim_of(const Matching *matching, bool is_new, JsonValue reference)
{
	const MatchSide *side = is_new ? matching->new : matching->old;
	Aim			aim = {true, true, {reference.data, (int) reference.len}};
	int			number = match_find(side, aim.id);

	if (number < 0)
		aim.is_inside = false;
	else if (side->entities[number].partner < 0)
		aim.is_known = false;
	else if (is_new)
		aim.id = matching->old->entities[side->entities[number].partner].id;
	return aim;
}

static uint64
hash_key(JsonKey key)
{
	return hash_bytes_extended((const unsigned char *) key.name, key.len, 0);
}

/*
 * The hash of where the references of an entity lead.  Notes whether it waits
 * for one.
 */
static uint64
hash_references(const Matching *matching, Candidate *candidate)
{
	ReferenceScan scan;
	JsonValue	reference;
	uint64		hash = 0;

	candidate->entity->waits = false;
	if (candidate->entity->refers == 0)
		return 0;
	reference_scan_value(&scan, matching->policy, candidate->entity->doc);
	while (reference_next(&scan, &reference))
	{
		Aim			aim = aim_of(matching, candidate->is_new, reference);

		CHECK_FOR_INTERRUPTS();
		hash = hash_combine64(hash, scan.next * 4 + aim.is_known * 2 +
							  aim.is_inside);
		if (aim.is_known)
			hash = hash_combine64(hash, hash_key(aim.id));
		else
			candidate->entity->waits = true;
	}
	return hash;
}

static bool
same_references(const Matching *matching, const MatchEntity *old,
				const MatchEntity *new)
{
	ReferenceScan in_old;
	ReferenceScan in_new;
	JsonValue	of_old;
	JsonValue	of_new;

	if (old->refers != new->refers)
		return false;
	reference_scan_value(&in_old, matching->policy, old->doc);
	reference_scan_value(&in_new, matching->policy, new->doc);
	while (reference_next(&in_old, &of_old) && reference_next(&in_new,
															  &of_new))
	{
		Aim			aim_old = aim_of(matching, false, of_old);
		Aim			aim_new = aim_of(matching, true, of_new);

		if (in_old.next != in_new.next ||
			aim_old.is_known != aim_new.is_known ||
			aim_old.is_inside != aim_new.is_inside ||
			(aim_old.is_known &&
			 json_compare_keys(aim_old.id, aim_new.id) != 0))
			return false;
	}
	return true;
}

/* ---- Keys --------------------------------------------------------------- */

/*
 * A value of a key.  "/id" is the id of the entity, whether or not the
 * document repeats it.
 */
static JsonValue
key_value(const MatchEntity *entity, const JsonPointer *pointer)
{
	JsonValue	id = {JENTRY_ISSTRING, entity->id.name, entity->id.len};

	if (pointer->count == 1 &&
		json_compare_keys(pointer->keys[0], json_key("id")) == 0)
		return id;
	return pointer_value(pointer, entity->doc);
}

/*
 * The hash of the values of a key; false where the entity has not all of them:
 * null and an empty string tell nobody apart.
 */
static bool
hash_key_values(const Matching *matching, const MatchKey *key,
				const MatchEntity *entity, uint64 *hash)
{
	for (int i = 0; i < key->count; i++)
	{
		JsonValue	value = key_value(entity, &key->pointers[i]);

		if (!json_exists(value) || value.type == JENTRY_ISNULL ||
			(json_is_string(value) && value.len == 0))
			return false;
		*hash = hash_combine64(*hash, policyhash_value(matching->contents,
													   NULL, value));
	}
	return true;
}

static bool
same_key_values(const MatchKey *key, const MatchEntity *old,
				const MatchEntity *new)
{
	for (int i = 0; i < key->count; i++)
	{
		if (!json_equal(key_value(old, &key->pointers[i]),
						key_value(new, &key->pointers[i])))
			return false;
	}
	return true;
}

/* ---- Rounds ------------------------------------------------------------- */

static int
compare_candidates(const void *a, const void *b)
{
	const Candidate *left = a;
	const Candidate *right = b;

	CHECK_FOR_INTERRUPTS();
	if (left->hash != right->hash)
		return left->hash < right->hash ? -1 : 1;
	if (left->is_new != right->is_new)
		return left->is_new ? 1 : -1;
	return left->entity->number < right->entity->number ? -1 : 1;
}

/* Those of a side that have no partner, and what the round goes by */
static int
add_candidates(const Matching *matching, const Round *round, bool is_new,
			   Candidate *candidates)
{
	MatchSide  *side = is_new ? matching->new : matching->old;
	int			count = 0;

	for (int i = 0; i < side->count; i++)
	{
		MatchEntity *entity = &side->entities[i];
		Candidate  *candidate = &candidates[count];

		CHECK_FOR_INTERRUPTS();
		if (entity->partner >= 0)
			continue;
		candidate->entity = entity;
		candidate->is_new = is_new;
		candidate->hash = round->key == NULL ? entity->content : 0;
		if (round->references)
			candidate->hash = hash_combine64(candidate->hash,
											 hash_references(matching,
															 candidate));
		if (round->key == NULL ? !(round->references && entity->waits) :
			hash_key_values(matching, round->key, entity, &candidate->hash))
			count++;
	}
	return count;
}

static bool
are_same(const Matching *matching, const Round *round, const MatchEntity *old,
		 const MatchEntity *new)
{
	if (round->references && !same_references(matching, old, new))
		return false;
	if (round->key != NULL)
		return same_key_values(round->key, old, new);
	return policycompare_values(matching->contents, &matching->contents->root,
								false, old->doc, new->doc);
}

/* Two entities of which nobody else has what they have become partners. */
static bool
pair(const Matching *matching, const Round *round, MatchEntity *old,
	 MatchEntity *new)
{
	if (!are_same(matching, round, old, new))
		return false;
	old->partner = new->number;
	new->partner = old->number;
	old->by = new->by = round->by;
	return true;
}

/*
 * Of entities that are all alike, those are partners that have the same id: an
 * entity that was not touched is itself.
 */
static bool
pair_same_ids(const Matching *matching, const Round *round,
			  Candidate *candidates, int count)
{
	bool		found = false;

	for (int i = 0; i < count; i++)
	{
		MatchEntity *new = candidates[i].entity;
		int			number;

		CHECK_FOR_INTERRUPTS();
		if (!candidates[i].is_new)
			continue;
		number = match_find(matching->old, new->id);
		if (number >= 0 && matching->old->entities[number].partner < 0 &&
			pair(matching, round, &matching->old->entities[number], new))
			found = true;
	}
	return found;
}

/* Is anything found? */
static bool
go_round(const Matching *matching, const Round *round)
{
	Candidate  *candidates = MemoryContextAllocHuge(CurrentMemoryContext,
													((Size) matching->old->count + matching->new->count + 1) * sizeof(Candidate));
	int			count = add_candidates(matching, round, false, candidates);
	bool		found = false;

	count += add_candidates(matching, round, true, candidates + count);
	qsort(candidates, count, sizeof(Candidate), compare_candidates);
	for (int i = 0, next; i < count; i = next)
	{
		for (next = i + 1; next < count && candidates[next].hash == candidates[i].hash;)
			next++;
		if (next - i == 2 && !candidates[i].is_new && candidates[i + 1].is_new)
			found |= pair(matching, round, candidates[i].entity,
						  candidates[i + 1].entity);
		else if (next - i > 2 && round->key == NULL && round->references)
			found |= pair_same_ids(matching, round, &candidates[i], next - i);
	}
	pfree(candidates);
	return found;
}

static void
go_round_contents(Matching *matching)
{
	const Round round = {NULL, true, "content"};

	while (matching->repeats < MAX_REPEATS && go_round(matching, &round))
		matching->repeats++;
}

static void
prepare(const Matching *matching, MatchSide *side)
{
	sort_by_id(side);
	for (int i = 0; i < side->count; i++)
	{
		MatchEntity *entity = &side->entities[i];
		ReferenceScan scan;
		JsonValue	reference;

		CHECK_FOR_INTERRUPTS();
		entity->number = i;
		entity->partner = -1;
		entity->by = NULL;
		entity->content = policyhash_value(matching->contents,
										   &matching->contents->root,
										   entity->doc);
		entity->refers = 0;
		reference_scan_value(&scan, matching->policy, entity->doc);
		while (reference_next(&scan, &reference))
			entity->refers++;
	}
}

/*
 * Find the partners of the entities of two sides, as a policy (NULL: the
 * default), its preset written out, tells them apart.  What is palloc'd is
 * left to the caller's memory context.  An error (22023) where it is no
 * policy, (54001) where a document is nested too deep.
 */
void
match_entities(const Jsonb *policy, MatchSide *old, MatchSide *new)
{
	Matching	matching = {.old = old,.new = new};
	Round		round = {NULL, false, "content"};

	matching.policy = policy_parse(policy, NULL);
	matching.contents = policy_for_contents(policy);
	prepare(&matching, old);
	prepare(&matching, new);

	go_round_contents(&matching);
	for (int i = 0; i < matching.policy->matches; i++)
	{
		const MatchKey *key = &matching.policy->match[i];
		Round		by_key = {key, true, key->name};

		if (go_round(&matching, &by_key))
			go_round_contents(&matching);
		by_key.references = false;
		if (go_round(&matching, &by_key))
			go_round_contents(&matching);
	}
	if (go_round(&matching, &round))
		go_round_contents(&matching);
}
