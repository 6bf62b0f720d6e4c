/*
 * policyhash.h
 *	  Hashes of values, as a merge policy sees them.
 */
#ifndef DIAGSYNC_POLICYHASH_H
#define DIAGSYNC_POLICYHASH_H

#include "merge/policy.h"

extern uint64 policyhash_value(const Policy *policy, const PolicyNode *node,
							   JsonValue value);

#endif							/* DIAGSYNC_POLICYHASH_H */
