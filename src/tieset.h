/*
 * tieset.h
 *	  What ties changed entities to each other, sorted.
 */
#ifndef DIAGSYNC_TIESET_H
#define DIAGSYNC_TIESET_H

#include "weigh.h"

/* What a tie says of the entity that it begins with */
typedef enum TieKind
{
	TIE_REFERRED_TO,			/* by the other one, at the other end */
	TIE_TARGET,					/* it refers to the other one */
	TIE_RENAME,					/* it refers to the other one, which gets a new
								 * id */
	TIE_COPY,					/* it gets that id */
} TieKind;

typedef struct Tie
{
	const char *id;
	TieKind		kind;
	const char *other;
	const char *new_id;			/* or NULL */

	/* Of a pair: */
	bool		deleted_locally;	/* else at the far end */
	TimestampTz deleted_at;
	TimestampTz at;				/* when the version that refers to it was edited */
	bool		stays_deleted;	/* by the rule "newest"; set by tieset_settle() */
} Tie;

/* Why a deleted entity and one that refers to it are a pair */
typedef enum PairKind
{
	PAIR_EDIT,					/* an edit of the other end refers to it */
	PAIR_KEPT,					/* so does another deleted entity, if kept */
	PAIR_GIVEN_UP,				/* so does something if an edit is given up */
} PairKind;

typedef struct TieSet TieSet;

extern TieSet *tieset_begin(void);
extern void tieset_put(TieSet *set, const Tie *tie);
extern void tieset_put_pair(TieSet *set, const Tie *tie, PairKind kind);
extern void tieset_put_insert(TieSet *set, const char *id, const char *other,
							  bool locally);
extern List *tieset_next_round(TieSet *set);
extern void tieset_pair_inserts(TieSet *set);
extern void tieset_settle(TieSet *set);
extern Ties *tieset_next(TieSet *set, const char *id, bool referrers);
extern void tieset_rewind(TieSet *set);
extern void tieset_end(TieSet *set);

#endif							/* DIAGSYNC_TIESET_H */
