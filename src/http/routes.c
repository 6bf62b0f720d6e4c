/*
 * routes.c
 *	  The part of an HTTP route that names a diagram: the web server hands it
 *	  to PostgREST in headers (examples/rest/nginx.conf), and these functions
 *	  make it count: requested_diagram(), check_request().
 *
 * A client that sends these headers itself gains nothing by it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/guc.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "directory/directory.h"
#include "http/condition.h"
#include "http/httpbody.h"
#include "http/routes.h"
#include "server/request.h"
#include "server/settings.h"
#include "server/sqlfunction.h"

/* Names of shared diagrams that begin so do not exist on these routes. */
#define LOCAL_PREFIX "local-"

/*
 * The diagram of the route, palloc'd; NULL where the request has none.  Sets
 * whether it has one that cannot be a name.
 */
static char *
route_diagram(bool *is_bad)
{
	char	   *encoded = request_header("x-diagsync-diagram");
	char	   *id = encoded ? request_decode(encoded) : NULL;

	*is_bad = encoded != NULL && (id == NULL || id[0] == '\0');
	return *is_bad ? NULL : id;
}

/*
 * diagsync.requested_diagram()
 */
DIAGSYNC_FUNCTION(diagsync_requested_diagram)
{
	bool		is_bad;
	char	   *id = route_diagram(&is_bad);

	if (id == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(id));
}

/*
 * Is the request a plain one: of a table, not of a function?
 */
static bool
is_plain(void)
{
	const char *path = GetConfigOption("request.path", true, false);

	return path != NULL && strncmp(path, "/rpc/", 5) != 0;
}

static bool
is_method(const char *method)
{
	const char *is = GetConfigOption("request.method", true, false);

	/* A setting that was taken back has no value. */
	return is != NULL && strcmp(is, method) == 0;
}

/*
 * Check a statement that writes entities, if it is that of a plain request:
 * the web server has to vouch that an UPDATE or DELETE names entities of one
 * diagram, and the body has to be one.  (What functions write in a request,
 * they name.)
 */
void
route_check_write(TriggerEvent event)
{
	bool		is_bad;

	if (!request_is_http() || !is_plain())
		return;
	if ((is_method("PATCH") || is_method("DELETE")) &&
		request_header("x-diagsync-named") == NULL)
		ereport(ERROR,
				(errcode(MAKE_SQLSTATE('P', 'T', '4', '0', '0')),
				 errmsg_internal("Bad Request"),
				 errdetail_internal("The request does not name a diagram and its entities."),
				 errhint("Name them: ?diagram=eq.ID&id=eq.ID")));
	if (TRIGGER_FIRED_BY_INSERT(event) && is_method("POST"))
		httpbody_check_entities(true, route_diagram(&is_bad));
	if (TRIGGER_FIRED_BY_UPDATE(event) && is_method("PATCH"))
		httpbody_check_entities(false, route_diagram(&is_bad));
}

/* Is a statement on the directory that of a plain request? */
static bool
is_rename(void)
{
	return request_is_http() && is_plain() && is_method("PATCH");
}

/*
 * BEFORE UPDATE OF name, description on the directory, STATEMENT: the body of
 * a request has to be one.
 */
void
route_check_rename(void)
{
	if (is_rename())
		httpbody_check_diagram();
}

/*
 * The same, ROW: what the request does not mention stays (PostgREST writes
 * null there).  Returns the tuple to store.
 */
HeapTuple
route_keep_absent(const TriggerData *trigger)
{
	static const struct
	{
		const char *field;
		int			column;
	}			fields[] = {
		{"name", Anum_directory_name},
		{"description", Anum_directory_description}
	};
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);
	HeapTuple	tuple = trigger->tg_newtuple;

	if (!is_rename())
		return tuple;
	for (size_t i = 0; i < lengthof(fields); i++)
	{
		int			column = fields[i].column;
		bool		isnull;
		Datum		old = heap_getattr(trigger->tg_trigtuple, column, tupdesc,
									   &isnull);

		if (!httpbody_has_field(fields[i].field))
			tuple = heap_modify_tuple_by_cols(tuple, tupdesc, 1, &column, &old,
											  &isnull);
	}
	return tuple;
}

/*
 * A login without a name is nobody: 401.  (It is a token that was signed, but
 * does not say for whom; all such would be one user.)  Who does not log in
 * gets less time than others.
 */
static void
check_login(void)
{
	Jsonb	   *claims;
	char	   *sub;
	bool		is_other;

	if (!request_is_http())
		return;
	if (request_header("authorization") == NULL)
	{
		if (settings_anonymous_timeout > 0)
			(void) set_config_option("statement_timeout",
									 psprintf("%d", settings_anonymous_timeout),
									 PGC_USERSET, PGC_S_SESSION,
									 GUC_ACTION_LOCAL, true, 0, false);
		return;
	}
	claims = request_json("request.jwt.claims");
	sub = claims != NULL ? request_string(claims, "sub", &is_other) : NULL;
	if (sub != NULL && sub[0] != '\0')
		return;
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE('P', 'T', '4', '0', '1')),
			 errmsg_internal("Unauthorized"),
			 errdetail_internal("The token does not say who its user is."),
			 errhint("Its claim \"sub\" has to be a string that names one.")));
}

/*
 * diagsync.check_request(): what PostgREST calls before each request
 *
 * A table that has no rows for a caller is an empty answer; a diagram that
 * they may not see has to be none.  What a request depends on (If-Match,
 * If-None-Match) is checked then (condition.c).
 */
DIAGSYNC_FUNCTION(diagsync_check_request)
{
	bool		is_bad;
	char	   *id = route_diagram(&is_bad);
	char	   *type = request_header("x-diagsync-storage");
	StorageType storage = STORAGE_LOCAL;
	Diagram    *diagram;
	Snapshot	snapshot;

	check_login();
	if (is_plain() && !is_bad && (is_method("PATCH") || is_method("DELETE")) &&
		request_header("x-diagsync-named") == NULL)
		ereport(ERROR,
				(errcode(MAKE_SQLSTATE('P', 'T', '4', '0', '0')),
				 errmsg_internal("Bad Request"),
				 errdetail_internal("The request does not name what it changes.")));
	if (id == NULL && !is_bad)
	{
		condition_refuse();
		PG_RETURN_VOID();
	}
	if (is_bad || type == NULL || !storage_parse(type, &storage) ||
		(storage != STORAGE_LOCAL &&
		 strncmp(id, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) == 0))
		(void) directory_need(NULL, id ? id : "");
	snapshot = RegisterSnapshot(GetActiveSnapshot());
	diagram = directory_see(id, ACCESS_READER, snapshot);
	if (diagram->storage != storage)
		(void) directory_need(NULL, id);
	condition_begin(diagram, snapshot);
	UnregisterSnapshot(snapshot);
	PG_RETURN_VOID();
}
