/*
 * ratelimit.c
 *	  How many syncs a principal may call in a minute, and how many diagrams
 *	  create: diagsync.sync_rate_limit, create_rate_limit.
 *
 * A call that fails is charged, too, so the count is no row of a table: it
 * would roll back with the call.  It is in shared memory, where the server has
 * some for us (shared.c).  Else the calls are counted that sync_log or the
 * directory have, which are those that committed; who calls on many
 * connections at once gets some more through then.
 *
 * For each principal there is a ring of seconds, so that the calls of any 60
 * seconds are counted and it is known when there is room for another.  Nobody
 * waits for a count but for a few instructions.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "directory/ratelimit.h"
#include "principal/access.h"
#include "principal/principal.h"
#include "server/request.h"
#include "server/settings.h"
#include "server/shared.h"
#include "statement/ownersql.h"

/* When the $3-th last call was, of those since $2 */
static OwnerSql nth_last_call =
OWNER_SQL("SELECT called_at FROM diagsync.sync_log"
		  " WHERE principal" EQ "$1 AND called_at" GT "$2"
		  " ORDER BY called_at DESC LIMIT 1 OFFSET $3 OPERATOR(pg_catalog.-) 1",
		  3, TEXTOID, TIMESTAMPTZOID, INT4OID);

/* The same of the diagrams that they have created and still have */
static OwnerSql nth_last_creation =
OWNER_SQL("SELECT created_at FROM diagsync.directory"
		  " WHERE owner" EQ "$1 AND created_at" GT "$2"
		  " ORDER BY created_at DESC LIMIT 1 OFFSET $3 OPERATOR(pg_catalog.-) 1",
		  3, TEXTOID, TIMESTAMPTZOID, INT4OID);

static OwnerSql count_calls =
OWNER_SQL("SELECT count(*) FROM diagsync.sync_log"
		  " WHERE principal" EQ "$1 AND called_at" GT "$2",
		  2, TEXTOID, TIMESTAMPTZOID);

/*
 * Count a call, if there is room for it; else after how many seconds there
 * will be.
 */
static int
count_call(SharedNote *count, int64 now, int limit)
{
	int			calls = 0;
	int			wait = 0;

	/* Seconds without a call since the last one */
	if (now < count->second)
		now = count->second;
	for (int64 s = Max(count->second + 1, now - SHARED_WINDOW + 1); s <= now; s++)
		count->u.calls[s % SHARED_WINDOW] = 0;
	count->second = now;

	for (int i = 0; i < SHARED_WINDOW; i++)
		calls += count->u.calls[i];
	if (calls < limit)
	{
		count->u.calls[now % SHARED_WINDOW]++;
		return 0;
	}
	while (calls >= limit && wait < SHARED_WINDOW)
		calls -= count->u.calls[(now + ++wait) % SHARED_WINDOW];
	return wait;
}

/*
 * The same from what sync_log has; the call is charged when it is logged.
 */
static int
charge_logged(OwnerSql *nth_last, const char *principal, int limit)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz since = now - SHARED_WINDOW * USECS_PER_SEC;
	Datum		values[3] = {CStringGetTextDatum(principal),
	TimestampTzGetDatum(since), Int32GetDatum(limit)};
	int			wait = 0;

	SPI_connect();
	PushActiveSnapshot(GetLatestSnapshot());
	if (ownersql_run(nth_last, STORAGE_LOCAL, values, NULL,
					 OWNER_SQL_READ) > 0)
	{
		bool		isnull;
		TimestampTz called_at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0],
																  SPI_tuptable->tupdesc,
																  1, &isnull));

		wait = (int) Min(Max((called_at - since) / USECS_PER_SEC + 1, 1),
						 SHARED_WINDOW);
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
refuse(const char *message, int limit, int wait)
{
	char	   *detail = psprintf("%d in a minute are allowed to \"%s\".",
								  limit, principal_current());
	char	   *hint = psprintf("Try again in %d seconds.", wait);

	if (request_is_http())
	{
		StringInfoData text;

		initStringInfo(&text);
		appendStringInfoString(&text,
							   "{\"code\": \"PT429\", \"message\": \"Too Many Requests\", \"details\": ");
		escape_json(&text, detail);
		appendStringInfoString(&text, ", \"hint\": ");
		escape_json(&text, hint);
		appendStringInfoChar(&text, '}');
		ereport(ERROR,
				(errcode(MAKE_SQLSTATE('P', 'G', 'R', 'S', 'T')),
				 errmsg_internal("%s", text.data),
				 errdetail_internal("{\"status\": 429, \"headers\": {\"Retry-After\": \"%d\"}}",
									wait)));
	}
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg_internal("%s", message),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

static void
charge_caller(SharedKind kind, OwnerSql *nth_last, int limit,
			  const char *message)
{
	char	   *principal;
	SharedNote *count;
	int64		second;
	int			wait;

	if (limit == 0 || access_is_unrestricted(GetUserId()))
		return;
	principal = principal_current();
	second = shared_second();
	count = shared_lock(kind, principal);
	if (count != NULL)
	{
		wait = count_call(count, second, limit);
		shared_unlock(kind, count);
	}
	else
		wait = charge_logged(nth_last, principal, limit);
	if (wait > 0)
		refuse(message, limit, wait);
}

/* How many calls the last minute has */
static int
calls_shared(const SharedNote *count, int64 now)
{
	int			calls = 0;

	for (int64 s = Max(now, count->second) - SHARED_WINDOW + 1; s <= count->second; s++)
		calls += s < 0 ? 0 : count->u.calls[s % SHARED_WINDOW];
	return calls;
}

static int
calls_logged(const char *principal)
{
	TimestampTz since = GetCurrentTimestamp() - SHARED_WINDOW * USECS_PER_SEC;
	Datum		values[2] = {CStringGetTextDatum(principal),
	TimestampTzGetDatum(since)};
	bool		isnull;
	int			calls;

	SPI_connect();
	PushActiveSnapshot(GetLatestSnapshot());
	(void) ownersql_run(&count_calls, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_READ);
	PopActiveSnapshot();
	calls = (int) DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
											  SPI_tuptable->tupdesc, 1,
											  &isnull));
	SPI_finish();
	return calls;
}

/*
 * How many syncs the caller may call a minute (0: no limit), and how many of
 * them are left now.
 */
int
ratelimit_left(int *left)
{
	int			limit = settings_sync_rate_limit;
	char	   *principal;
	SharedNote *count;
	int			calls;

	*left = 0;
	if (limit == 0 || access_is_unrestricted(GetUserId()))
		return 0;
	principal = principal_current();
	count = shared_lock(SHARED_CALLS, principal);
	if (count != NULL)
	{
		calls = calls_shared(count, shared_second());
		shared_unlock(SHARED_CALLS, count);
	}
	else
		calls = calls_logged(principal);
	*left = Max(limit - calls, 0);
	return limit;
}

/*
 * Charge the caller for a sync, and fail where that is too many: 53400, with
 * the seconds to wait in the HINT.  Superusers and the tables' owner are not
 * counted.
 */
void
ratelimit_charge(const char *function)
{
	charge_caller(SHARED_CALLS, &nth_last_call, settings_sync_rate_limit,
				  psprintf("too many calls of diagsync.%s() and other syncs", function));
}

/*
 * The same for a diagram that the caller creates.
 */
void
ratelimit_charge_creation(void)
{
	charge_caller(SHARED_CREATIONS, &nth_last_creation,
				  settings_create_rate_limit,
				  "too many new diagrams");
}
