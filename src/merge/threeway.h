/*
 * threeway.h
 *	  The three-way merge of a document.
 */
#ifndef DIAGSYNC_THREEWAY_H
#define DIAGSYNC_THREEWAY_H

#include "nodes/pg_list.h"
#include "utils/array.h"

#include "merge/policy.h"

/* A value in the three versions */
typedef struct Three
{
	JsonValue	base;
	JsonValue	local;
	JsonValue	public;
} Three;

/* A place where both sides changed a document differently */
typedef struct Conflict
{
	text	   *path;			/* a JSON Pointer */
	Three		values;
	struct Unit *unit;			/* that it is part of, or NULL */
} Conflict;

/* Who wins */
typedef enum Side
{
	SIDE_NONE,
	SIDE_LOCAL,
	SIDE_PUBLIC,
	SIDES,						/* how many */
} Side;

typedef struct Part Part;

/* Three versions of a document, and how they stand to each other */
typedef struct Threeway
{
	/* To be set */
	const Policy *policy;
	bool		local_is_newer; /* that version was edited later */
	const Jsonb *base;			/* NULL: there is none */
	const Jsonb *local;
	const Jsonb *public;

	/* Set by threeway_classify() */
	bool		local_changed;
	bool		public_changed;
	bool		differ;			/* both copies, as the policy sees it */
	List	   *conflicts;		/* of Conflict, in the order of the document */
	Part	   *part;			/* what is to be merged from what */
} Threeway;

extern void threeway_classify_whole(Threeway *threeway);
extern void threeway_classify(Threeway *threeway);
extern Jsonb *threeway_merged(const Threeway *threeway, Side winner);
extern ArrayType *threeway_paths(List *conflicts);

#endif							/* DIAGSYNC_THREEWAY_H */
