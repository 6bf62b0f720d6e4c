/*
 * choice.h
 *	  Which conflicts are to be settled, and how each.
 */
#ifndef DIAGSYNC_CHOICE_H
#define DIAGSYNC_CHOICE_H

#include "reconcile/decision.h"

/* How a conflict is to be settled */
typedef struct Choice
{
	char	   *id;				/* of the entity that was named, or NULL */
	Resolution	resolution;
	Version		given;			/* the document for RESOLUTION_MERGED */
	char	   *expected;		/* the version that was shown, or NULL */
	bool		is_along;		/* it follows from that for another entity */
} Choice;

/* What comes of a choice, as far as the entity tells */
typedef enum Verdict
{
	VERDICT_SETTLES,			/* the conflict is settled as chosen */
	VERDICT_NO_CONFLICT,		/* it has none (any more) */
	VERDICT_NO_ENTITY,			/* there is no such entity */
	VERDICT_CHANGED,			/* it is not as it was shown */
	VERDICT_LEFT_OUT,			/* it is none of those kinds or paths, or its
								 * ring stays */
} Verdict;

/* All choices of a call */
typedef struct Choices
{
	Choice	   *named;			/* in ascending ids, each once */
	int			n;
	Choice	   *rule;			/* for all others, or NULL */
	bool		by_kind;		/* only conflicts of these kinds: */
	uint32		kinds;			/* a bit for each ConflictKind */
	bool		by_path;		/* only those that lie within these: */
	List	   *paths;			/* of JsonPointer, "*" for any key */
} Choices;

extern void choices_sort(Choices *choices);
extern const Choice *choices_find(const Choices *choices, const char *id);
extern bool choices_copy(const Choices *choices);
extern Verdict choices_judge(const Choices *choices, const Choice *choice,
							 const Entity *entity);
extern bool choice_expects(const Choice *choice, const Entity *entity);

#endif							/* DIAGSYNC_CHOICE_H */
