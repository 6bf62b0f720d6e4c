/*
 * shared.c
 *	  What sessions share in memory: notes that are worth something for a while
 *	  and can be forgotten.
 *
 * A named segment from PostgreSQL 17 on, before that where the library is
 * preloaded; else there is none.  The places are sets of a few each, like a
 * cache's: what was used last longest ago makes room.  A set is locked for a
 * few instructions only.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#include "server/compat.h"
#include "server/shared.h"

#define SETS 512
#define PLACES 8				/* in a set */

typedef struct SharedSet
{
	slock_t		mutex;
	SharedNote	places[PLACES];
} SharedSet;

typedef struct SharedState
{
	SharedSet	sets[SHARED_KINDS][SETS];
} SharedState;

static SharedState *state = NULL;	/* NULL: there is none (yet) */

static void
init_state(void *memory COMPAT_SEGMENT_ARG)
{
	SharedState *new = memory;

	memset(new, 0, sizeof(SharedState));
	for (int kind = 0; kind < SHARED_KINDS; kind++)
	{
		for (int i = 0; i < SETS; i++)
			SpinLockInit(&new->sets[kind][i].mutex);
	}
}

#ifndef COMPAT_NAMED_SEGMENTS
static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static void
request_state(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(sizeof(SharedState));
}

static void
attach_state(void)
{
	SharedState *memory;
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	memory = ShmemInitStruct("diagsync", sizeof(SharedState), &found);
	if (!found)
		init_state(memory);
	LWLockRelease(AddinShmemInitLock);
	state = memory;
}
#endif

/*
 * To be called once, when the library is loaded.
 */
void
shared_init(void)
{
#ifndef COMPAT_NAMED_SEGMENTS
	if (!process_shared_preload_libraries_in_progress)
		return;
	previous_request = shmem_request_hook;
	shmem_request_hook = request_state;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = attach_state;
#endif
}

/*
 * Seconds of a clock that all processes share and nobody sets.
 */
int64
shared_second(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_DOUBLE(now);
}

/*
 * The note about something in this database, its set locked until
 * shared_unlock(): nothing may fail in between.  It is all zero but for whose
 * it is where there was none.  NULL where the server has no memory to share.
 */
SharedNote *
shared_lock(SharedKind kind, const char *name)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) name,
										   strlen(name), 0);
	int64		now = shared_second();
	SharedSet  *set;
	SharedNote *note = NULL;
	SharedNote *oldest;

#ifdef COMPAT_NAMED_SEGMENTS
	if (state == NULL)
	{
		bool		found;

		state = compat_named_segment("diagsync", sizeof(SharedState), init_state,
									 &found);
	}
#endif
	if (state == NULL)
		return NULL;

	set = &state->sets[kind][hash % SETS];
	SpinLockAcquire(&set->mutex);
	oldest = &set->places[0];
	for (int i = 0; i < PLACES && note == NULL; i++)
	{
		SharedNote *place = &set->places[i];

		if (place->database == MyDatabaseId && place->name == hash)
			note = place;
		else if (place->database == InvalidOid ||
				 (oldest->database != InvalidOid &&
				  place->second < oldest->second))
			oldest = place;
	}
	if (note == NULL)
	{
		note = oldest;
		memset(note, 0, sizeof(SharedNote));
		note->name = hash;
		note->database = MyDatabaseId;
		note->second = now;
	}
	return note;
}

/*
 * Done with a note.
 */
void
shared_unlock(SharedKind kind, const SharedNote *note)
{
	SpinLockRelease(&state->sets[kind][note->name % SETS].mutex);
}
