/*
 * principal.c
 *	  Who is asking: the name that is noted in owner, modified_by and
 *	  deleted_by, and that access rules go by.
 *
 * It is "role:NAME" of the role in force; in sessions of a login role that is
 * listed in diagsync.trusted_authenticators (PostgREST's) it is "sub:VALUE",
 * where request.jwt.claims has a claim "sub".  Everybody can set that
 * parameter, so from other sessions it is ignored; and whatever a claim says,
 * it is never equal to a role.
 *
 * While diagsync works as the owner of its tables, the role in force is not
 * the caller's; command.c notes the caller for that time.
 *
 * May call request.c, rolecheck.c and settings.c.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "function.h"
#include "principal.h"
#include "request.h"
#include "rolecheck.h"
#include "settings.h"
#include "textarg.h"

/* The caller on whose behalf the tables' owner works, or NULL; and his role */
static char *noted_principal = NULL;
static Oid	noted_role = InvalidOid;

/*
 * diagsync.principal()
 */
DIAGSYNC_FUNCTION(diagsync_principal)
{
	PG_RETURN_TEXT_P(cstring_to_text(principal_current()));
}

/*
 * diagsync.revision(): the 64-bit id of the top-level transaction, the default
 * of the column "rev".
 */
DIAGSYNC_FUNCTION(diagsync_revision)
{
	PG_RETURN_INT64((int64) U64FromFullTransactionId(GetTopFullTransactionId()));
}

/*
 * Is the session's login role one whose claims are believed?  A superuser who
 * has stepped down with SET SESSION AUTHORIZATION is who he has become.
 */
static bool
is_trusted_session(void)
{
	char	   *names;
	char	   *session_role;
	List	   *list;
	ListCell   *lc;
	bool		trusted = false;

	if (settings_trusted_authenticators == NULL ||
		settings_trusted_authenticators[0] == '\0')
		return false;
	session_role = GetUserNameFromId(GetSessionUserId(), true);
	names = pstrdup(settings_trusted_authenticators);
	if (session_role == NULL || !SplitIdentifierString(names, ',', &list))
		return false;
	foreach(lc, list)
		trusted = trusted || strcmp(lfirst(lc), session_role) == 0;
	list_free(list);
	pfree(names);
	return trusted;
}

/*
 * The claim "sub" of the request, or NULL; not to be freed or changed.  The
 * claims that were read last are remembered: an INSERT asks for each row.
 */
static const char *
claimed_sub(void)
{
	static char *last_claims = NULL;
	static char *last_sub = NULL;
	const char *claims = GetConfigOption("request.jwt.claims", true, false);
	Jsonb	   *json;
	char	   *sub = NULL;
	bool		is_other = false;

	if (claims == NULL || claims[0] == '\0')
		return NULL;
	if (last_claims != NULL && strcmp(last_claims, claims) == 0)
		return last_sub;

	json = request_json("request.jwt.claims");
	if (json != NULL)
		sub = request_string(json, "sub", &is_other);

	/* Whoever it is meant to be, he must not pass for the role. */
	if (is_other || (sub != NULL && sub[0] == '\0'))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
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
 * The principal.  palloc'd.  42501 where the role is another than the one that
 * has diagrams under its name.
 */
char *
principal_current(void)
{
	const char *sub;
	char	   *principal;
	Oid			role;

	if (noted_principal != NULL)
		return pstrdup(noted_principal);
	sub = is_trusted_session() ? claimed_sub() : NULL;
	if (sub != NULL)
		return psprintf("sub:%s", sub);
	role = GetUserId();
	principal = psprintf("role:%s", GetUserNameFromId(role, false));
	rolecheck_admit(principal, role);
	return principal;
}

/*
 * The role of the caller, also while the tables' owner works for him.
 */
Oid
principal_role(void)
{
	return noted_principal != NULL ? noted_role : GetUserId();
}

/*
 * Let principal_current() and principal_role() answer these until further
 * notice (NULL: the role in force again); what is noted already stays.  Returns
 * what was noted before and stores the role, to be noted again afterwards, on
 * errors too.  The string is not copied.
 */
char *
principal_note(char *principal, Oid role, Oid *role_before)
{
	char	   *before = noted_principal;

	if (role_before != NULL)
	{
		*role_before = noted_role;
		if (before != NULL)
			role = noted_role;
	}
	noted_principal = principal;
	noted_role = role;
	return before;
}

/*
 * Check the name of a principal that a function was given: 22023 where it is
 * none.
 */
void
principal_check(const char *principal, const char *diagram)
{
	if ((strncmp(principal, "role:", 5) == 0 && principal[5] != '\0') ||
		(strncmp(principal, "sub:", 4) == 0 && principal[4] != '\0' &&
		 textarg_fits(principal + 4, MAX_SUBJECT)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" for diagram \"%s\" is not a principal",
					principal, diagram),
			 errhint("It is role:NAME for a role of the database, or sub:VALUE for the claim \"sub\" of a token.")));
}
