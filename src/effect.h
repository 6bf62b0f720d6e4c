/*
 * effect.h
 *	  What a sync or a resolution does with one entity.
 */
#ifndef DIAGSYNC_EFFECT_H
#define DIAGSYNC_EFFECT_H

#include "weigh.h"

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

typedef enum BaseEffect
{
	BASE_KEEP,
	BASE_DROP,					/* both ends are equal */
	BASE_SET,					/* to base_doc */
} BaseEffect;

typedef struct Effect
{
	const Version *local;		/* what the local end is to hold; NULL: as it
								 * is */
	const Version *public;		/* what the far end is to hold; NULL: as it is */
	BaseEffect	base;
	Jsonb	   *base_doc;
	Doubt		doubt;			/* with BASE_SET */
	bool		resolved;		/* settles a conflict */
	bool		merged;			/* writes what both ends' edits merge to */
	bool		copies;			/* the local version goes beside the public
								 * one, under a new id */
	List	   *accepted;		/* what the base row is to say of that; NIL: as
								 * it is */
} Effect;

extern const char *resolution_name(Resolution resolution);
extern bool resolution_parse(const char *name, Resolution *resolution);
extern void effect_decide(Effect *effect, Entity *entity,
						  Direction direction, Resolution resolution,
						  const Version *given);
extern void effect_follow(Effect *effect, Entity *entity);
extern void effect_accept(Effect *effect, const Entity *entity,
						  const char *referrer);
extern bool effect_copies(const Entity *entity);
extern const Version *effect_led(const Entity *entity, const Version *version);
extern bool effect_is_nothing(const Effect *effect);
extern char *effect_copy_id(Reader *reader, const Entity *entity);

#endif							/* DIAGSYNC_EFFECT_H */
