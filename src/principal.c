/*
 * principal.c
 *	  Who is asking: the name that is noted in owner, modified_by and
 *	  deleted_by.
 *
 * While diagsync works as the owner of its tables, the role in force is not
 * the caller's; command.c notes the caller for that time.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "principal.h"

PG_FUNCTION_INFO_V1(diagsync_principal);
PG_FUNCTION_INFO_V1(diagsync_revision);

/* The caller on whose behalf the tables' owner works, or NULL; and his role */
static char *noted_principal = NULL;
static Oid	noted_role = InvalidOid;

/*
 * diagsync.principal()
 */
Datum
diagsync_principal(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(principal_current()));
}

/*
 * diagsync.revision(): the 64-bit id of the top-level transaction, the default
 * of the column "rev".
 */
Datum
diagsync_revision(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) U64FromFullTransactionId(GetTopFullTransactionId()));
}

/*
 * The principal: "role:NAME" of the role in force.  palloc'd.
 */
char *
principal_current(void)
{
	if (noted_principal != NULL)
		return pstrdup(noted_principal);
	return psprintf("role:%s", GetUserNameFromId(GetUserId(), false));
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
