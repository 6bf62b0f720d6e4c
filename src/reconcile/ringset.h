/*
 * ringset.h
 *	  The entities that are in rings which a sync would close.
 */
#ifndef DIAGSYNC_RINGSET_H
#define DIAGSYNC_RINGSET_H

#include "reconcile/choice.h"

struct SyncRun;

/* What is done about conflicts when rings are looked for */
typedef struct RingRule
{
	Direction	direction;		/* DIRECTION_NONE: of either, or of none in a
								 * resolution */
	Resolution	resolution;		/* of all, in a sync */
	const struct SyncRun *run;	/* the sync, some of whose entities may be
								 * left as they are, or the resolution, which
								 * chooses; NULL: all are looked at */
} RingRule;

/* An entity that is in a ring */
typedef struct RingMark
{
	const char *id;				/* hash key */
	Ring		ring;			/* as entities are told of it */
	Ring		next;			/* as they are to be told next */
	struct RingMark *leader;	/* of all that hang together, or itself */
	bool		has_conflict;	/* one of its own */

	/* Of a resolution: */
	bool		is_judged;
	const Choice *choice;		/* by which its conflict is settled, as it was
								 * before the ring; NULL: by none */
	bool		is_changed;		/* it is not as the caller was shown it */

	/* Of a leader: */
	TimestampTz local_at;		/* when one of them was edited last there, as
								 * far as that is what is in the ring */
	TimestampTz public_at;
	Resolution	resolution;
	bool		disputed;		/* there is more than one */
} RingMark;

typedef struct RingSet RingSet;

extern RingSet *ringset_begin(void);
extern RingMark *ringset_find(const RingSet *set, const char *id);
extern RingMark *ringset_mark(RingSet *set, const char *id,
							  const Bitmapset *places, bool *more);
extern void ringset_date(RingMark *mark, TimestampTz local_at,
						 TimestampTz public_at);
extern bool ringset_join(RingMark *mark, RingMark *other);
extern bool ringset_hang_together(const RingSet *set, const char *id,
								  const char *other);
extern bool ringset_strand(RingMark *mark);
extern int	ringset_stuck(const RingSet *set);
extern RingMark *ringset_need(RingSet *set, const char *id);
extern bool ringset_hold(RingSet *set, RingMark *mark,
						 const Bitmapset *places);
extern void ringset_settle(RingSet *set, const RingRule *rule);
extern void ringset_seal(RingSet *set);
extern List *ringset_ids(const RingSet *set, const char *with);
extern void ringset_end(RingSet *set);

#endif							/* DIAGSYNC_RINGSET_H */
