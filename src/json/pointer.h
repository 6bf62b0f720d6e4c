/*
 * pointer.h
 *	  JSON Pointers (RFC 6901).
 */
#ifndef DIAGSYNC_POINTER_H
#define DIAGSYNC_POINTER_H

#include "json/jsonvalue.h"

/* What a pointer leads through, from the outside */
typedef struct JsonPointer
{
	int			count;
	JsonKey    *keys;
} JsonPointer;

extern bool pointer_parse(JsonPointer *pointer, const char *string, int len);
extern bool pointer_equal(const JsonPointer *a, const JsonPointer *b);
extern void pointer_free(JsonPointer *pointer);
extern text *pointer_text(const JsonPointer *pointer);
extern JsonValue pointer_value(const JsonPointer *pointer, JsonValue document);

#endif							/* DIAGSYNC_POINTER_H */
