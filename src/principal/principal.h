/*
 * principal.h
 *	  Who is asking.
 */
#ifndef DIAGSYNC_PRINCIPAL_H
#define DIAGSYNC_PRINCIPAL_H

extern char *principal_current(void);
extern Oid	principal_role(void);
extern char *principal_note(char *principal, Oid role, Oid *role_before);
extern void principal_check(const char *principal, const char *diagram);

#endif							/* DIAGSYNC_PRINCIPAL_H */
