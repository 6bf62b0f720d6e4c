/*
 * core.h
 *	  The merge core, as the fuzzers call it: by plain C, with documents as binary
 *	  jsonb.  All that a call returns is there until core_forget().
 */
#ifndef FUZZ_CORE_H
#define FUZZ_CORE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The merge --------------------------------------------------------------- */

typedef struct CoreConflict
{
	const char *path;
	int			path_len;
	const void *base;			/* NULL: there is none */
	const void *local;
	const void *remote;			/* the public one; C++ has that word for itself */
} CoreConflict;

typedef struct CoreMerge
{
	/* To be set; NULL is a document that does not exist, or the default policy. */
	const void *base;
	const void *local;
	const void *remote;
	const void *policy;
	bool		local_is_newer;

	/* Set by core_merge() */
	const void *merged;			/* where there are no conflicts */
	const void *local_wins;		/* and where there are, what it is where a side wins */
	const void *remote_wins;
	int			conflicts;
	CoreConflict  *conflict;
	int			paths;			/* as threeway_paths() counts them */
	bool		local_changed;
	bool		remote_changed;
	bool		differ;
	bool		are_same;		/* both sides, by policycompare_documents() */
} CoreMerge;

/* These return the error's message, or NULL. */
extern const char *core_merge(CoreMerge *merge);

/* ---- Policies ---------------------------------------------------------------- */

/* A place that a policy marks */
typedef struct CoreMark
{
	const char *path;			/* a JSON Pointer */
	int			path_len;
	bool		ignore;
	bool		latest;
	int			group;			/* or -1 */
} CoreMark;

typedef struct CorePolicy
{
	bool		is_expanded;	/* to be set: a preset is not looked for */

	/* Set by core_policy() */
	const void *expanded;
	int			marks;
	CoreMark   *mark;
	const void *tolerance;		/* a document, or NULL */
	int			references;
	CoreMark   *reference;		/* of which only the path counts */
} CorePolicy;

extern const char *core_policy(const void *given, const char *diagram, CorePolicy *policy);
extern const char *core_preset(const char *name);

/* ---- Pointers ---------------------------------------------------------------- */

typedef struct CoreKey
{
	const char *name;
	int			len;
} CoreKey;

typedef struct CorePointer
{
	int			count;			/* -1: the text is no pointer */
	CoreKey    *keys;
	const char *text;			/* of what was read */
	int			text_len;
	const void *value;			/* in the document */
} CorePointer;

extern const char *core_pointer(const char *text, int len, const void *document, CorePointer *pointer);

/* ---- Entities ---------------------------------------------------------------- */

typedef struct CoreReference
{
	CoreMark	place;			/* of which only the path counts */
	const void *id;
} CoreReference;

typedef struct CoreEntity
{
	/* To be set; the document is an object. */
	const void *document;
	const void *base;
	const void *other;
	const void *policy;
	const char *id;
	const char *new_id;
	const char *const *ids;		/* that become others, in order */
	const char *const *new_ids;
	int			id_count;

	/* Set by core_entity() */
	const void *renamed;
	const void *redirected;
	int			references;
	CoreReference *reference;
	bool		equals_other;
	const char *digest;			/* of document and id */
	const char *other_digest;	/* of the other one and id */
} CoreEntity;

extern const char *core_entity(CoreEntity *entity);

/* ---- The server functions ---------------------------------------------------- */

extern void core_forget(void);

/* For server.c */
typedef void (*CoreCall) (void *argument);
extern const char *server_catch(CoreCall call, void *argument);
extern void server_free_all(void);

/* For server.c, by jsonb.cpp: binary jsonb of a text, by malloc(); NULL where it is no JSON */
extern void *jsonb_of_text(const char *text);

#ifdef __cplusplus
}
#endif

#endif							/* FUZZ_CORE_H */
