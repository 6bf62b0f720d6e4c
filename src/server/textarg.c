/*
 * textarg.c
 *	  Texts that users give: none is longer than its limit.
 *
 * What is stored could not be found by an index otherwise, and an error that
 * repeats what was given would be as long as that.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "server/textarg.h"

/*
 * Has a text that many characters at most?
 */
bool
textarg_fits(const char *text, int max)
{
	return strlen(text) <= (size_t) max || pg_mbstrlen(text) <= max;
}

/*
 * A text that a function was given as an argument, about a diagram (or NULL);
 * palloc'd.  22023 where it has more characters than that.
 */
char *
textarg_get(Datum value, const char *arg, const char *diagram, int max)
{
	char	   *string = TextDatumGetCString(value);

	if (textarg_fits(string, max))
		return string;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 diagram ?
			 errmsg("argument \"%s\" for diagram \"%s\" is too long", arg, diagram) :
			 errmsg("argument \"%s\" is too long", arg),
			 errdetail("It has %d characters.", pg_mbstrlen(string)),
			 errhint("It may have %d.", max)));
	return NULL;				/* keep compiler quiet */
}
