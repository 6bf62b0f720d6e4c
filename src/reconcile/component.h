/*
 * component.h
 *	  Entities that depend on each other by references that would dangle.
 */
#ifndef DIAGSYNC_COMPONENT_H
#define DIAGSYNC_COMPONENT_H

#include "nodes/pg_list.h"

#include "reconcile/dependencyset.h"

typedef struct Components Components;

extern Components *components_begin(MemoryContext context);
extern void components_add(Components *set, const char *id);
extern void components_join(Components *set, const Dependency *pair,
							PairKind kind);
extern List *components_next_round(Components *set);
extern bool components_were_added(const Components *set, const char *id);
extern const char *components_id(const Components *set, const char *id);
extern bool components_stay_deleted(const Components *set, const char *id,
									bool locally, TimestampTz deleted_at,
									TimestampTz newest);

#endif							/* DIAGSYNC_COMPONENT_H */
