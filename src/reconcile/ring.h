/*
 * ring.h
 *	  Rings of references that a sync would close, found.
 */
#ifndef DIAGSYNC_RING_H
#define DIAGSYNC_RING_H

#include "reconcile/dependencyset.h"
#include "reconcile/ringset.h"

typedef struct Rings Rings;

extern Rings *rings_begin(Reader *reader, const RingRule *rule);
extern void rings_look(Rings *rings, Entity *entity);
extern bool rings_need_search(const Rings *rings, DependencySet *set);
extern bool rings_search(Rings *rings, DependencySet *set, Snapshot snapshot);
extern void rings_seal(Rings *rings);
extern bool rings_settle(Rings *rings, const struct SyncRun *run,
						 Snapshot snapshot);
extern const Ring *rings_find(const Rings *rings, const char *id);
extern List *rings_all(const Rings *rings);
extern bool rings_keep(const Rings *rings, const char *id, const char *other);
extern bool rings_are_pushed(const Rings *rings);
extern void rings_end(Rings *rings);

#endif							/* DIAGSYNC_RING_H */
