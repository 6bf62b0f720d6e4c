/*
 * principal.c
 *	  Who is asking: the name that is noted in owner, modified_by and
 *	  deleted_by, and that access rules go by.
 *
 * It is "role:NAME" of the role in force; in sessions whose claims are
 * believed (claims.c) it is "sub:VALUE", where there is a claim "sub".
 * Whatever a claim says, it is never equal to a role.
 *
 * While diagsync works as the owner of its tables, the role in force is not
 * the caller's; ownersql.c notes the caller for that time.
 *
 * Also diagsync.revision(), the other default of the entity tables' columns.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "principal/principal.h"
#include "principal/rolecheck.h"
#include "server/claims.h"
#include "server/sqlfunction.h"
#include "server/textarg.h"

/* The caller for whom the tables' owner works, or NULL; and their role */
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
 * The principal.  palloc'd.  42501 where the role is another than the one that
 * has diagrams under its name, or the session's claims are not believed.
 */
char *
principal_current(void)
{
	const char *sub;
	char	   *principal;
	Oid			role;

	if (noted_principal != NULL)
		return pstrdup(noted_principal);
	sub = claims_sub();
	if (sub != NULL)
		return psprintf("sub:%s", sub);
	role = GetUserId();
	principal = psprintf("role:%s", GetUserNameFromId(role, false));
	rolecheck_admit(principal, role);
	return principal;
}

/*
 * The role of the caller, also while the tables' owner works for them.
 */
Oid
principal_role(void)
{
	return noted_principal != NULL ? noted_role : GetUserId();
}

/*
 * Let principal_current() and principal_role() answer these until further
 * notice (NULL: the role in force again); what is noted already stays.
 * Returns what was noted before and stores the role, to be noted again
 * afterwards, on errors too.  The string is not copied.
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
