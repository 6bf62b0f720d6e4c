/*
 * request.h
 *	  The PostgREST request, if there is one, that a call is part of.
 */
#ifndef DIAGSYNC_REQUEST_H
#define DIAGSYNC_REQUEST_H

#include "utils/jsonb.h"

extern bool request_is_http(void);
extern Jsonb *request_json(const char *setting);
extern char *request_string(const Jsonb *object, const char *key,
							bool *is_other);
extern char *request_header(const char *name);
extern bool request_has_login(void);
extern char *request_decode(const char *encoded);

#endif							/* DIAGSYNC_REQUEST_H */
