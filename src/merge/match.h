/*
 * match.h
 *	  Which entities of an import are which of those that are there.
 */
#ifndef DIAGSYNC_MATCH_H
#define DIAGSYNC_MATCH_H

#include "merge/policy.h"

/* An entity of one side */
typedef struct MatchEntity
{
	/* To be set */
	JsonKey		id;				/* of no other entity of that side */
	JsonValue	doc;

	/* Set by match_entities() */
	int			partner;		/* number of that of the other side, or -1 */
	const char *by;				/* how it was found, NULL: it was not */

	/* For match.c alone */
	int			number;
	uint64		content;		/* hash of it */
	int			refers;			/* how many references it has */
	bool		waits;			/* one leads to what has no partner */
} MatchEntity;

typedef struct MatchSide
{
	int			count;
	MatchEntity *entities;
	int		   *by_id;			/* for match.c alone */
} MatchSide;

extern void match_entities(const Jsonb *policy, MatchSide *old,
						   MatchSide *new);
extern int	match_find(const MatchSide *side, JsonKey id);

#endif							/* DIAGSYNC_MATCH_H */
