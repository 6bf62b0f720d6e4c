/*
 * httpcall.h
 *	  Functions called over HTTP, and bodies of plain writes.
 */
#ifndef DIAGSYNC_HTTPCALL_H
#define DIAGSYNC_HTTPCALL_H

extern void httpcall_check_body(bool is_new, char *route);

#endif							/* DIAGSYNC_HTTPCALL_H */
