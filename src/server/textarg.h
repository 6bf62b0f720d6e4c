/*
 * textarg.h
 *	  Texts that users give, and how long they may be, in characters.
 */
#ifndef DIAGSYNC_TEXTARG_H
#define DIAGSYNC_TEXTARG_H

#include "postgres.h"

/* The columns' checks (directory.sql, access.sql, storage.sql) say the same. */
#define MAX_DIAGRAM_ID 255
#define MAX_ENTITY_ID 400
#define MAX_NAME 1000
#define MAX_DESCRIPTION 10000
#define MAX_LABEL 255

/* Of VALUE in sub:VALUE; as many as OpenID Connect allows a claim "sub" */
#define MAX_SUBJECT 255
#define MAX_PRINCIPAL (MAX_SUBJECT + 5)

/* Words that functions know: storage types, roles, resolutions, digests */
#define MAX_WORD 255

/* A JSON Pointer by which conflicts are chosen */
#define MAX_PATH 10000

/* Of a setting, in bytes */
#define MAX_TOKEN_BYTES 255
#define MAX_ROLE_LIST_BYTES 10000

/* Of a merge policy as jsonb */
#define MAX_POLICY_BYTES (64 * 1024)

extern char *textarg_get(Datum value, const char *arg, const char *diagram,
						 int max);
extern bool textarg_fits(const char *text, int max);

#endif							/* DIAGSYNC_TEXTARG_H */
