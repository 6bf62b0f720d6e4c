/*
 * diff.h
 *	  What makes one document another, as a JSON Patch (RFC 6902).
 */
#ifndef DIAGSYNC_DIFF_H
#define DIAGSYNC_DIFF_H

#include "merge/policy.h"

extern Jsonb *diff_documents(const Policy *policy, const Jsonb *old,
							 const Jsonb *new);

#endif							/* DIAGSYNC_DIFF_H */
