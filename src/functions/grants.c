/*
 * grants.c
 *	  What a role needs to use diagsync: grant_usage(), revoke_usage().
 *
 * Plain GRANTs and REVOKEs, run with the rights of the caller: the extension's
 * owner or a superuser.  Which rows a role then reaches, the row-level
 * policies say; writing the columns that diagsync keeps is granted to nobody.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "directory/directory.h"
#include "directory/rolenote.h"
#include "server/sqlfunction.h"

/* A kind of role: what it may do that those before it may not */
typedef enum Usage
{
	USAGE_ANONYMOUS,			/* owns nothing: reads, and edits what anybody
								 * or the bearer of a token may */
	USAGE_FULL,
} Usage;

typedef struct Grant
{
	Usage		usage;
	const char *what;			/* between GRANT and TO */
} Grant;

static const Grant grants[] = {
	{USAGE_ANONYMOUS, "USAGE ON SCHEMA diagsync, diagsync_local, diagsync_public, diagsync_private, diagsync_api"},
	{USAGE_ANONYMOUS, "SELECT ON diagsync.directory, diagsync.member, diagsync.entity"},
	{USAGE_ANONYMOUS, "SELECT (id, diagram_id, role, label, created_at, created_by, expires_at) ON diagsync.access_token"},
	{USAGE_ANONYMOUS, "SELECT, INSERT (diagram_id, id, doc), UPDATE (diagram_id, id, doc), DELETE"
	" ON diagsync_local.entity, diagsync_public.entity, diagsync_private.entity"},
	{USAGE_ANONYMOUS, "SELECT ON diagsync_local.base, diagsync_public.tombstone, diagsync_private.tombstone"},
	{USAGE_ANONYMOUS, "EXECUTE ON FUNCTION diagsync.principal(), diagsync.revision(), diagsync.edit_time(), diagsync.access(text),"
		" diagsync.may_see(text, text, text), diagsync.may_read(text), diagsync.may_write(text),"
		" diagsync.may_administer(text), diagsync.check_may_write(text, text),"
		" diagsync.requested_diagram(), diagsync.check_request(), diagsync.limits(text),"
		" diagsync.put(text, jsonb), diagsync.remove(text, text[]),"
		" diagsync.merge(jsonb, jsonb, jsonb, jsonb), diagsync.diff(jsonb, jsonb, jsonb),"
	" diagsync.patch(jsonb, jsonb), diagsync.match(jsonb, jsonb, jsonb)"},
	{USAGE_ANONYMOUS, "SELECT ON ALL TABLES IN SCHEMA diagsync_api"},
	{USAGE_ANONYMOUS, "INSERT (diagram, id, doc), UPDATE (diagram, id, doc), DELETE"
	" ON diagsync_api.local_entities, diagsync_api.public_entities, diagsync_api.private_entities"},
	{USAGE_ANONYMOUS, "EXECUTE ON FUNCTION diagsync_api.put(text, jsonb), diagsync_api.remove(text, text[]),"
	" diagsync_api.access(text), diagsync_api.limits(text), diagsync_api.call(jsonb), diagsync_api.call_read(jsonb), diagsync_api.call_void(jsonb)"},
	{USAGE_ANONYMOUS, "USAGE ON TYPE diagsync.sync_status, diagsync.change, diagsync.sync_result, diagsync.merge_result, diagsync.sync_progress"},
	{USAGE_ANONYMOUS, "EXECUTE ON FUNCTION diagsync.changes_since(text, text, integer), diagsync.merge_policy(text), diagsync.owner(text)"},
	{USAGE_ANONYMOUS, "EXECUTE ON FUNCTION diagsync_api.changes_since(text, text, integer), diagsync_api.merge_policy(text),"
		" diagsync_api.owner(text), diagsync_api.merge(jsonb, jsonb, jsonb, jsonb),"
	" diagsync_api.diff(jsonb, jsonb, jsonb), diagsync_api.patch(jsonb, jsonb)"},
	{USAGE_ANONYMOUS, "USAGE ON TYPE diagsync.feed_page, diagsync.sync_preview, diagsync.entity_match, diagsync.resolve_result"},
	{USAGE_FULL, "UPDATE (name, description) ON diagsync.directory"},
	{USAGE_FULL, "UPDATE (name, description) ON diagsync_api.diagrams"},
	{USAGE_FULL, "SELECT ON diagsync.sync_log"},
	{USAGE_FULL, "EXECUTE ON ALL FUNCTIONS IN SCHEMA diagsync_api"},
	{USAGE_FULL, "EXECUTE ON FUNCTION diagsync.create_diagram(text, text, text, text), diagsync.drop_diagram(text),"
		" diagsync.set_storage_type(text, text), diagsync.set_merge_policy(text, jsonb),"
		" diagsync.share(text, text, text), diagsync.clone(text, text, text),"
		" diagsync.link(text, text), diagsync.unlink(text),"
		" diagsync.status(text, text), diagsync.status_all(), diagsync.changes(text), diagsync.conflicts(text),"
		" diagsync.push(text, text, text, boolean, text, boolean, text[]),"
		" diagsync.pull(text, text, text, boolean, text, boolean, text[]),"
		" diagsync.resolve(text, text, text, jsonb, text), diagsync.refresh(text), diagsync.progress(),"
		" diagsync.add_member(text, text, text), diagsync.remove_member(text, text), diagsync.set_owner(text, text),"
		" diagsync.set_limits(text, integer, bigint),"
	" diagsync.create_token(text, text, interval, text), diagsync.revoke_token(text)"},
	{USAGE_FULL, "EXECUTE ON FUNCTION diagsync.sync_rate(), diagsync.preview_push(text, text, text, integer, integer, boolean, text[]),"
	" diagsync.preview_pull(text, text, text, integer, integer, boolean, text[]), diagsync.discard(text, text[], boolean)"},
	{USAGE_FULL, "EXECUTE ON FUNCTION diagsync.resolve_all(text, text, text[], text[], text[], boolean), diagsync.resolve_many(text, jsonb)"},
};

