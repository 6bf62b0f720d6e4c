/*
 * settle.h
 *	  The way of a resolution.
 */
#ifndef DIAGSYNC_SETTLE_H
#define DIAGSYNC_SETTLE_H

#include "reconcile/choice.h"
#include "server/subxact.h"

/* What has become of an entity that the caller named, or of a conflict */
typedef enum Settled
{
	SETTLED_RESOLVED,
	SETTLED_NO_CONFLICT,		/* there is none (any more) */
	SETTLED_NO_ENTITY,			/* there is no such entity */
	SETTLED_CHANGED,			/* it is not as it was shown */
	SETTLED_LEFT_OUT,			/* it is none of those kinds or paths, or its
								 * ring stays */
	SETTLED_KEPT_OUT,			/* a trigger did not let it be stored */
	SETTLED_REFUSED,			/* there are too many deletions */
} Settled;

typedef struct Settling Settling;

/*
 * Tell what has become of an entity.  "copy_id": the new id of the version
 * that was kept beside the public one, or NULL.  "now": the entity (or that
 * copy) as it is now; NULL where it has no conflict, unless all are asked for.
 */
typedef void (*SettledAnswer) (Settling *settling, Settled settled,
							   const char *id, const char *copy_id,
							   const Entity *now);

/* A resolution that was called, and what comes of it */
struct Settling
{
	char	   *local;
	MemoryContext context;		/* of the call */
	Choices		choices;
	bool		single;			/* one entity: without a conflict it is an
								 * error, and the answer is what is now in its
								 * place */
	bool		allow_deletions;	/* of entities that were not named */
	SettledAnswer answer;
	void	   *answer_arg;

	char	   *shared;			/* the shared copy, once that is known */
	int64		resolved;
	int64		conflicts;		/* not resolved */
	int64		refused_deletions;
	int			tries;
	TransactionId inserter;		/* to be waited for before the next try */
};

extern const char *settled_name(Settled settled);
extern SubxactEnd settle_carry_out(void *arg);

#endif							/* DIAGSYNC_SETTLE_H */
