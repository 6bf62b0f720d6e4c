/*
 * choice.c
 *	  Which conflicts are to be settled, and how each: those of the entities
 *	  that the caller names, or all, of some kinds or within some paths.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "json/pointer.h"
#include "reconcile/choice.h"

static int
compare_choices(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();		/* nothing is held while they are sorted */
	return strcmp(((const Choice *) a)->id, ((const Choice *) b)->id);
}

/*
 * Sort what the caller named by ascending ids.
 */
void
choices_sort(Choices *choices)
{
	qsort(choices->named, choices->n, sizeof(Choice), compare_choices);
}

/*
 * What is chosen for an entity; NULL: nothing.
 */
const Choice *
choices_find(const Choices *choices, const char *id)
{
	Choice		key = {.id = unconstify(char *, id)};
	const Choice *named = NULL;

	if (choices->n > 0)
		named = bsearch(&key, choices->named, choices->n, sizeof(Choice),
						compare_choices);
	return named != NULL ? named : choices->rule;
}

/*
 * May some of them keep both versions of an entity?
 */
bool
choices_copy(const Choices *choices)
{
	if (choices->rule != NULL && choices->rule->resolution == RESOLUTION_BOTH)
		return true;
	for (int i = 0; i < choices->n; i++)
	{
		if (choices->named[i].resolution == RESOLUTION_BOTH)
			return true;
	}
	return false;
}

/*
 * Is an entity as the caller was shown it, as far as that was said?
 */
bool
choice_expects(const Choice *choice, const Entity *entity)
{
	return choice->expected == NULL ||
		strcmp(choice->expected, entity_version(entity)) == 0;
}

/* Does a pattern lead to that place, or to something around it? */
static bool
leads_to(const JsonPointer *pattern, const JsonPointer *place)
{
	if (pattern->count > place->count)
		return false;
	for (int i = 0; i < pattern->count; i++)
	{
		const JsonKey *key = &pattern->keys[i];

		if ((key->len != 1 || key->name[0] != '*') &&
			json_compare_keys(*key, place->keys[i]) != 0)
			return false;
	}
	return true;
}

/* Is all that is in conflict within the paths? */
static bool
is_within(const Choices *choices, const Entity *entity)
{
	Datum	   *paths;
	int			n;

	deconstruct_array(entity_paths(entity), TEXTOID, -1, false, TYPALIGN_INT,
					  &paths, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		text	   *path = DatumGetTextPP(paths[i]);
		JsonPointer place;
		bool		found = false;
		ListCell   *lc;

		if (!pointer_parse(&place, VARDATA_ANY(path), VARSIZE_ANY_EXHDR(path)))
			return false;
		foreach(lc, choices->paths)
		{
			if (leads_to(lfirst(lc), &place))
				found = true;
		}
		if (!found)
			return false;
	}
	return true;
}

/*
 * What comes of a choice for an entity that was read?
 */
Verdict
choices_judge(const Choices *choices, const Choice *choice,
			  const Entity *entity)
{
	if (entity->conflict == CONFLICT_NONE)
		return entity->local.doc == NULL && entity->public.doc == NULL &&
			!entity->has_base_row ? VERDICT_NO_ENTITY : VERDICT_NO_CONFLICT;
	if (!choice_expects(choice, entity))
		return VERDICT_CHANGED;
	if (choice->is_along)
		return VERDICT_SETTLES;
	if (choices->by_kind && (choices->kinds & (1U << entity->conflict)) == 0)
		return VERDICT_LEFT_OUT;
	if (choices->by_path && !is_within(choices, entity))
		return VERDICT_LEFT_OUT;
	return VERDICT_SETTLES;
}
