/*
 * ringview.h
 *	  What an end would hold after a sync, as far as references lead in rings;
 *	  and what is done about a ring there.
 */
#ifndef DIAGSYNC_RINGVIEW_H
#define DIAGSYNC_RINGVIEW_H

#include "utils/hsearch.h"
#include "utils/tuplestore.h"

#include "reconcile/ring.h"
#include "reconcile/ringwalk.h"

#define MAX_VIEWS 2

/* What an end would hold */
typedef struct View
{
	struct Rings *rings;
	Direction	direction;		/* after a push, a pull, a resolution */
	bool		locally;		/* else in the shared copy */
	RingWalk   *walk;
} View;

/* What is known of an entity beside its versions */
typedef struct Known
{
	const char *id;				/* hash key */
	Dependencies *dependencies; /* or NULL */
	const char *copy_of;		/* it is the copy that "both" makes of that
								 * one, or NULL */
} Known;

struct Rings
{
	MemoryContext context;
	Reader	   *reader;
	RingRule	rule;
	RingSet    *set;
	View		views[MAX_VIEWS];
	int			nviews;
	Tuplestorestate *moved;		/* ids of entities whose references differ */
	TupleDesc	tupdesc;
	bool		has_moved;
	bool		suspicious;		/* the first look has seen a ring */
	bool		pushed;			/* a push gives the shared copy references */

	/* Of a round */
	bool		searching;		/* it is not the first look */
	bool		more;			/* something was found that was not known */
	List	   *unbroken;		/* rings that are left, of Unbroken */
	HTAB	   *known;
	MemoryContext round_context;
	MemoryContext row_context;
	Entity	   *given;			/* it has been read already, or NULL */
};

extern Known *ringview_know(Rings *rings, const char *id);
extern void ringview_read(Rings *rings, Entity *entity, const char *id);
extern void ringview_judge(const Rings *rings, RingMark *mark,
						   const Entity *entity);
extern List *ringview_targets(void *view, const char *id);
extern Bitmapset *ringview_changed(const View *view, Entity *entity,
								   List *ids, bool added);
extern void ringview_found(void *view, List *ids);
extern bool ringview_leave(Rings *rings);

#endif							/* DIAGSYNC_RINGVIEW_H */
