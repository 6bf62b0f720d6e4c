/*
 * claims.h
 *	  What the JWT of a request claims about who sends it.
 */
#ifndef DIAGSYNC_CLAIMS_H
#define DIAGSYNC_CLAIMS_H

extern const char *claims_sub(void);

#endif							/* DIAGSYNC_CLAIMS_H */
