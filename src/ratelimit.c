/*
 * ratelimit.c
 *	  How many syncs a principal may call in a minute:
 *	  diagsync.sync_rate_limit.
 *
 * A call that fails is charged, too, so the count is no row of a table: it would
 * roll back with the call.  It is in shared memory: a named segment from
 * PostgreSQL 17 on, before that where the library is preloaded.  Else the calls
 * are counted that sync_log has, which are those that committed.
 *
 * For each principal there is a ring of seconds, so that the calls of any 60
 * seconds are counted and it is known when there is room for another.  The
 * places are sets of a few each, like a cache's: who has called last longest ago
 * makes room.  Nobody waits for a count but for a few instructions.
 *
 * May call storage.c, access.c, request.c, settings.c and command.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "access.h"
#include "command.h"
#include "compat.h"
#include "principal.h"
#include "ratelimit.h"
#include "request.h"
#include "settings.h"

#define WINDOW 60				/* seconds */
#define SETS 512
#define PLACES 8				/* in a set */

/* The calls of one principal in one database */
typedef struct Count
{
	uint64		principal;		/* a hash of its name */
	Oid			database;		/* InvalidOid: nobody's */
	int64		second;			/* of the last call */
	uint16		calls[WINDOW];	/* in that second and those before, each at
								 * its number modulo WINDOW */
} Count;

typedef struct CountSet
{
	slock_t		mutex;
	Count		places[PLACES];
} CountSet;

typedef struct Counts
{
	CountSet	sets[SETS];
} Counts;

static Counts *counts = NULL;	/* NULL: no shared memory (yet) */

/* When the $3-th last call was, of those since $2 */
static Command nth_last_call =
COMMAND("SELECT called_at FROM diagsync.sync_log"
		" WHERE principal" EQ "$1 AND called_at" GT "$2"
		" ORDER BY called_at DESC LIMIT 1 OFFSET $3 OPERATOR(pg_catalog.-) 1",
		3, TEXTOID, TIMESTAMPTZOID, INT4OID);

static void
init_counts(void *memory)
{
	Counts	   *new = memory;

	memset(new, 0, sizeof(Counts));
	for (int i = 0; i < SETS; i++)
		SpinLockInit(&new->sets[i].mutex);
}

#ifndef COMPAT_NAMED_SEGMENTS
static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static void
request_counts(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(sizeof(Counts));
}

static void
attach_counts(void)
{
	Counts	   *memory;
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	memory = ShmemInitStruct("diagsync sync counts", sizeof(Counts), &found);
	if (!found)
		init_counts(memory);
	LWLockRelease(AddinShmemInitLock);
	counts = memory;
}
#endif

/*
 * To be called once, when the library is loaded.
 */
void
ratelimit_init(void)
{
#ifndef COMPAT_NAMED_SEGMENTS
	if (!process_shared_preload_libraries_in_progress)
		return;
	previous_request = shmem_request_hook;
	shmem_request_hook = request_counts;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = attach_counts;
#endif
}

/* The shared counts; NULL where the server has no memory for them. */
static Counts *
shared_counts(void)
{
#ifdef COMPAT_NAMED_SEGMENTS
	if (counts == NULL)
	{
		bool		found;

		counts = GetNamedDSMSegment("diagsync sync counts", sizeof(Counts),
									init_counts, &found);
	}
#endif
	return counts;
}

/* Seconds of a clock that all processes share and nobody sets */
static int64
current_second(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_DOUBLE(now);
}

/*
 * The place of a principal in its set, or one that is made his.
 */
static Count *
find_place(CountSet *set, uint64 principal)
{
	Count	   *oldest = &set->places[0];

	for (int i = 0; i < PLACES; i++)
	{
		Count	   *place = &set->places[i];

		if (place->database == MyDatabaseId && place->principal == principal)
			return place;
		if (place->database == InvalidOid ||
			(oldest->database != InvalidOid && place->second < oldest->second))
			oldest = place;
	}
	memset(oldest, 0, sizeof(Count));
	oldest->principal = principal;
	oldest->database = MyDatabaseId;
	return oldest;
}

