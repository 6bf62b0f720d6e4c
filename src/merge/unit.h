/*
 * unit.h
 *	  Places of a document taken from another one, each with what merges only
 *	  together with it.
 */
#ifndef DIAGSYNC_UNIT_H
#define DIAGSYNC_UNIT_H

#include "merge/policy.h"

extern Jsonb *unit_take(const Policy *policy, Jsonb *doc, const Jsonb *other,
						const JsonPointer *place);

#endif							/* DIAGSYNC_UNIT_H */
