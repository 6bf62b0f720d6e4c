/*
 * resolvemany.c
 *	  Many conflicts settled in one call: resolve_all(), by one rule, and
 *	  resolve_many(), each by a choice of its own.
 *
 * The way of a resolution is in sync/settle.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "directory/directory.h"
#include "directory/quota.h"
#include "functions/resolve.h"
#include "json/jsonvalue.h"
#include "json/pointer.h"
#include "server/request.h"
#include "server/sqlfunction.h"
#include "server/textarg.h"

#define RESULT_COLUMNS 6

/* A row of diagsync.resolve_result for each entity, as it is told of */
static void
put_row(Settling *settling, Settled settled, const char *id,
		const char *copy_id, const Entity *now)
{
	ReturnSetInfo *result = settling->answer_arg;
	bool		conflicts = now != NULL && now->conflict != CONFLICT_NONE;
	Datum		values[RESULT_COLUMNS];
	bool		nulls[RESULT_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(id);
	values[1] = CStringGetTextDatum(settled_name(settled));
	nulls[2] = !conflicts;
	values[2] = conflicts ? CStringGetTextDatum(conflict_name(now->conflict)) :
		(Datum) 0;
	nulls[3] = copy_id == NULL;
	values[3] = copy_id != NULL ? CStringGetTextDatum(copy_id) : (Datum) 0;
	nulls[4] = !conflicts;
	values[4] = conflicts ? CStringGetTextDatum(entity_version(now)) : (Datum) 0;
	values[5] = sqlfunction_count(settling->refused_deletions);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
run_many(FunctionCallInfo fcinfo, Settling *settling, const char *function)
{
	InitMaterializedSRF(fcinfo, 0);
	settling->answer = put_row;
	settling->answer_arg = fcinfo->resultinfo;
	if (quota_applies())
		quota_check_put(settling->local, settling->choices.n);
	resolve_run(settling, function);
}

/* ---- resolve_all() ------------------------------------------------------ */

/*
 * The elements of an argument that is an array of texts; NULL where it is
 * null.  22004 where one of them is null, 22023 where one is too long.
 */
static char **
strings_arg(FunctionCallInfo fcinfo, int arg, const char *name,
			const char *local, int max, int *n)
{
	ArrayType  *array;
	Datum	   *values;
	bool	   *nulls;
	char	  **strings;

	if (PG_ARGISNULL(arg))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(arg);
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" for diagram \"%s\" must not contain nulls",
						name, local)));
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls,
					  n);
	strings = palloc(Max(*n, 1) * sizeof(char *));
	for (int i = 0; i < *n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		strings[i] = textarg_get(values[i], name, local, max);
	}
	return strings;
}

static void
take_kinds(FunctionCallInfo fcinfo, Settling *settling)
{
	int			n = 0;
	char	  **kinds = strings_arg(fcinfo, 2, "kinds", settling->local, MAX_WORD,
									&n);

	settling->choices.by_kind = kinds != NULL;
	for (int i = 0; kinds != NULL && i < n; i++)
	{
		ConflictKind kind;

		if (!conflict_parse(kinds[i], &kind))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unknown kind of conflict \"%s\" for diagram \"%s\"",
							kinds[i], settling->local),
					 errhint("Kinds are those that diagsync.conflicts() shows as \"conflict\".")));
		settling->choices.kinds |= 1U << kind;
	}
}

static void
take_paths(FunctionCallInfo fcinfo, Settling *settling)
{
	int			n = 0;
	char	  **paths = strings_arg(fcinfo, 3, "paths", settling->local, MAX_PATH,
									&n);

	settling->choices.by_path = paths != NULL;
	for (int i = 0; paths != NULL && i < n; i++)
	{
		JsonPointer *path = palloc(sizeof(JsonPointer));

		if (!pointer_parse(path, paths[i], strlen(paths[i])))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("path \"%s\" for diagram \"%s\" is not a JSON Pointer",
							paths[i], settling->local),
					 errhint("It is empty or begins with a slash: \"/position/x\", or \"/points/*\" for any key.")));
		settling->choices.paths = lappend(settling->choices.paths, path);
	}
}

/* Only these entities, each once; else all. */
static void
take_entities(FunctionCallInfo fcinfo, Settling *settling, Resolution resolution)
{
	Choices    *choices = &settling->choices;
	int			n = 0;
	char	  **ids = strings_arg(fcinfo, 4, "entities", settling->local,
								  MAX_ENTITY_ID, &n);

	if (ids == NULL)
	{
		choices->rule = palloc0(sizeof(Choice));
		choices->rule->resolution = resolution;
		return;
	}
	choices->named = palloc0(Max(n, 1) * sizeof(Choice));
	for (int i = 0; i < n; i++)
	{
		choices->named[i].id = ids[i];
		choices->named[i].resolution = resolution;
	}
	choices->n = n;
	choices_sort(choices);
	n = 0;
	for (int i = 0; i < choices->n; i++)
	{
		if (i == 0 || strcmp(choices->named[n - 1].id, choices->named[i].id) != 0)
			choices->named[n++] = choices->named[i];
	}
	choices->n = n;
}

/*
 * diagsync.resolve_all(local, resolution, kinds, paths, entities,
 *						allow_deletions)
 *
 * For whoever may call resolve().  Locks as settle_carry_out() does.
 */
