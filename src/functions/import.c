/*
 * import.c
 *	  match(): which entities of an import are which of those that are there,
 *	  and the import under the ids of these.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "json/document.h"
#include "merge/match.h"
#include "merge/reference.h"
#include "server/compat.h"
#include "server/sqlfunction.h"

#define MATCH_COLUMNS 5

/* ---- Arguments ---------------------------------------------------------- */

pg_noreturn static void refuse(const char *arg, const char *detail);

static void
refuse(const char *arg, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("argument \"%s\" does not hold entities", arg),
			 errdetail_internal("%s", detail),
			 errhint("Give an object that has each document under its id, or an array of objects, each with an \"id\" that is a string or a number.")));
}

/* The id of a document in an array; palloc'd, or where the document has it. */
static JsonKey
id_of(const char *arg, int number, JsonValue doc)
{
	JsonValue	id = json_member(doc, json_key("id"));
	JsonKey		key = {id.data, (int) id.len};

	if (json_is_number(id))
		return json_key(DatumGetCString(DirectFunctionCall1(numeric_out,
															NumericGetDatum((Numeric) id.data))));
	if (!json_is_string(id))
		refuse(arg, psprintf("Entity %d has no \"id\" that is a string or a number.", number));
	return key;
}

static void
add_entity(const char *arg, MatchSide *side, JsonKey id, JsonValue doc)
{
	MatchEntity *entity = &side->entities[side->count++];

	CHECK_FOR_INTERRUPTS();
	memset(entity, 0, sizeof(MatchEntity));
	entity->id = id;
	entity->doc = doc;
}

static int
compare_ids(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();
	return json_compare_keys(*(const JsonKey *) a, *(const JsonKey *) b);
}

static void
refuse_repeated_ids(const char *arg, const MatchSide *side)
{
	JsonKey    *ids = MemoryContextAllocHuge(CurrentMemoryContext,
											 Max(side->count,
												 1) * sizeof(JsonKey));

	for (int i = 0; i < side->count; i++)
		ids[i] = side->entities[i].id;
	qsort(ids, side->count, sizeof(JsonKey), compare_ids);
	for (int i = 1; i < side->count; i++)
	{
		if (json_compare_keys(ids[i - 1], ids[i]) == 0)
			refuse(arg, psprintf("Entity \"%s\" is there twice.",
								 pnstrdup(ids[i].name, ids[i].len)));
	}
	pfree(ids);
}

static void
read_side(FunctionCallInfo fcinfo, int number, const char *arg,
		  MatchSide *side)
{
	JsonValue	given;
	JsonMembers members;
	JsonKey		id;
	JsonValue	doc;

	if (PG_ARGISNULL(number))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", arg)));
	given = json_content(PG_GETARG_JSONB_P(number));
	if (!json_is_container(given))
		refuse(arg, "It is neither an object nor an array.");
	json_members(&members, given);
	side->count = 0;
	side->entities = MemoryContextAllocHuge(CurrentMemoryContext,
											Max(members.count,
												1) * sizeof(MatchEntity));
	if (json_is_object(given))
	{
		while (json_next_member(&members, &id, &doc))
		{
			if (!json_is_object(doc))
				refuse(arg, psprintf("\"%s\" is not an object.",
									 pnstrdup(id.name, id.len)));
			add_entity(arg, side, id, doc);
		}
		return;
	}
	while (json_next_element(&members, &doc))
	{
		if (!json_is_object(doc))
			refuse(arg, psprintf("Entity %d is not an object.",
								 members.next));
		add_entity(arg, side, id_of(arg, members.next, doc), doc);
	}
	refuse_repeated_ids(arg, side);
}

/* ---- Ids and documents of the import ------------------------------------ */

/*
 * The id under which an entity of the import is to be stored.  One that is new
 * gets another one where its own is that of an old entity.
 */
static JsonKey
id_to_store(const MatchSide *old, const MatchSide *new,
			const MatchEntity *entity)
{
	JsonKey		id = entity->id;

	if (entity->partner >= 0)
		return old->entities[entity->partner].id;
	for (int n = 2; match_find(old, id) >= 0 ||
		 (n > 2 && match_find(new, id) >= 0); n++)
	{
		CHECK_FOR_INTERRUPTS();
		id = json_key(psprintf("%s-%d", pnstrdup(entity->id.name,
												 entity->id.len), n));
	}
	return id;
}

static int
compare_renames(const ListCell *a, const ListCell *b)
{
	return strcmp(((const Rename *) lfirst(a))->id,
				  ((const Rename *) lfirst(b))->id);
}

