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

/* The caller on whose behalf the tables' owner works, or NULL. */
static char *noted_principal = NULL;

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
 * Let principal_current() answer this name until further notice (NULL: the
 * role in force again).  Returns what was noted before, to be noted again
 * afterwards, on errors too.  The string is not copied.
 */
char *
principal_note(char *principal)
{
	char	   *before = noted_principal;

	noted_principal = principal;
	return before;
}
