/*
 * company.h
 *	  What goes along with the conflicts that are settled.
 */
#ifndef DIAGSYNC_COMPANY_H
#define DIAGSYNC_COMPANY_H

#include "reconcile/syncitem.h"

typedef struct Company Company;

extern void company_collect(SyncRun *run, Candidates *candidates,
							Snapshot snapshot);
extern const Choice *company_choice(const SyncRun *run, const Entity *entity,
									bool *is_changed);
extern void company_join(const Company *company, SyncItem *item);
extern void company_part(const Company *company, SyncItem *item);

#endif							/* DIAGSYNC_COMPANY_H */
