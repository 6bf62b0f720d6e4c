/*
 * quota.h
 *	  How large entities and diagrams may be.
 */
#ifndef DIAGSYNC_QUOTA_H
#define DIAGSYNC_QUOTA_H

#include "directory.h"

extern bool quota_applies(void);
extern void quota_check_size(const char *diagram, const char *entity,
							 Size size);
extern void quota_check_put(const char *diagram, int n);
extern void quota_check_entities(const Diagram *diagram, int64 added);

#endif							/* DIAGSYNC_QUOTA_H */
