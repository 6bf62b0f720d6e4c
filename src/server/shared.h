/*
 * shared.h
 *	  What sessions share in memory.
 */
#ifndef DIAGSYNC_SHARED_H
#define DIAGSYNC_SHARED_H

#define SHARED_WINDOW 60		/* seconds */

/* What is noted of what */
typedef enum SharedKind
{
	SHARED_CALLS,				/* of a principal: the syncs it called */
	SHARED_ROOM,				/* of a diagram: for how many more entities */
	SHARED_SIZE,				/* of a diagram: for how many more bytes */
	SHARED_OWNER_SIZE,			/* of an owner: the same */
	SHARED_CREATIONS,			/* of a principal: the diagrams it made */
} SharedKind;

#define SHARED_KINDS (SHARED_CREATIONS + 1)

typedef struct SharedNote
{
	uint64		name;			/* a hash of whose it is */
	Oid			database;		/* InvalidOid: nobody's */
	int64		second;			/* when it was used last */
	union
	{
		uint16		calls[SHARED_WINDOW];	/* in that second and those
											 * before, each at its number
											 * modulo SHARED_WINDOW */
		struct
		{
			int64		limit;	/* that was in force when it was counted */
			int64		left;
		}			room;
	}			u;
} SharedNote;

extern void shared_init(void);
extern int64 shared_second(void);
extern SharedNote *shared_lock(SharedKind kind, const char *name);
extern void shared_unlock(SharedKind kind, const SharedNote *note);

#endif							/* DIAGSYNC_SHARED_H */
