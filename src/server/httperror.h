/*
 * httperror.h
 *	  What a PostgREST request tells of errors.
 */
#ifndef DIAGSYNC_HTTPERROR_H
#define DIAGSYNC_HTTPERROR_H

#include "utils/elog.h"

extern void httperror_note_insert(const char *diagram, const char *entity);
extern char *httperror_reason(const ErrorData *error, bool own);
extern void httperror_init(void);

#endif							/* DIAGSYNC_HTTPERROR_H */
