/*
 * dependencyset.h
 *	  What makes changed entities depend on each other, sorted.
 */
#ifndef DIAGSYNC_DEPENDENCYSET_H
#define DIAGSYNC_DEPENDENCYSET_H

#include "reconcile/classify.h"

/* What a dependency says of the entity that it begins with */
typedef enum DependencyKind
{
	DEPENDENCY_REFERRED_TO,		/* by the other one, on the other side */
	DEPENDENCY_TARGET,			/* it refers to the other one */
	DEPENDENCY_RENAME,			/* it refers to the other one, which gets a
								 * new id */
	DEPENDENCY_COPY,			/* it gets that id */
} DependencyKind;

typedef struct Dependency
{
	const char *id;
	DependencyKind kind;
	const char *other;
	const char *new_id;			/* or NULL */

	/* Of a pair: */
	bool		deleted_locally;	/* else in the shared copy */
	TimestampTz deleted_at;
	TimestampTz at;				/* when the version that refers to it was
								 * edited */
	bool		stays_deleted;	/* by the rule "newest"; set by
								 * dependencyset_settle() */
} Dependency;

/* Why a deleted entity and one that refers to it are a pair */
typedef enum PairKind
{
	PAIR_EDIT,					/* an edit of the other side refers to it */
	PAIR_KEPT,					/* so does another deleted entity, if kept */
	PAIR_GIVEN_UP,				/* so does something if an edit is given up */
} PairKind;

typedef struct DependencySet DependencySet;
struct Rings;

extern DependencySet *dependencyset_begin(void);
extern void dependencyset_put_member(DependencySet *set, const char *id);
extern void dependencyset_put(DependencySet *set,
							  const Dependency *dependency);
extern void dependencyset_put_pair(DependencySet *set,
								   const Dependency *dependency,
								   PairKind kind);
extern void dependencyset_put_insert(DependencySet *set, const char *id,
									 const char *other,
									 bool locally);
extern List *dependencyset_next_round(DependencySet *set);
extern void dependencyset_pair_inserts(DependencySet *set);
extern void dependencyset_settle(DependencySet *set);
extern Dependencies *dependencyset_next(DependencySet *set, const char *id,
										bool referrers);
extern bool dependencyset_has_any(const DependencySet *set);
extern bool dependencyset_read(DependencySet *set, DependencyKind *kind,
							   char **id, char **other);
extern Dependencies *dependencyset_take(DependencySet *set, char **id,
										bool referrers);
extern void dependencyset_set_rings(DependencySet *set, struct Rings *rings);
extern struct Rings *dependencyset_rings(const DependencySet *set);
extern void dependencyset_rewind(DependencySet *set);
extern void dependencyset_end(DependencySet *set);

#endif							/* DIAGSYNC_DEPENDENCYSET_H */
