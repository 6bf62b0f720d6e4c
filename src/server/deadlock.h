/*
 * deadlock.h
 *	  A sync is the one that gives way in a deadlock.
 */
#ifndef DIAGSYNC_DEADLOCK_H
#define DIAGSYNC_DEADLOCK_H

extern void deadlock_watch(void);
extern void deadlock_keep_watch(void);
extern void deadlock_end_watch(void);

#endif							/* DIAGSYNC_DEADLOCK_H */