DIAGSYNC_FUNCTION(diagsync_resolve_all)
{
	Settling	settling = {0};
	Resolution	resolution;
	char	   *name;

	settling.local = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										"local");
	directory_refuse_null(PG_ARGISNULL(1), "resolution", settling.local);
	directory_refuse_null(PG_ARGISNULL(5), "allow_deletions", settling.local);
	name = textarg_get(PG_GETARG_DATUM(1), "resolution", settling.local,
					   MAX_WORD);
	if (!resolution_parse(name, &resolution) ||
		resolution == RESOLUTION_ABORT || resolution == RESOLUTION_SKIP ||
		resolution == RESOLUTION_MERGED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown resolution \"%s\" for the conflicts of diagram \"%s\"",
						name, settling.local),
				 errhint("It is local, public, both or newest.")));
	take_kinds(fcinfo, &settling);
	take_paths(fcinfo, &settling);
	take_entities(fcinfo, &settling, resolution);
	settling.allow_deletions = PG_GETARG_BOOL(5);
	run_many(fcinfo, &settling, "resolve_all");
	return (Datum) 0;
}

/* ---- resolve_many() ----------------------------------------------------- */

/* A choice that is being read */
typedef struct ChoiceReader
{
	const char *local;
	const char *entity_field;	/* over HTTP names are written as there */
	int			n;				/* its number */
	Version		stamp;			/* by whom documents are, and when */
} ChoiceReader;

static void
bad_choice(const ChoiceReader *reader, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("choice %d for diagram \"%s\" %s", reader->n, reader->local,
					what),
			 errhint("Give an array of objects, each with a string \"%s\", a \"resolution\", and if you like \"expected\"; for \"merged\" with a \"doc\".",
					 reader->entity_field)));
}

/* A field that has to be a string of so many characters */
static char *
string_field(const ChoiceReader *reader, const char *field, JsonValue value,
			 int max)
{
	char	   *string;

	if (!json_exists(value))
		bad_choice(reader, psprintf("has no \"%s\"", field));
	if (!json_is_string(value))
		bad_choice(reader, psprintf("has a \"%s\" that is not a string", field));
	string = pnstrdup(value.data, value.len);
	if (!textarg_fits(string, max))
		bad_choice(reader, psprintf("has a \"%s\" of more than %d characters",
									  field, max));
	return string;
}

static void
refuse_unknown_fields(const ChoiceReader *reader, JsonValue object)
{
	const char *const known[] = {reader->entity_field, "resolution", "doc",
	"expected"};
	JsonMembers members;
	JsonKey		key;
	JsonValue	value;

	json_members(&members, object);
	while (json_next_member(&members, &key, &value))
	{
		bool		found = false;

		for (size_t i = 0; i < lengthof(known); i++)
			found |= json_compare_keys(key, json_key(known[i])) == 0;
		if (!found)
			bad_choice(reader, psprintf("has a field \"%.*s\" that is not known",
										  pg_mbcliplen(key.name, key.len, 100),
										  key.name));
	}
}

static void
take_choice(const ChoiceReader *reader, JsonValue object, Choice *choice)
{
	const char *id_field = reader->entity_field;
	JsonValue	expected = json_member(object, json_key("expected"));
	JsonValue	doc = json_member(object, json_key("doc"));
	char	   *resolution;

	choice->id = string_field(reader, id_field,
							  json_member(object, json_key(id_field)),
							  MAX_ENTITY_ID);
	if (choice->id[0] == '\0')
		bad_choice(reader, psprintf("has an empty \"%s\"", id_field));
	resolution = string_field(reader, "resolution",
							  json_member(object, json_key("resolution")),
							  MAX_WORD);
	if (!resolution_parse(resolution, &choice->resolution) ||
		choice->resolution == RESOLUTION_ABORT ||
		choice->resolution == RESOLUTION_SKIP)
		bad_choice(reader, psprintf("has an unknown \"resolution\" \"%s\"",
									  resolution));
	if (json_exists(expected) && expected.type != JENTRY_ISNULL)
		choice->expected = string_field(reader, "expected", expected,
										MAX_WORD);
	refuse_unknown_fields(reader, object);
	choice->given = reader->stamp;
	resolve_take_document(reader->local, choice, json_exists(doc) &&
						  doc.type != JENTRY_ISNULL ?
						  json_document(doc) : NULL);
}

/*
 * The choices of the array that resolve_many() was given, by ascending ids.
 */
static void
take_choices(const char *local, const Jsonb *array, Choices *choices)
{
	ChoiceReader reader = {.local = local,
	.entity_field = request_is_http() ? "entityId" : "entity_id"};
	JsonMembers elements;
	JsonValue	object;

	if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"choices\" for diagram \"%s\" must be a JSON array", local),
				 errhint("Give an array of objects, each with a string \"%s\" and a \"resolution\".",
						 reader.entity_field)));
	reader.stamp = resolve_stamp();
	choices->named = palloc0(Max(JB_ROOT_COUNT(array), 1) * sizeof(Choice));
	json_members(&elements, json_root(array));
	while (json_next_element(&elements, &object))
	{
		CHECK_FOR_INTERRUPTS();
		reader.n = choices->n + 1;
		if (!json_is_object(object))
			bad_choice(&reader, "is not an object");
		take_choice(&reader, object, &choices->named[choices->n++]);
	}
	choices_sort(choices);
	for (int i = 1; i < choices->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (strcmp(choices->named[i - 1].id, choices->named[i].id) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("entity \"%s\" of diagram \"%s\" is given more than one choice",
							choices->named[i].id, local),
					 errhint("Give each entity once.")));
	}
}

/*
 * diagsync.resolve_many(local, choices)
 *
 * For whoever may call resolve().  Locks as settle_carry_out() does.
 */
DIAGSYNC_FUNCTION(diagsync_resolve_many)
{
	Settling	settling = {0};

	settling.local = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										"local");
	directory_refuse_null(PG_ARGISNULL(1), "choices", settling.local);
	take_choices(settling.local, PG_GETARG_JSONB_P(1), &settling.choices);
	settling.allow_deletions = true;
	run_many(fcinfo, &settling, "resolve_many");
	return (Datum) 0;
}
