/*
 * rolenote.h
 *	  Which role a principal's name means is noted.
 */
#ifndef DIAGSYNC_ROLENOTE_H
#define DIAGSYNC_ROLENOTE_H

extern void rolenote_principal(const char *principal, const char *diagram);
extern void rolenote_grant(const char *name, Oid role);
extern void rolenote_all(void);

#endif							/* DIAGSYNC_ROLENOTE_H */
