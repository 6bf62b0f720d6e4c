/*
 * progress.c
 *	  How far a long operation is, for other sessions to look at: progress().
 *
 * PostgreSQL's own place for that is used, the backend's entry in shared
 * memory, with a number of command that it does not use itself; so its views
 * pass over ours, it costs a few stores for a batch, and it ends with the
 * transaction or subtransaction that fails.  track_activities must be on, as
 * it is by default.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "commands/progress.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "server/compat.h"
#include "server/progress.h"
#include "server/sqlfunction.h"

/* Far from what PostgreSQL numbers */
#define PROGRESS_COMMAND_DIAGSYNC ((ProgressCommandType) 0x64696173)

#define PARAM_ACTION 0
#define PARAM_PHASE 1
#define PARAM_TOTAL 2
#define PARAM_DONE 3

#define PROGRESS_COLUMNS 5

static const char *const action_names[] = {
	[PROGRESS_SHARE] = "share",
	[PROGRESS_CLONE] = "clone",
	[PROGRESS_PUSH] = "push",
	[PROGRESS_PULL] = "pull",
	[PROGRESS_RESOLVE] = "resolve",
};

static const char *const phase_names[] = {
	[PROGRESS_COLLECTING] = "collecting",
	[PROGRESS_CHECKING] = "checking",
	[PROGRESS_WRITING] = "writing",
};

/*
 * An operation begins (again): it is collecting.
 */
void
progress_begin(ProgressAction action)
{
	const int	params[] = {PARAM_ACTION, PARAM_PHASE, PARAM_TOTAL,
	PARAM_DONE};
	const int64 values[] = {action, PROGRESS_COLLECTING,
	PROGRESS_TOTAL_UNKNOWN, 0};

	pgstat_progress_start_command(PROGRESS_COMMAND_DIAGSYNC, InvalidOid);
	pgstat_progress_update_multi_param(4, params, values);
}

/*
 * It comes to a phase, in which it will go through so many entities.
 */
void
progress_phase(ProgressPhase phase, int64 total)
{
	const int	params[] = {PARAM_PHASE, PARAM_TOTAL, PARAM_DONE};
	const int64 values[] = {phase, total, 0};

	pgstat_progress_update_multi_param(3, params, values);
}

/*
 * It has gone through so many.
 */
void
progress_done(int64 entities)
{
	pgstat_progress_update_param(PARAM_DONE, entities);
}

/*
 * It is over.
 */
void
progress_end(void)
{
	pgstat_progress_end_command();
}

/*
 * diagsync.progress()
 *
 * Who may see a session's query sees its progress.
 */
DIAGSYNC_FUNCTION(diagsync_progress)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			n = pgstat_fetch_stat_numbackends();
	bool		all = has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 1; i <= n; i++)
	{
		LocalPgBackendStatus *local = compat_local_backend_status(i);
		const PgBackendStatus *backend = local ? &local->backendStatus : NULL;
		const int64 *params;
		Datum		values[PROGRESS_COLUMNS];
		bool		nulls[PROGRESS_COLUMNS] = {false};

		if (backend == NULL ||
			backend->st_progress_command != PROGRESS_COMMAND_DIAGSYNC ||
			backend->st_databaseid != MyDatabaseId ||
			!(all || has_privs_of_role(GetUserId(), backend->st_userid)))
			continue;
		params = backend->st_progress_param;
		values[0] = Int32GetDatum(backend->st_procpid);
		values[1] = CStringGetTextDatum(action_names[params[PARAM_ACTION]]);
		values[2] = CStringGetTextDatum(phase_names[params[PARAM_PHASE]]);
		values[3] = sqlfunction_count(params[PARAM_TOTAL]);
		nulls[3] = params[PARAM_TOTAL] == PROGRESS_TOTAL_UNKNOWN;
		values[4] = sqlfunction_count(params[PARAM_DONE]);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}
