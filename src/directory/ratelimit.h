/*
 * ratelimit.h
 *	  How many syncs a principal may call in a minute.
 */
#ifndef DIAGSYNC_RATELIMIT_H
#define DIAGSYNC_RATELIMIT_H

extern int	ratelimit_left(int *left);
extern void ratelimit_charge(const char *function);
extern void ratelimit_charge_creation(void);

#endif							/* DIAGSYNC_RATELIMIT_H */
