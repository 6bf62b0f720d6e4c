/*
 * httpbody.h
 *	  Bodies of plain writes over HTTP.
 */
#ifndef DIAGSYNC_HTTPBODY_H
#define DIAGSYNC_HTTPBODY_H

#include "utils/jsonb.h"

#include "server/compat.h"

pg_noreturn extern void httpbody_bad_field(const char *field,
										   const char *what);
extern Jsonb *httpbody_check_entities(bool is_new, char *route);
extern void httpbody_check_diagram(void);
extern bool httpbody_has_field(const char *field);

#endif							/* DIAGSYNC_HTTPBODY_H */