/* What grants[] gives, and what it may have given in another form */
static const char *const revokes[] = {
	"ALL ON ALL FUNCTIONS IN SCHEMA diagsync, diagsync_api",
	"ALL ON ALL TABLES IN SCHEMA diagsync, diagsync_local, diagsync_public, diagsync_private, diagsync_api",
	"ALL ON TYPE diagsync.sync_status, diagsync.change, diagsync.sync_result, diagsync.merge_result, diagsync.sync_progress",
	"ALL ON TYPE diagsync.feed_page, diagsync.sync_preview, diagsync.entity_match, diagsync.resolve_result",
	"ALL ON SCHEMA diagsync, diagsync_local, diagsync_public, diagsync_private, diagsync_api",
};

/*
 * The role that a function was given by its name.  NULL where it is the
 * tables' owner, who has all rights and is to keep them; an error where there
 * is no such role (PUBLIC is none), or the caller may not grant.
 */
static char *
role_arg(FunctionCallInfo fcinfo, const char *function)
{
	char	   *name = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										  "role");
	Oid			role = get_role_oid(name, false);

	PreventCommandIfReadOnly(psprintf("diagsync.%s()", function));
	if (!has_privs_of_role(GetUserId(), storage_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to grant or revoke the use of diagsync"),
				 errhint("Superusers and the role that owns the extension may.")));
	return role == storage_owner() ? NULL : name;
}

static void
run(const char *command)
{
	int			result = SPI_execute(command, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute returned %s for %s",
			 SPI_result_code_string(result), command);
}

/*
 * Revoke all from a role, and grant it what usages up to that one take, unless
 * nothing is to be granted.  Names are found in pg_catalog alone.
 */
static void
set_usage(const char *name, bool grant, Usage usage)
{
	const char *role = quote_identifier(name);
	int			nestlevel = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	SPI_connect();
	for (size_t i = 0; i < lengthof(revokes); i++)
		run(psprintf("REVOKE %s FROM %s", revokes[i], role));
	for (size_t i = 0; grant && i < lengthof(grants); i++)
	{
		if (grants[i].usage <= usage)
			run(psprintf("GRANT %s TO %s", grants[i].what, role));
	}
	SPI_finish();
	AtEOXact_GUC(true, nestlevel);
}

/*
 * diagsync.grant_usage(role, anonymous)
 *
 * What the role had before is revoked first, so that it can get less as well.
 */
DIAGSYNC_FUNCTION(diagsync_grant_usage)
{
	char	   *role = role_arg(fcinfo, "grant_usage");

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "anonymous")));
	if (role != NULL)
	{
		SPI_connect();
		rolenote_grant(role, get_role_oid(role, false));
		SPI_finish();
		set_usage(role, true,
				  PG_GETARG_BOOL(1) ? USAGE_ANONYMOUS : USAGE_FULL);
	}
	PG_RETURN_VOID();
}

/*
 * diagsync.revoke_usage(role)
 */
DIAGSYNC_FUNCTION(diagsync_revoke_usage)
{
	char	   *role = role_arg(fcinfo, "revoke_usage");

	if (role != NULL)
		set_usage(role, false, USAGE_ANONYMOUS);
	PG_RETURN_VOID();
}
