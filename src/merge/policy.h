/*
 * policy.h
 *	  Merge policies.
 */
#ifndef DIAGSYNC_POLICY_H
#define DIAGSYNC_POLICY_H

#include "json/pointer.h"

#define NO_GROUP (-1)

/* What a policy says of the value at some place in a document */
typedef struct PolicyNode
{
	JsonKey		key;			/* under which it is found */
	bool		ignore;
	bool		latest;
	int			group;			/* or NO_GROUP */
	bool		ignore_below;	/* further inside */
	bool		latest_below;
	bool		groups_below;
	JsonKey		element_key;	/* the member that tells the elements of an
								 * array apart; of no length: there is none */
	int			count;
	int			max;
	struct PolicyNode **children;	/* in the order of their keys */
} PolicyNode;

/* Members that together tell what an entity of an import is */
typedef struct MatchKey
{
	const char *name;			/* the pointers, for people */
	int			count;
	JsonPointer *pointers;
} MatchKey;

typedef struct Policy
{
	bool		by_property;	/* granularity "property" */
	PolicyNode	root;			/* of granularity "entity": one group */
	int			groups;			/* how many there are */
	Numeric		tolerance;		/* NULL: numbers are compared exactly */
	bool		null_is_absent; /* a property that is null is the same as
								 * none */
	int			references;
	JsonPointer *reference;		/* where ids of other entities are */
	int			matches;
	MatchKey   *match;			/* by which match() tells entities, in turn */
	int			acyclics;
	JsonPointer *acyclic;		/* where ids are that must lead in no ring */
} Policy;

extern Policy *policy_parse(const Jsonb *policy, const char *diagram);
extern const Jsonb *policy_expand(const Jsonb *policy, const char *diagram);

extern const PolicyNode *policy_child(const PolicyNode *node, JsonKey key);
extern const PolicyNode *policy_any_element(const PolicyNode *node);
extern const PolicyNode *policy_element(const PolicyNode *node, int number);

#endif							/* DIAGSYNC_POLICY_H */
