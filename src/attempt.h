/*
 * attempt.h
 *	  Work done whole or not at all, and again where somebody was faster.
 */
#ifndef DIAGSYNC_ATTEMPT_H
#define DIAGSYNC_ATTEMPT_H

typedef enum AttemptEnd
{
	ATTEMPT_DONE,				/* keep what it did */
	ATTEMPT_UNDONE,				/* roll it back */
	ATTEMPT_AGAIN,				/* roll it back and try again */
} AttemptEnd;

typedef AttemptEnd (*AttemptBody) (void *arg);

extern AttemptEnd attempt_catch(AttemptBody body, void *arg, int sqlerrcode,
								ErrorData **error);
extern AttemptEnd attempt_run(AttemptBody body, void *arg,
							  const TransactionId *wait_for,
							  const char *diagram);

#endif							/* DIAGSYNC_ATTEMPT_H */