/* The entities of the import that get other ids, in ascending order */
static List *
renames_of(const MatchSide *new, const JsonKey *ids)
{
	List	   *renames = NIL;

	for (int i = 0; i < new->count; i++)
	{
		JsonKey		id = new->entities[i].id;

		if (json_compare_keys(id, ids[i]) != 0)
		{
			Rename	   *rename = palloc(sizeof(Rename));

			rename->id = pnstrdup(id.name, id.len);
			rename->new_id = pnstrdup(ids[i].name, ids[i].len);
			renames = lappend(renames, rename);
		}
	}
	list_sort(renames, compare_renames);
	return renames;
}

static bool
is_id(JsonKey key)
{
	for (int i = 0; i < DOCUMENT_IDS; i++)
	{
		if (json_compare_keys(key, json_key(document_ids[i])) == 0)
			return true;
	}
	return false;
}

/* A document that repeats its id as another one does.  palloc'd. */
static Jsonb *
with_ids_of(const Jsonb *doc, JsonValue other)
{
	JsonBuild	build = {0};
	JsonCursor	in_doc;
	JsonCursor	in_other;

	json_cursor_open(&in_doc, json_root(doc));
	json_cursor_open(&in_other, other);
	while (in_doc.more || in_other.more)
	{
		int			order = !in_doc.more ? 1 : !in_other.more ? -1 :
			json_compare_keys(in_doc.key, in_other.key);
		JsonCursor *from = order < 0 || (order == 0 && !is_id(in_doc.key)) ?
			&in_doc : &in_other;

		/* Ids are the other one's, all else is the document's. */
		if (is_id(from->key) == (from == &in_other))
			json_build_value(&build, from->key, from->value);
		if (order <= 0)
			json_cursor_next(&in_doc);
		if (order >= 0)
			json_cursor_next(&in_other);
	}
	return json_build_end(&build);
}

/* The document of an entity of the import as it is to be stored.  palloc'd. */
static Jsonb *
doc_to_store(const Policy *policy, const MatchSide *old,
			 const MatchEntity *entity, JsonKey id, List *renames)
{
	Jsonb	   *doc = reference_redirect(policy, json_document(entity->doc),
										 renames, NULL, NULL);

	if (entity->partner >= 0)
		return with_ids_of(doc, old->entities[entity->partner].doc);
	return document_rename(doc, pnstrdup(entity->id.name, entity->id.len),
						   pnstrdup(id.name, id.len));
}

/* ---- Rows --------------------------------------------------------------- */

static Datum
text_of(JsonKey key)
{
	return PointerGetDatum(cstring_to_text_with_len(key.name, key.len));
}

/* A row for each entity of the import, then one for each that is gone */
static void
return_rows(ReturnSetInfo *result, const Policy *policy, const MatchSide *old,
			const MatchSide *new)
{
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext,
													  "diagsync match",
													  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller;
	JsonKey    *ids = MemoryContextAllocHuge(CurrentMemoryContext,
											 Max(new->count,
												 1) * sizeof(JsonKey));
	List	   *renames;

	for (int i = 0; i < new->count; i++)
		ids[i] = id_to_store(old, new, &new->entities[i]);
	renames = renames_of(new, ids);
	caller = MemoryContextSwitchTo(row_context);
	for (int i = 0; i < new->count + old->count; i++)
	{
		bool		is_new = i < new->count;
		const MatchEntity *entity = is_new ? &new->entities[i] :
			&old->entities[i - new->count];
		bool		nulls[MATCH_COLUMNS] = {false};
		Datum		values[MATCH_COLUMNS];

		CHECK_FOR_INTERRUPTS();
		if (!is_new && entity->partner >= 0)
			continue;
		values[0] = text_of(is_new ? ids[i] : entity->id);
		nulls[1] = is_new && entity->partner < 0;
		values[1] = nulls[1] ? (Datum) 0 :
			text_of(is_new ? old->entities[entity->partner].id : entity->id);
		nulls[2] = !is_new;
		values[2] = nulls[2] ? (Datum) 0 : text_of(entity->id);
		nulls[3] = entity->by == NULL;
		values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(entity->by);
		nulls[4] = !is_new;
		values[4] = nulls[4] ? (Datum) 0 :
			PointerGetDatum(doc_to_store(policy, old, entity, ids[i],
										 renames));
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(row_context);
}

/*
 * diagsync.match(old, new, policy)
 */
DIAGSYNC_FUNCTION(diagsync_match)
{
	const Jsonb *policy = PG_ARGISNULL(2) ? NULL :
		policy_expand(PG_GETARG_JSONB_P(2), NULL);
	MatchSide	old;
	MatchSide	new;

	read_side(fcinfo, 0, "old", &old);
	read_side(fcinfo, 1, "new", &new);
	match_entities(policy, &old, &new);
	InitMaterializedSRF(fcinfo, 0);
	return_rows((ReturnSetInfo *) fcinfo->resultinfo,
				policy_parse(policy, NULL), &old, &new);
	return (Datum) 0;
}
