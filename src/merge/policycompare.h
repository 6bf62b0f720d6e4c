/*
 * policycompare.h
 *	  Values that are the same, as a merge policy sees it.
 */
#ifndef DIAGSYNC_POLICYCOMPARE_H
#define DIAGSYNC_POLICYCOMPARE_H

#include "merge/policy.h"

extern bool policycompare_is_absent(const Policy *policy, JsonValue value);
extern bool policycompare_keys(const PolicyNode *node, JsonValue a,
							   JsonValue b);
extern bool policycompare_values(const Policy *policy, const PolicyNode *node,
								 bool without_latest, JsonValue a,
								 JsonValue b);
extern bool policycompare_documents(const Policy *policy, const Jsonb *a,
									const Jsonb *b);
extern bool policycompare_versions(const Policy *policy, Jsonb *a,
								   const Jsonb *b,
								   const text *id);

#endif							/* DIAGSYNC_POLICYCOMPARE_H */
