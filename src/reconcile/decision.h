/*
 * decision.h
 *	  What a sync or a resolution does with one entity.
 */
#ifndef DIAGSYNC_DECISION_H
#define DIAGSYNC_DECISION_H

#include "reconcile/classify.h"

typedef enum Direction
{
	DIRECTION_PUSH,
	DIRECTION_PULL,
	DIRECTION_NONE,				/* only a conflict is resolved */
} Direction;

/* What becomes of a conflict */
typedef enum Resolution
{
	RESOLUTION_ABORT,			/* on_conflict only */
	RESOLUTION_SKIP,			/* on_conflict only */
	RESOLUTION_LOCAL,
	RESOLUTION_PUBLIC,
	RESOLUTION_BOTH,
	RESOLUTION_NEWEST,
	RESOLUTION_MERGED,			/* resolve() only */
} Resolution;

typedef enum BaseDecision
{
	BASE_KEEP,
	BASE_DROP,					/* both copies are equal */
	BASE_SET,					/* to base_doc */
} BaseDecision;

typedef struct Decision
{
	const Version *local;		/* what the local copy is to hold; NULL: as it
								 * is */
	const Version *public;		/* what the shared copy is to hold; NULL: as
								 * it is */
	BaseDecision base;
	Jsonb	   *base_doc;
	Explanation explanation;	/* with BASE_SET */
	bool		resolved;		/* settles a conflict */
	Side		winner;			/* of a conflict; SIDE_NONE: there is none, or
								 * both do */
	bool		merged;			/* writes what both ends' edits merge to */
	bool		copies;			/* the local version goes beside the public
								 * one, under a new id */
	List	   *accepted;		/* what the base row is to say of that; NIL:
								 * as it is */
} Decision;

extern const char *resolution_name(Resolution resolution);
extern bool resolution_parse(const char *name, Resolution *resolution);
extern void decision_make(Decision *decision, Entity *entity,
						  Direction direction, Resolution resolution,
						  const Version *given);
extern void decision_leave(Decision *decision, const Entity *entity,
						   Direction direction);
extern void decision_follow(Decision *decision, Entity *entity);
extern void decision_accept(Decision *decision, const Entity *entity,
							List *referrers);
extern bool decision_keeps_local(const Entity *entity, Resolution resolution);
extern void decision_break(Decision *decision, Entity *entity);
extern bool decision_copies(const Entity *entity);
extern const Version *decision_redirect(const Entity *entity,
										const Version *version);
extern bool decision_is_nothing(const Decision *decision);
extern char *decision_copy_id(Reader *reader, const Entity *entity);

#endif							/* DIAGSYNC_DECISION_H */
