/*
 * httpbody.c
 *	  Bodies of plain writes over HTTP: INSERT and UPDATE of entities, UPDATE
 *	  of the directory.
 *
 * PostgREST hands a body to its statement as the parameter of type json, and
 * picks from it the fields that the web server names; what else there is
 * nobody would hear of, and any value would do for any type.  So each field is
 * looked at here: 400, and which field it is.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "http/httpbody.h"

/*
 * A field is wrong: 400.
 */
void
httpbody_bad_field(const char *field, const char *what)
{
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE('P', 'T', '4', '0', '0')),
			 errmsg_internal("Bad Request"),
			 errdetail_internal("field \"%s\" %s", field, what)));
}

/* The whole body is. */
static void
bad_body(const char *what)
{
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE('P', 'T', '4', '0', '0')),
			 errmsg_internal("Bad Request"),
			 errdetail_internal("%s", what)));
}

/*
 * The body of the request, as far as the statement that runs has got it; or
 * NULL
 */
static Jsonb *
find_body(void)
{
	ParamListInfo params = ActivePortal != NULL ? ActivePortal->portalParams : NULL;

	for (int i = 0; params != NULL && i < params->numParams; i++)
	{
		ParamExternData *param = &params->params[i];

		if (param->isnull)
			continue;
		if (param->ptype == JSONBOID)
			return DatumGetJsonbP(param->value);
		if (param->ptype == JSONOID)
			return DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
													  CStringGetDatum(TextDatumGetCString(param->value))));
	}
	return NULL;
}

/*
 * Check one entity of a body: only these fields, of these types, and all of
 * one diagram.
 */
static void
check_entity(JsonbContainer *entity, bool is_new, bool on_route,
			 char **diagram)
{
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;
	bool		has_id = false;
	bool		has_doc = false;

	if (!JsonContainerIsObject(entity))
		bad_body("An entity is a JSON object: {\"id\", \"doc\"}.");
	it = JsonbIteratorInit(entity);
	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char	   *field = pnstrdup(key.val.string.val, key.val.string.len);

		(void) JsonbIteratorNext(&it, &value, true);
		if (strcmp(field, "doc") == 0)
		{
			has_doc = true;
			if (value.type != jbvBinary ||
				!JsonContainerIsObject(value.val.binary.data))
				httpbody_bad_field("doc", "must be an object");
		}
		else if (strcmp(field, "id") == 0 && is_new)
		{
			has_id = true;
			if (value.type != jbvString || value.val.string.len == 0)
				httpbody_bad_field("id", "must be a string of 1 to 400 characters");
		}
		else if (strcmp(field, "diagram") == 0 && is_new)
		{
			char	   *named;

			if (value.type != jbvString)
				httpbody_bad_field("diagram", "must be a string");
			named = pnstrdup(value.val.string.val, value.val.string.len);
			if (*diagram != NULL && strcmp(*diagram, named) != 0)
				httpbody_bad_field("diagram", on_route ?
								   "names another diagram than the path" :
								   "names more than one diagram");
			*diagram = named;
		}
		else if (is_new && (strcmp(field, "modifiedAt") == 0 ||
							strcmp(field, "modifiedBy") == 0))
			continue;			/* read before, and stamped again */
		else if (!is_new && (strcmp(field, "id") == 0 ||
							 strcmp(field, "diagram") == 0 ||
							 strcmp(field, "modifiedAt") == 0 ||
							 strcmp(field, "modifiedBy") == 0))
			httpbody_bad_field(field, "cannot be changed");
		else
			httpbody_bad_field(field, "is not known");
	}
	if (is_new && !has_id)
		httpbody_bad_field("id", "is missing");
	if (!has_doc)
		httpbody_bad_field("doc", "is missing");
	if (is_new && !on_route && *diagram == NULL)
		httpbody_bad_field("diagram", "is missing");
}

/*
 * Check the body of an INSERT, or UPDATE, of entities.  route is the diagram
 * of the path, or NULL.  Returns the entity that the body is about, if that is
 * one, or NULL.
 */
Jsonb *
httpbody_check_entities(bool is_new, char *route)
{
	Jsonb	   *body = find_body();
	Jsonb	   *only = NULL;
	char	   *diagram = route;
	JsonbIterator *it;
	JsonbValue	value;

	if (body == NULL)
		return NULL;
	if (JB_ROOT_IS_OBJECT(body))
	{
		check_entity(&body->root, is_new, route != NULL, &diagram);
		return body;
	}
	if (!is_new)
		bad_body("The body must be an object: {\"doc\"}.");
	if (JB_ROOT_IS_SCALAR(body))
		bad_body("The body must be an entity, or an array of them.");
	it = JsonbIteratorInit(&body->root);
	(void) JsonbIteratorNext(&it, &value, true);
	while (JsonbIteratorNext(&it, &value, true) == WJB_ELEM)
	{
		if (value.type != jbvBinary)
			bad_body("An entity is a JSON object: {\"id\", \"doc\"}.");
		check_entity(value.val.binary.data, is_new, route != NULL, &diagram);
		if (JB_ROOT_COUNT(body) == 1)
			only = JsonbValueToJsonb(&value);
	}
	return only;
}

/* May a diagram have that as its name, or description? */
static void
check_text(const char *field, const JsonbValue *value, bool nullable)
{
	if (value->type != jbvString && (value->type != jbvNull || !nullable))
		httpbody_bad_field(field, nullable ? "must be a string or null" :
						   "must be a string");
}

/*
 * Check the body of an UPDATE of the directory: name, description or both.
 */
void
httpbody_check_diagram(void)
{
	static const char *const others[] = {
		"_id", "storageType", "createdAt", "publicCopyId", "lastPushedAt",
		"lastPulledAt", "publicVersion", "owner"
	};
	Jsonb	   *body = find_body();
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;

	if (body == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(body))
		bad_body("The body must be an object: {\"name\", \"description\"}.");
	it = JsonbIteratorInit(&body->root);
	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char	   *field = pnstrdup(key.val.string.val, key.val.string.len);

		(void) JsonbIteratorNext(&it, &value, true);
		if (strcmp(field, "name") == 0)
			check_text(field, &value, false);
		else if (strcmp(field, "description") == 0)
			check_text(field, &value, true);
		else
		{
			for (size_t i = 0; i < lengthof(others); i++)
			{
				if (strcmp(field, others[i]) == 0)
					httpbody_bad_field(field, "cannot be changed here");
			}
			httpbody_bad_field(field, "is not known");
		}
	}
}

/*
 * Has the body that field?  True where there is no body: then it is not the
 * body that says what is written.
 */
bool
httpbody_has_field(const char *field)
{
	Jsonb	   *body = find_body();
	JsonbValue	value;

	return body == NULL || !JB_ROOT_IS_OBJECT(body) ||
		getKeyJsonValueFromContainer(&body->root, field, strlen(field),
									 &value) != NULL;
}
