/*
 * request.c
 *	  The PostgREST request, if there is one, that a call is part of: PostgREST
 *	  tells of it in settings whose names begin with "request.", for the length
 *	  of the transaction.
 *
 * Any SQL user can set them, too: what they say counts only where it may come
 * from anybody (a token, how errors are to look), or where the session's login
 * role is trusted (see claims.c).
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"

#include "server/request.h"

/*
 * Is this part of a PostgREST request?
 */
bool
request_is_http(void)
{
	const char *method = GetConfigOption("request.method", true, false);

	return method != NULL && method[0] != '\0';
}

/*
 * The JSON object in a setting, palloc'd; NULL where it is not set.  An error
 * (22P02 or 22023) if it holds something else.
 */
Jsonb *
request_json(const char *setting)
{
	const char *value = GetConfigOption(setting, true, false);
	Jsonb	   *json;

	if (value == NULL || value[0] == '\0')
		return NULL;
	json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
											  CStringGetDatum(value)));
	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("setting \"%s\" is not a JSON object", setting)));
	return json;
}

/*
 * The string with that key, palloc'd; NULL where there is none or a null.
 * Stores whether there is some other value.
 */
char *
request_string(const Jsonb *object, const char *key, bool *is_other)
{
	JsonbValue	value;

	*is_other = false;
	if (getKeyJsonValueFromContainer(unconstify(JsonbContainer *,
												&object->root),
									 key, strlen(key), &value) == NULL ||
		value.type == jbvNull)
		return NULL;
	if (value.type != jbvString)
	{
		*is_other = true;
		return NULL;
	}
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/*
 * A header of the request (its name in lower case), palloc'd; NULL where there
 * is none.
 */
char *
request_header(const char *name)
{
	Jsonb	   *headers = request_json("request.headers");
	bool		is_other;

	return headers != NULL ? request_string(headers, name, &is_other) : NULL;
}

/*
 * Has the request a header Authorization?  Never fails, whatever the headers
 * are: this is also asked while an error is being told of.
 */
bool
request_has_login(void)
{
	static const char key[] = "\"authorization\"";
	const char *headers = GetConfigOption("request.headers", true, false);

	if (headers == NULL)
		return false;

	/* In a string of JSON there is a backslash before each of these quotes. */
	for (headers = strstr(headers, key); headers != NULL;
		 headers = strstr(headers, key))
	{
		headers += strlen(key);
		headers += strspn(headers, " \t\r\n");
		if (*headers == ':')
			return true;
	}
	return false;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Text in UTF-8 with percent-encoding (RFC 3986) decoded, in the server's
 * encoding; palloc'd.  NULL where it is no such text: a percent sign without
 * two digits, a zero byte, bytes that are no UTF-8.
 */
char *
request_decode(const char *encoded)
{
	char	   *decoded = palloc(strlen(encoded) + 1);
	int			length = 0;

	for (const char *c = encoded; *c != '\0'; c++)
	{
		if (*c == '%')
		{
			int			high = hex_digit(c[1]);
			int			low = high < 0 ? -1 : hex_digit(c[2]);

			if (low < 0 || (high == 0 && low == 0))
				return NULL;
			decoded[length++] = (char) (high * 16 + low);
			c += 2;
		}
		else
			decoded[length++] = *c;
	}
	decoded[length] = '\0';
	if (!pg_verify_mbstr(PG_UTF8, decoded, length, true))
		return NULL;
	return pg_any_to_server(decoded, length, PG_UTF8);
}
