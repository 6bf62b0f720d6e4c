/*
 * httpcall.c
 *	  Functions called over HTTP: diagsync_api.call(), call_read(),
 *	  call_void(), through which the web server sends all calls of functions.
 *
 * PostgREST finds a function by the names of what it is given, so that a field
 * too few or too many would be a function that does not exist, and takes any
 * value for any type.  Here the function is found by the header
 * x-diagsync-function, and each field is checked against the type of its
 * parameter: 400, and which field it is.  GET has its parameters in the header
 * x-diagsync-query, as the query of the request was sent.
 *
 * Only functions of schema diagsync_api are called, as the caller, who needs
 * the privilege for it as ever.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "http/httpbody.h"
#include "server/compat.h"
#include "server/request.h"
#include "server/sqlfunction.h"

/* The schema whose functions can be called, and what is in it but no function
 * to call */
#define API_SCHEMA "diagsync_api"

/* A parameter, and what the request gives for it */
typedef struct Parameter
{
	char	   *name;
	Oid			type;
	bool		required;
	bool		given;
	bool		isnull;
	Datum		value;
} Parameter;

typedef struct Called
{
	char	   *name;
	Oid			oid;
	bool		returns_set;
	Oid			returns;
	int			nparameters;
	Parameter  *parameters;
} Called;

/* What a value of that type is in JSON, for people */
static const char *
must_be(Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return "must be true or false";
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case FLOAT8OID:
			return "must be a number";
		case TEXTARRAYOID:
			return "must be an array of strings";
		default:
			return "must be a string";
	}
}

/*
 * The function of that name and its parameters: 404 where there is none.
 */
static Called *
find_function(const char *name)
{
	Called	   *called = palloc0(sizeof(Called));
	Oid			schema = get_namespace_oid(API_SCHEMA, false);
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP,
										   CStringGetDatum(name));

	called->name = pstrdup(name);
	for (int i = 0; i < list->n_members && !OidIsValid(called->oid); i++)
	{
		HeapTuple	tuple = &list->members[i]->tuple;
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
		Oid		   *types;
		char	  **names;
		char	   *modes;
		int			n;

		if (proc->pronamespace != schema)
			continue;
		n = get_func_arg_info(tuple, &types, &names, &modes);
		if (modes != NULL || (n > 0 && (names == NULL || names[0][0] == '\0')))
			continue;
		called->oid = proc->oid;
		called->returns_set = proc->proretset;
		called->returns = proc->prorettype;
		called->nparameters = n;
		called->parameters = palloc0(Max(n, 1) * sizeof(Parameter));
		for (int p = 0; p < n; p++)
		{
			called->parameters[p].name = pstrdup(names[p]);
			called->parameters[p].type = types[p];
			called->parameters[p].required = p < n - proc->pronargdefaults;
		}
	}
	ReleaseSysCacheList(list);
	if (!OidIsValid(called->oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no such function")));
	return called;
}

static Parameter *
find_parameter(Called *called, const char *name)
{
	StringInfoData known;

	initStringInfo(&known);
	for (int i = 0; i < called->nparameters; i++)
	{
		if (strcmp(called->parameters[i].name, name) == 0)
			return &called->parameters[i];
		appendStringInfo(&known, "%s%s", i > 0 ? ", " : "",
						 called->parameters[i].name);
	}
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE('P', 'T', '4', '0', '0')),
			 errmsg_internal("Bad Request"),
			 errdetail_internal("field \"%s\" is not known", name),
			 called->nparameters == 0 ? errhint("There are none.") :
			 errhint("There are: %s", known.data)));
	return NULL;				/* keep compiler quiet */
}

/* A value from text, by the input function of its type. */
static Datum
from_text(const Parameter *parameter, const char *text)
{
	Oid			input;
	Oid			ioparam;

	getTypeInputInfo(parameter->type, &input, &ioparam);
	return OidInputFunctionCall(input, unconstify(char *, text), ioparam, -1);
}

/* An array of strings (and nulls, about which the function has its say). */
static Datum
strings_from_json(const Parameter *parameter, JsonbContainer *array)
{
	int			n = JsonContainerSize(array);
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));
	bool	   *nulls = palloc(Max(n, 1) * sizeof(bool));
	int			lower = 1;

	for (int i = 0; i < n; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);

		if (value->type != jbvString && value->type != jbvNull)
			httpbody_bad_field(parameter->name, must_be(TEXTARRAYOID));
		nulls[i] = value->type == jbvNull;
		values[i] = nulls[i] ? (Datum) 0 :
			PointerGetDatum(cstring_to_text_with_len(value->val.string.val,
													 value->val.string.len));
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower,
											  TEXTOID, -1, false,
											  TYPALIGN_INT));
}

/*
 * Give a parameter the value of its field in a body.
 */
static void
set_from_json(Parameter *parameter, JsonbValue *value)
{
	parameter->given = true;
	parameter->isnull = value->type == jbvNull;
	if (parameter->isnull)
		return;
	switch (parameter->type)
	{
		case JSONBOID:
			parameter->value = JsonbPGetDatum(JsonbValueToJsonb(value));
			return;
		case BOOLOID:
			if (value->type != jbvBool)
				httpbody_bad_field(parameter->name, must_be(BOOLOID));
			parameter->value = BoolGetDatum(value->val.boolean);
			return;
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case FLOAT8OID:
			if (value->type != jbvNumeric)
				httpbody_bad_field(parameter->name, must_be(parameter->type));
			parameter->value = from_text(parameter,
										 DatumGetCString(DirectFunctionCall1(numeric_out,
																			 NumericGetDatum(value->val.numeric))));
			return;
		case TEXTARRAYOID:
			if (value->type != jbvBinary ||
				!JsonContainerIsArray(value->val.binary.data) ||
				JsonContainerIsScalar(value->val.binary.data))
				httpbody_bad_field(parameter->name, must_be(TEXTARRAYOID));
			parameter->value = strings_from_json(parameter,
												 value->val.binary.data);
			return;
		default:
			if (value->type != jbvString)
				httpbody_bad_field(parameter->name, must_be(parameter->type));
			parameter->value = from_text(parameter,
										 pnstrdup(value->val.string.val,
												  value->val.string.len));
	}
}

