/*
 * subxact.h
 *	  Work done whole or not at all, and again where somebody was faster.
 */
#ifndef DIAGSYNC_SUBXACT_H
#define DIAGSYNC_SUBXACT_H

typedef enum SubxactEnd
{
	SUBXACT_DONE,				/* keep what it did */
	SUBXACT_UNDONE,				/* roll it back */
	SUBXACT_AGAIN,				/* roll it back and try again */
} SubxactEnd;

typedef SubxactEnd (*SubxactBody) (void *arg);

/* Is an error with that SQLSTATE to be caught? */
typedef bool (*SubxactCatches) (int sqlerrcode);

extern SubxactEnd subxact_catch(SubxactBody body, void *arg,
								SubxactCatches catches, ErrorData **error);
extern SubxactEnd subxact_run(SubxactBody body, void *arg,
							  const TransactionId *wait_for,
							  const char *diagram);

#endif							/* DIAGSYNC_SUBXACT_H */
