/*
 * seen.h
 *	  What a link has seen of its shared copy.
 */
#ifndef DIAGSYNC_SEEN_H
#define DIAGSYNC_SEEN_H

#include "access/transam.h"

/*
 * The value of a pg_snapshot, as it is stored. It says which top-level
 * transactions were visible: those below xmax that are not in xip (ascending).
 *
 * The writes of the sync that recorded it are not to be classified again,
 * though edits that the same transaction makes afterwards are.  So its
 * transaction counts as in progress here, and the link's seen_own names it as
 * one to leave out; any other write of that shared copy by the transaction
 * clears seen_own.
 */
typedef struct Seen
{
	int32		vl_len_;		/* varlena header */
	uint32		nxip;
	FullTransactionId xmin;
	FullTransactionId xmax;
	FullTransactionId xip[FLEXIBLE_ARRAY_MEMBER];
} Seen;

/* No link ever names this revision as its own. */
#define SEEN_OWN_NONE 0

extern Seen *seen_now(uint64 own);
extern Seen *seen_below(uint64 limit);
extern Seen *seen_nothing(void);
extern bool seen_has(const Seen *seen, uint64 own, uint64 rev);
extern bool seen_is_valid(const Seen *seen, const char *seen_on);
extern char *seen_here(void);

#endif							/* DIAGSYNC_SEEN_H */
