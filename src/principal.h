/*
 * principal.h
 *	  Who is asking.
 */
#ifndef DIAGSYNC_PRINCIPAL_H
#define DIAGSYNC_PRINCIPAL_H

extern char *principal_current(void);
extern char *principal_note(char *principal);

#endif							/* DIAGSYNC_PRINCIPAL_H */
