/*
 * reference.h
 *	  References to other entities in a document.
 */
#ifndef DIAGSYNC_REFERENCE_H
#define DIAGSYNC_REFERENCE_H

#include "nodes/pg_list.h"

#include "merge/policy.h"

/* The references of a document, one after the other */
typedef struct ReferenceScan
{
	const Policy *policy;
	const JsonPointer *pointers;	/* of the policy, to be followed */
	int			count;
	JsonValue	document;
	int			next;			/* number of the pointer to be followed */
	const JsonPointer *pointer; /* the one that was followed last */
	const JsonPointer *place;	/* where it led to: elements have names */
	bool		in_array;
	JsonMembers elements;
	List	   *found;			/* what those lead to that lead through
								 * elements */
	int			next_found;
} ReferenceScan;

/* An id that becomes another one */
typedef struct Rename
{
	char	   *id;
	char	   *new_id;
} Rename;

extern void reference_scan(ReferenceScan *scan, const Policy *policy,
						   const Jsonb *doc);
extern void reference_scan_value(ReferenceScan *scan, const Policy *policy,
								 JsonValue doc);
extern void reference_scan_acyclic(ReferenceScan *scan, const Policy *policy,
								   const Jsonb *doc);
extern JsonPointer reference_acyclic_place(const Policy *policy, int number);
extern bool reference_next(ReferenceScan *scan, JsonValue *id);
extern bool reference_is_at(const JsonPointer *pointer, const Jsonb *doc,
							JsonValue id);
extern Jsonb *reference_redirect(const Policy *policy, Jsonb *doc,
								 List *renames,
								 const Jsonb *base, const Jsonb *other);

#endif							/* DIAGSYNC_REFERENCE_H */
