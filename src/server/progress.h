/*
 * progress.h
 *	  How far a long operation is.
 */
#ifndef DIAGSYNC_PROGRESS_H
#define DIAGSYNC_PROGRESS_H

typedef enum ProgressAction
{
	PROGRESS_SHARE,
	PROGRESS_CLONE,
	PROGRESS_PUSH,
	PROGRESS_PULL,
	PROGRESS_RESOLVE,
} ProgressAction;

typedef enum ProgressPhase
{
	PROGRESS_COLLECTING,		/* what may have changed is gathered */
	PROGRESS_CHECKING,			/* it is gone through once without writing */
	PROGRESS_WRITING,
} ProgressPhase;

#define PROGRESS_TOTAL_UNKNOWN (-1)

extern void progress_begin(ProgressAction action);
extern void progress_phase(ProgressPhase phase, int64 total);
extern void progress_done(int64 entities);
extern void progress_end(void);

#endif							/* DIAGSYNC_PROGRESS_H */