static void
set_from_body(Called *called, Jsonb *body)
{
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(body))
		ereport(ERROR,
				(errcode(MAKE_SQLSTATE('P', 'T', '4', '0', '0')),
				 errmsg_internal("Bad Request"),
				 errdetail_internal("The body must be a JSON object.")));
	it = JsonbIteratorInit(&body->root);
	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		Parameter  *parameter = find_parameter(called,
											   pnstrdup(key.val.string.val,
														key.val.string.len));

		(void) JsonbIteratorNext(&it, &value, true);
		set_from_json(parameter, &value);
	}
}

/* A part of a query, in which a plus sign is a space. */
static char *
decode_part(char *part)
{
	char	   *decoded;

	for (char *c = part; *c != '\0'; c++)
	{
		if (*c == '+')
			*c = ' ';
	}
	decoded = request_decode(part);
	if (decoded == NULL)
		ereport(ERROR,
				(errcode(MAKE_SQLSTATE('P', 'T', '4', '0', '0')),
				 errmsg_internal("Bad Request"),
				 errdetail_internal("The query is not UTF-8, percent-encoded.")));
	return decoded;
}

static void
set_from_query(Called *called, char *query)
{
	char	   *part;

	while ((part = strsep(&query, "&")) != NULL)
	{
		char	   *value = strchr(part, '=');
		Parameter  *parameter;

		if (part[0] == '\0')
			continue;
		if (value != NULL)
			*value++ = '\0';
		parameter = find_parameter(called, decode_part(part));
		if (value == NULL)
			httpbody_bad_field(parameter->name, "has no value");
		if (parameter->given)
			httpbody_bad_field(parameter->name, "is given twice");
		parameter->given = true;
		parameter->value = from_text(parameter, decode_part(value));
	}
}

/*
 * The call as a SELECT of one JSON value, with the parameters that were given.
 */
static char *
call_text(const Called *called)
{
	StringInfoData arguments;
	int			given = 0;

	initStringInfo(&arguments);
	for (int i = 0; i < called->nparameters; i++)
	{
		const Parameter *parameter = &called->parameters[i];

		if (!parameter->given)
			continue;
		given++;
		appendStringInfo(&arguments, "%s%s => $%d", given > 1 ? ", " : "",
						 quote_identifier(parameter->name), given);
	}
	if (called->returns_set)
		return psprintf("SELECT coalesce(pg_catalog.json_agg(r), '[]') FROM %s.%s(%s) AS r",
						API_SCHEMA, quote_identifier(called->name),
						arguments.data);
	if (called->returns == JSONOID || called->returns == VOIDOID)
		return psprintf("SELECT %s.%s(%s)",
						API_SCHEMA, quote_identifier(called->name),
						arguments.data);
	return psprintf("SELECT pg_catalog.to_json(r) FROM %s.%s(%s) AS r",
					API_SCHEMA, quote_identifier(called->name),
					arguments.data);
}

/*
 * Call the function, connected to SPI; its answer, in the caller's memory.
 */
static Datum
run(const Called *called, bool read_only, bool *isnull)
{
	Oid			types[FUNC_MAX_ARGS];
	Datum		values[FUNC_MAX_ARGS];
	char		nulls[FUNC_MAX_ARGS];
	int			n = 0;
	int			result;

	for (int i = 0; i < called->nparameters; i++)
	{
		const Parameter *parameter = &called->parameters[i];

		if (!parameter->given)
		{
			if (parameter->required)
				httpbody_bad_field(parameter->name, "is missing");
			continue;
		}
		types[n] = parameter->type;
		values[n] = parameter->value;
		nulls[n++] = parameter->isnull ? 'n' : ' ';
	}
	result = SPI_execute_with_args(call_text(called), n, types, values, nulls,
								   read_only, 0);
	if (result != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "call of \"%s\" returned %s", called->name,
			 SPI_result_code_string(result));
	*isnull = true;
	if (called->returns == VOIDOID)
		return (Datum) 0;
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
						 isnull);
}

static Datum
call(FunctionCallInfo fcinfo, bool read_only)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *name = request_header("x-diagsync-function");
	char	   *query = request_header("x-diagsync-query");
	Called	   *called;
	Datum		value;
	bool		isnull;

	called = find_function(name != NULL ? name : "");
	if (query != NULL)
		set_from_query(called, query);
	else if (!PG_ARGISNULL(0))
		set_from_body(called, PG_GETARG_JSONB_P(0));
	SPI_connect();
	value = run(called, read_only, &isnull);
	if (!isnull)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		value = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	if (isnull)
		PG_RETURN_NULL();
	return value;
}

/*
 * diagsync_api.call(body), call_void(body): a function that writes
 */
DIAGSYNC_FUNCTION(diagsync_api_call)
{
	return call(fcinfo, false);
}

/*
 * diagsync_api.call_read(body): one that only looks
 */
DIAGSYNC_FUNCTION(diagsync_api_call_read)
{
	return call(fcinfo, true);
}
