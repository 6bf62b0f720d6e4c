/*
 * claims.c
 *	  What the JWT of a request claims about who sends it.
 *
 * PostgREST passes the claims of a token that it has checked in the setting
 * request.jwt.claims.  Every SQL user can set that, too, so it is believed
 * only in sessions of a login role that is listed in
 * diagsync.trusted_authenticators.  In any other session a claim "sub" is an
 * error, in whatever calls a function of diagsync: if it were ignored, a
 * setting that a restore has lost would make all web users one.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "server/claims.h"
#include "server/request.h"
#include "server/settings.h"
#include "server/textarg.h"

/*
 * Is a login role one whose claims are believed?
 */
static bool
is_trusted(const char *role)
{
	static char *last_names = NULL;
	static NameData last_role;	/* is among these */
	char	   *names;
	List	   *list;
	ListCell   *lc;
	bool		trusted = false;

	if (settings_trusted_authenticators == NULL ||
		settings_trusted_authenticators[0] == '\0')
		return false;
	if (last_names != NULL && strcmp(NameStr(last_role), role) == 0 &&
		strcmp(last_names, settings_trusted_authenticators) == 0)
		return true;
	names = pstrdup(settings_trusted_authenticators);
	if (!SplitIdentifierString(names, ',', &list))
		return false;
	foreach(lc, list)
		trusted = trusted || strcmp(lfirst(lc), role) == 0;
	list_free(list);
	pfree(names);
	if (trusted)
	{
		if (last_names != NULL)
			pfree(last_names);
		last_names = NULL;
		namestrcpy(&last_role, role);
		last_names = MemoryContextStrdup(TopMemoryContext,
										 settings_trusted_authenticators);
	}
	return trusted;
}

/*
 * Fail unless the claims of this session are believed.  A superuser who has
 * stepped down with SET SESSION AUTHORIZATION is who they have become.
 */
static void
check_trust(void)
{
	char	   *role = GetUserNameFromId(GetSessionUserId(), true);

	if (role == NULL)
		role = pstrdup("");
	if (!is_trusted(role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the claims of a JWT are not believed in this session"),
				 (request_is_http() ? errdetail_log : errdetail)
				 ("Login role \"%s\" is not in diagsync.trusted_authenticators, and request.jwt.claims has a claim \"sub\".",
				  role),
				 errhint("Set diagsync.trusted_authenticators, as examples/rest/setup.sql does, if this is PostgREST; a restore may have lost it. Otherwise RESET request.jwt.claims.")));
	pfree(role);
}

/*
 * The claim "sub" of a request, NULL where there is none; not to be freed or
 * changed.  An error where it is not a string, empty or too long: whoever it
 * is meant to be must not pass for the role.  The claims that were read
 * last are remembered: an INSERT asks for each row.
 */
static const char *
read_sub(const char *claims)
{
	static char *last_claims = NULL;
	static char *last_sub = NULL;
	Jsonb	   *json;
	char	   *sub = NULL;
	bool		is_other = false;

	if (last_claims != NULL && strcmp(last_claims, claims) == 0)
		return last_sub;

	json = request_json("request.jwt.claims");
	if (json != NULL)
		sub = request_string(json, "sub", &is_other);

	if (is_other || (sub != NULL && sub[0] == '\0'))
		ereport(ERROR,
				(errcode(request_is_http() ? ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION :
						 ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("claim \"sub\" of the request is not a string or empty"),
				 errhint("The issuer of tokens must name each user with a string of its own.")));

	if (sub != NULL && !textarg_fits(sub, MAX_SUBJECT))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("claim \"sub\" of the request is too long"),
				 errdetail("It has %d characters.", pg_mbstrlen(sub)),
				 errhint("It may have %d.", MAX_SUBJECT)));

	if (last_claims != NULL)
		pfree(last_claims);
	if (last_sub != NULL)
		pfree(last_sub);
	last_claims = NULL;
	last_sub = sub ? MemoryContextStrdup(TopMemoryContext, sub) : NULL;
	last_claims = MemoryContextStrdup(TopMemoryContext, claims);
	return last_sub;
}

/*
 * The claim "sub" of the request, in a session whose claims are believed; NULL
 * where there is none.  An error in any other session that has one.  Not to be
 * freed or changed.
 */
const char *
claims_sub(void)
{
	const char *claims = GetConfigOption("request.jwt.claims", true, false);
	const char *sub;

	if (claims == NULL || claims[0] == '\0')
		return NULL;
	sub = read_sub(claims);
	if (sub != NULL)
		check_trust();
	return sub;
}