/*
 * Count a call, if there is room for it; else after how many seconds there will
 * be.
 */
static int
count_call(Count *count, int64 now, int limit)
{
	int			calls = 0;
	int			wait = 0;

	/* Seconds without a call since the last one */
	if (now < count->second)
		now = count->second;
	for (int64 s = Max(count->second + 1, now - WINDOW + 1); s <= now; s++)
		count->calls[s % WINDOW] = 0;
	count->second = now;

	for (int i = 0; i < WINDOW; i++)
		calls += count->calls[i];
	if (calls < limit)
	{
		count->calls[now % WINDOW]++;
		return 0;
	}
	while (calls >= limit && wait < WINDOW)
		calls -= count->calls[(now + ++wait) % WINDOW];
	return wait;
}

static int
charge_shared(Counts *shared, const char *principal, int limit)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) principal,
										   strlen(principal), 0);
	CountSet   *set = &shared->sets[hash % SETS];
	int64		now = current_second();
	int			wait;

	SpinLockAcquire(&set->mutex);
	wait = count_call(find_place(set, hash), now, limit);
	SpinLockRelease(&set->mutex);
	return wait;
}

/*
 * The same from what sync_log has; the call is charged when it is logged.
 */
static int
charge_logged(const char *principal, int limit)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz since = now - WINDOW * USECS_PER_SEC;
	Datum		values[3] = {CStringGetTextDatum(principal),
	TimestampTzGetDatum(since), Int32GetDatum(limit)};
	int			wait = 0;

	SPI_connect();
	PushActiveSnapshot(GetLatestSnapshot());
	if (command_run(&nth_last_call, STORAGE_LOCAL, values, NULL,
					COMMAND_READ) > 0)
	{
		bool		isnull;
		TimestampTz called_at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0],
																  SPI_tuptable->tupdesc,
																  1, &isnull));

		wait = (int) Min(Max((called_at - since) / USECS_PER_SEC + 1, 1), WINDOW);
	}
	PopActiveSnapshot();
	SPI_finish();
	return wait;
}

/*
 * Fail because there were too many calls.  PostgREST takes headers from the
 * DETAIL of an error with SQLSTATE PGRST.
 */
static void
refuse(const char *function, int limit, int wait)
{
	char	   *detail = psprintf("%d calls in a minute are allowed to \"%s\".",
								  limit, principal_current());
	char	   *hint = psprintf("Try again in %d seconds.", wait);

	if (request_is_http())
	{
		StringInfoData message;

		initStringInfo(&message);
		appendStringInfoString(&message,
							   "{\"code\": \"PT429\", \"message\": \"Too Many Requests\", \"details\": ");
		escape_json(&message, detail);
		appendStringInfoString(&message, ", \"hint\": ");
		escape_json(&message, hint);
		appendStringInfoChar(&message, '}');
		ereport(ERROR,
				(errcode(MAKE_SQLSTATE('P', 'G', 'R', 'S', 'T')),
				 errmsg_internal("%s", message.data),
				 errdetail_internal("{\"status\": 429, \"headers\": {\"Retry-After\": \"%d\"}}",
									wait)));
	}
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("too many calls of diagsync.%s() and other syncs", function),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

/*
 * Charge the caller for a sync, and fail where that is too many: 53400, with
 * the seconds to wait in the HINT.  Superusers and the tables' owner are not
 * counted.
 */
void
ratelimit_charge(const char *function)
{
	int			limit = settings_sync_rate_limit;
	char	   *principal;
	Counts	   *shared;
	int			wait;

	if (limit == 0 || access_is_unrestricted(GetUserId()))
		return;
	principal = principal_current();
	shared = shared_counts();
	wait = shared != NULL ? charge_shared(shared, principal, limit) :
		charge_logged(principal, limit);
	if (wait > 0)
		refuse(function, limit, wait);
}
