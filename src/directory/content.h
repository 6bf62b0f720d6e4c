/*
 * content.h
 *	  What may be in a document that is written.
 */
#ifndef DIAGSYNC_CONTENT_H
#define DIAGSYNC_CONTENT_H

#include "utils/jsonb.h"

extern void content_check(const char *diagram, const char *entity, Datum doc,
						  bool limited);
extern bool content_is_too_large(const Jsonb *doc, Size *size);
extern void content_check_given(const char *name, const Jsonb *doc);

#endif							/* DIAGSYNC_CONTENT_H */
