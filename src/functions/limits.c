/*
 * limits.c
 *	  What a diagram may hold, as its owner and the administrator allow, and
 *	  what it holds: limits(), set_limits(); and how often the caller may still
 *	  sync: sync_rate().
 *
 * The owner's limits are columns of the directory, which every writer of the
 * diagram has read when it is checked (quota.c).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "directory/directory.h"
#include "directory/quota.h"
#include "directory/ratelimit.h"
#include "server/sqlfunction.h"
#include "statement/ownersql.h"
#include "statement/statement.h"

static OwnerSql update_limits =
OWNER_SQL("UPDATE diagsync.directory SET max_entities = $2, max_size = $3"
		  " WHERE id" EQ "$1",
		  3, TEXTOID, INT4OID, INT8OID);

static OwnerSql count_entities =
OWNER_SQL("SELECT pg_catalog.count(*) FROM %1$s.entity WHERE diagram_id" EQ "$1",
		  1, TEXTOID);

/*
 * diagsync.limits(diagram)
 *
 * Counts, so it takes as long as it takes to read the diagram once.
 */
DIAGSYNC_FUNCTION(diagsync_limits)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										"diagram");
	TupleDesc	tupdesc;
	Datum		values[4];
	bool		nulls[4] = {false, false, false, false};
	Datum		key[1];
	Diagram    *diagram;
	bool		isnull;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	SPI_connect();
	diagram = directory_see(id, ACCESS_READER, GetActiveSnapshot());
	key[0] = diagram->key;
	values[0] = Int32GetDatum(quota_max_entities(diagram));
	nulls[0] = quota_max_entities(diagram) == 0;
	PushActiveSnapshot(GetLatestSnapshot());
	(void) ownersql_run(&count_entities, diagram->storage, key, NULL,
						OWNER_SQL_READ);
	PopActiveSnapshot();
	values[1] = Int64GetDatum(DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
														  SPI_tuptable->tupdesc,
														  1, &isnull)));
	values[2] = Int64GetDatum(quota_max_size(diagram));
	nulls[2] = quota_max_size(diagram) == 0;
	values[3] = Int64GetDatum(quota_size(diagram));
	SPI_finish();
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc),
													  values, nulls)));
}

/* A limit that a function was given; an error where it is none. */
static void
check_limit(bool isnull, int64 limit, const char *arg, const char *diagram)
{
	if (!isnull && limit <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" for diagram \"%s\" must be positive",
						arg, diagram),
				 errhint("Null is as much as the administrator allows.")));
}

/*
 * diagsync.set_limits(diagram, max_entities, max_size)
 *
 * For the owner and admins.  Locks the directory row FOR NO KEY UPDATE.  What
 * is there already stays, even if it is more.
 */
DIAGSYNC_FUNCTION(diagsync_set_limits)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										"diagram");
	Datum		values[3];
	char		nulls[3] = {' ', ' ', ' '};
	Diagram    *diagram;

	check_limit(PG_ARGISNULL(1), PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1),
				"max_entities", id);
	check_limit(PG_ARGISNULL(2), PG_ARGISNULL(2) ? 0 : PG_GETARG_INT64(2),
				"max_size", id);
	statement_check_may_write("set_limits", id, NULL);
	SPI_connect();
	diagram = directory_lock_seen(id, ACCESS_ADMIN, LockTupleNoKeyExclusive,
								  LOCK_AS_TRANSACTION);
	values[0] = diagram->key;
	values[1] = PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1);
	values[2] = PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2);
	nulls[1] = PG_ARGISNULL(1) ? 'n' : ' ';
	nulls[2] = PG_ARGISNULL(2) ? 'n' : ' ';
	(void) ownersql_run(&update_limits, STORAGE_LOCAL, values, nulls,
						OWNER_SQL_EXEMPT);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * diagsync.sync_rate()
 */
DIAGSYNC_FUNCTION(diagsync_sync_rate)
{
	TupleDesc	tupdesc;
	Datum		values[2];
	bool		nulls[2];
	int			left;
	int			limit = ratelimit_left(&left);

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int32GetDatum(limit);
	values[1] = Int32GetDatum(left);
	nulls[0] = nulls[1] = limit == 0;
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), values,
											 nulls));
}
