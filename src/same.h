/*
 * same.h
 *	  Values that are the same, as a merge policy sees it.
 */
#ifndef DIAGSYNC_SAME_H
#define DIAGSYNC_SAME_H

#include "policy.h"

extern bool same_values(const Policy *policy, const PolicyNode *node,
						bool without_latest, JsonValue a, JsonValue b);
extern bool same_documents(const Policy *policy, const Jsonb *a,
						   const Jsonb *b);
extern bool same_versions(const Policy *policy, Jsonb *a, const Jsonb *b,
						  const text *id);

#endif							/* DIAGSYNC_SAME_H */
