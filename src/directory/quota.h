/*
 * quota.h
 *	  How large entities and diagrams may be.
 */
#ifndef DIAGSYNC_QUOTA_H
#define DIAGSYNC_QUOTA_H

#include "directory/directory.h"

extern bool quota_applies(void);
extern void quota_check_size(const char *diagram, const char *entity,
							 Size size);
extern int64 quota_row_bytes(Datum doc);
extern void quota_check_put(const char *diagram, int n);
extern void quota_check_entities(const Diagram *diagram, int64 added);
extern int	quota_max_entities(const Diagram *diagram);
extern int64 quota_max_size(const Diagram *diagram);
extern int64 quota_size(const Diagram *diagram);
extern void quota_note_written(int64 bytes);
extern void quota_begin_statement(void);
extern int64 quota_written(void);
extern void quota_check_bytes(const Diagram *diagram, int64 added);
extern void quota_check_diagrams(void);

#endif							/* DIAGSYNC_QUOTA_H */
