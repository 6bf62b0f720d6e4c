/*
 * condition.c
 *	  Conditional requests over HTTP (RFC 9110): what has not changed is
 *	  answered 304, and nobody writes over a version that they have not seen
 *	  (412).
 *
 * Of one entity the tag is a digest of it; of all that a shared diagram has,
 * the mark that its reader is at (mark.c), so that a question whether anything
 * has changed reads only what has.  Tags are compared without W/: a web server
 * that compresses an answer makes its tag weak.
 *
 * PostgREST calls diagsync.check_request() before each request, which begins
 * here: a read is answered there and then.  A write is refused there, too,
 * where that is clear already; what counts is what the triggers of the entity
 * tables find, which have the row locked.  Which entity a request names, the
 * web server says (X-Diagsync-Entity), since PostgREST tells nobody of the
 * query.
 *
 * All of this is only ever in its sender's way.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "http/condition.h"
#include "json/document.h"
#include "server/request.h"
#include "tracking/mark.h"

#define PT(a, b, c) MAKE_SQLSTATE('P', 'T', a, b, c)

/* Hexadecimal digits of an entity's tag */
#define TAG_DIGITS 32

/* What this transaction's request writes, and on which conditions */
typedef struct Condition
{
	StorageType storage;
	char	   *diagram;
	char	   *entity;			/* the one it names, or NULL */
	char	   *if_match;		/* or NULL */
	char	   *if_none_match;	/* or NULL */
	bool		inserts;		/* it may make the entity */
	bool		met;			/* the entity was found, and all is well */
} Condition;

/* In TopTransactionContext; NULL: the request writes no entities */
static Condition *condition = NULL;

static void
forget_condition(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		condition = NULL;
}

/* ---- Tags --------------------------------------------------------------- */

/* What a list of tags is asked for */
typedef bool (*TagTest) (const char *tag, void *arg);

/*
 * Is there a tag in a header's list that passes a test?  "*" does if there is
 * anything at all.
 */
static bool
list_has(const char *list, bool exists, TagTest test, void *arg)
{
	const char *c = list;

	while (*c != '\0')
	{
		const char *end;

		c += strspn(c, " \t,");
		if (c[0] == '*')
			return exists;
		if (c[0] == 'W' && c[1] == '/')
			c += 2;
		if (*c == '"')
			end = strchr(++c, '"');
		else
			end = c + strcspn(c, " \t,");
		if (end == NULL)
			return false;
		if (exists && end > c && test(pnstrdup(c, end - c), arg))
			return true;
		c = *end == '"' ? end + 1 : end;
	}
	return false;
}

static bool
is_tag(const char *tag, void *arg)
{
	return strcmp(tag, arg) == 0;
}

/* The tag of an entity, palloc'd */
static char *
entity_tag(Datum id, Datum doc, Datum modified_at, Datum modified_by)
{
	Digest	   *digest = digest_begin();
	char	   *tag;

	digest_string(digest, TextDatumGetCString(id));
	digest_document(digest, DatumGetJsonbP(doc));
	digest_string(digest, psprintf(INT64_FORMAT, DatumGetInt64(modified_at)));
	digest_string(digest, TextDatumGetCString(modified_by));
	tag = digest_end(digest);
	tag[TAG_DIGITS] = '\0';
	return tag;
}

static char *
tag_of_slot(TupleTableSlot *slot)
{
	bool		isnull;

	return entity_tag(slot_getattr(slot, Anum_entity_id, &isnull),
					  slot_getattr(slot, Anum_entity_doc, &isnull),
					  slot_getattr(slot, Anum_entity_modified_at, &isnull),
					  slot_getattr(slot, Anum_entity_modified_by, &isnull));
}

static char *
tag_of_tuple(HeapTuple tuple, TupleDesc tupdesc)
{
	bool		isnull;

	return entity_tag(heap_getattr(tuple, Anum_entity_id, tupdesc, &isnull),
					  heap_getattr(tuple, Anum_entity_doc, tupdesc, &isnull),
					  heap_getattr(tuple, Anum_entity_modified_at, tupdesc,
								   &isnull),
					  heap_getattr(tuple, Anum_entity_modified_by, tupdesc,
								   &isnull));
}

/* ---- Answers ------------------------------------------------------------ */

/*
 * Have PostgREST send the tag with its answer, besides what other headers
 * there are.
 */
static void
send_tag(const char *tag)
{
	const char *headers = GetConfigOption("response.headers", true, false);
	const char *end = headers ? strrchr(headers, ']') : NULL;
	char	   *value = end != NULL ?
		psprintf("%.*s, {\"ETag\": \"\\\"%s\\\"\"}]",
				 (int) (end - headers), headers, tag) :
		psprintf("[{\"ETag\": \"\\\"%s\\\"\"}]", tag);

	(void) set_config_option("response.headers", value, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * Answer 304.  That ends the request as an error does, and is none: it is not
 * for the server's log.
 */
static void
answer_not_modified(const char *tag)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		ereport(ERROR,
				(errcode(MAKE_SQLSTATE('P', 'G', 'R', 'S', 'T')),
				 errmsg_internal("{\"code\": \"PT304\", \"message\": \"Not Modified\", \"details\": null, \"hint\": null}"),
				 errdetail_internal("{\"status\": 304, \"headers\": {\"ETag\": \"\\\"%s\\\"\"}}",
									tag)));
	}
	PG_CATCH();
	{
		ErrorData  *answer;

		MemoryContextSwitchTo(caller);
		answer = CopyErrorData();
		FlushErrorState();
		answer->output_to_server = false;
		ReThrowError(answer);
	}
	PG_END_TRY();
}

static void
refuse_entity(const char *diagram, const char *entity, bool exists)
{
	ereport(ERROR,
			(errcode(PT('4', '1', '2')),
			 errmsg("Precondition Failed"),
			 exists ?
			 errdetail("Entity \"%s\" of diagram \"%s\" is not as the request requires.",
					   entity, diagram) :
			 errdetail("There is no entity \"%s\" in diagram \"%s\".",
					   entity, diagram),
			 errhint("Read it again, and decide on what it is now.")));
}

static void
refuse_diagram(const Diagram *diagram)
{
	ereport(ERROR,
			(errcode(PT('4', '1', '2')),
			 errmsg("Precondition Failed"),
			 errdetail("Diagram \"%s\" has changed, or has no such tag.",
					   diagram->id)));
}

static void
refuse_unnamed(void)
{
	ereport(ERROR,
			(errcode(PT('4', '0', '0')),
			 errmsg("Bad Request"),
			 errdetail("A write with If-Match or If-None-Match names exactly one entity."),
			 errhint("Name it with ?id=eq.ID.")));
}

/*
 * Whether the entity is as the request requires; "*" and tags of what is not
 * there match nothing.
 */
static bool
holds(const char *if_match, const char *if_none_match, bool exists, char *tag)
{
	return (if_match == NULL || list_has(if_match, exists, is_tag, tag)) &&
		(if_none_match == NULL || !list_has(if_none_match, exists, is_tag,
											tag));
}

/* ---- Before the request ------------------------------------------------- */

static bool
is_read(void)
{
	const char *method = GetConfigOption("request.method", true, false);

	return method != NULL && (strcmp(method, "GET") == 0 ||
							  strcmp(method, "HEAD") == 0 ||
							  strcmp(method, "OPTIONS") == 0);
}

/*
 * Fail if a request that writes something else than entities of one diagram
 * has conditions, which would not be heeded.
 */
void
condition_refuse(void)
{
	if (is_read() ||
		(request_header("if-match") == NULL &&
		 request_header("if-none-match") == NULL &&
		 request_header("if-unmodified-since") == NULL))
		return;
	ereport(ERROR,
			(errcode(PT('4', '0', '0')),
			 errmsg("Bad Request"),
			 errdetail("This request cannot depend on If-Match, If-None-Match or If-Unmodified-Since."),
			 errhint("Conditions are for /db/local/ID, /db/public/ID and /db/private/ID, with ?id=eq.ID.")));
}

/* The entity that the route names, palloc'd; NULL where there is none */
static char *
route_entity(void)
{
	char	   *encoded = request_header("x-diagsync-entity");

	if (encoded == NULL || encoded[0] == '\0')
		return NULL;
	for (char *c = encoded; *c != '\0'; c++)
	{
		if (*c == '+')
			*c = ' ';
	}
	return request_decode(encoded);
}

/* The tag of an entity under a snapshot, palloc'd; NULL if there is none */
static char *
read_entity_tag(const Diagram *diagram, const char *entity, Snapshot snapshot)
{
	Probe		probe;
	char	   *tag = NULL;

	probe_open(&probe, diagram->storage, TABLE_ENTITY, AccessShareLock);
	probe_begin(&probe, snapshot);
	if (probe_find(&probe, diagram->key, CStringGetTextDatum(entity)))
		tag = tag_of_slot(probe.slot);
	probe_close(&probe);
	return tag;
}

typedef struct MarkTest
{
	const Diagram *diagram;
	Snapshot	snapshot;
	const char *tag;			/* the one that passed */
} MarkTest;

static bool
is_current_mark(const char *tag, void *arg)
{
	MarkTest   *test = arg;

	if (!mark_is_current(tag, test->diagram, test->snapshot))
		return false;
	test->tag = tag;
	return true;
}

/*
 * A reading of all that a diagram has, or of some.  A local one has no marks.
 */
static void
begin_read_of_diagram(const Diagram *diagram, const char *if_match,
					  const char *if_none_match, Snapshot snapshot)
{
	MarkTest	test = {diagram, snapshot, NULL};
	Mark		mark = {0};
	char	   *tag;

	if (diagram->storage == STORAGE_LOCAL)
	{
		if (if_match != NULL && strcmp(if_match, "*") != 0)
			refuse_diagram(diagram);
		return;
	}
	mark.covers = mark_now(diagram, snapshot);
	tag = mark_write(&mark, diagram);
	if (if_match != NULL && !list_has(if_match, true, is_current_mark, &test))
		refuse_diagram(diagram);
	test.tag = tag;
	if (if_none_match != NULL &&
		list_has(if_none_match, true, is_current_mark, &test))
		answer_not_modified(test.tag);
	send_tag(tag);
}

/*
 * Begin a request about the entities of a diagram, which the caller may read
 * under that registered snapshot.  An error (412, 400, and what becomes 304)
 * where the request ends with that.
 */
void
condition_begin(const Diagram *diagram, Snapshot snapshot)
{
	static bool registered = false;
	const char *method = GetConfigOption("request.method", true, false);
	const char *path = GetConfigOption("request.path", true, false);
	char	   *if_match = request_header("if-match");
	char	   *if_none_match = request_header("if-none-match");
	char	   *entity = route_entity();
	MemoryContext caller;

	if (path != NULL && strncmp(path, "/rpc/", strlen("/rpc/")) == 0)
		return;
	if (is_read())
	{
		char	   *tag;

		if (entity == NULL)
		{
			begin_read_of_diagram(diagram, if_match, if_none_match, snapshot);
			return;
		}
		tag = read_entity_tag(diagram, entity, snapshot);
		if (!holds(if_match, NULL, tag != NULL, tag))
			refuse_entity(diagram->id, entity, tag != NULL);
		if (!holds(NULL, if_none_match, tag != NULL, tag))
			answer_not_modified(tag);
		if (tag != NULL)
			send_tag(tag);
		return;
	}

	if (if_match == NULL && if_none_match == NULL)
		condition_refuse();
	else if (entity == NULL)
		refuse_unnamed();
	if (!registered)
		RegisterXactCallback(forget_condition, NULL);
	registered = true;

	caller = MemoryContextSwitchTo(TopTransactionContext);
	condition = palloc0(sizeof(Condition));
	condition->storage = diagram->storage;
	condition->diagram = pstrdup(diagram->id);
	condition->entity = entity ? pstrdup(entity) : NULL;
	condition->if_match = if_match ? pstrdup(if_match) : NULL;
	condition->if_none_match = if_none_match ? pstrdup(if_none_match) : NULL;
	condition->inserts = method != NULL && (strcmp(method, "POST") == 0 ||
											strcmp(method, "PUT") == 0);
	MemoryContextSwitchTo(caller);

	if (if_match != NULL || if_none_match != NULL)
	{
		char	   *tag = read_entity_tag(diagram, entity, snapshot);

		if ((tag == NULL && !condition->inserts) ||
			!holds(if_match, if_none_match, tag != NULL, tag))
			refuse_entity(diagram->id, entity, tag != NULL);
	}
}

/* ---- In the triggers ---------------------------------------------------- */

static bool
is_conditional(void)
{
	return condition->if_match != NULL || condition->if_none_match != NULL;
}

/* Is a statement that a trigger is fired for the request's own? */
static bool
is_own_statement(StorageType storage)
{
	return condition != NULL && condition->storage == storage &&
		DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) == 1;
}

static bool
is_named(const char *diagram, const char *entity)
{
	return condition->entity != NULL &&
		strcmp(diagram, condition->diagram) == 0 &&
		strcmp(entity, condition->entity) == 0;
}

static bool
is_named_tuple(HeapTuple tuple, TupleDesc tupdesc)
{
	return is_named(SPI_getvalue(tuple, tupdesc, Anum_entity_diagram_id),
					SPI_getvalue(tuple, tupdesc, Anum_entity_id));
}

/*
 * BEFORE UPDATE or DELETE, ROW: is the locked row the one that the request
 * names, and as it requires?
 */
void
condition_check_row(const TriggerData *trigger, StorageType storage)
{
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);

	if (!is_own_statement(storage) || !is_conditional())
		return;
	if (!is_named_tuple(trigger->tg_trigtuple, tupdesc))
		refuse_unnamed();
	if (!holds(condition->if_match, condition->if_none_match, true,
			   tag_of_tuple(trigger->tg_trigtuple, tupdesc)))
		refuse_entity(condition->diagram, condition->entity, true);
	condition->met = true;
}

/*
 * BEFORE UPDATE, ROW: the entity that the request names will be stored like
 * this.
 */
void
condition_note_row(const TriggerData *trigger, StorageType storage,
				   HeapTuple written)
{
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);
	bool		isnull;

	(void) heap_getattr(written, Anum_entity_doc, tupdesc, &isnull);
	if (!isnull && is_own_statement(storage) && is_named_tuple(written,
															   tupdesc))
		send_tag(tag_of_tuple(written, tupdesc));
}

/*
 * AFTER INSERT, STATEMENT: are the rows inserted the one that the request
 * names, and was it not to be there?
 */
static void
check_inserted(TriggerData *trigger)
{
	TupleDesc	tupdesc = RelationGetDescr(trigger->tg_relation);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(tupdesc,
													&TTSOpsMinimalTuple);
	bool		isnull;

	tuplestore_rescan(trigger->tg_newtable);
	while (tuplestore_gettupleslot(trigger->tg_newtable, true, false, slot))
	{
		char	   *diagram = TextDatumGetCString(slot_getattr(slot,
															   Anum_entity_diagram_id,
															   &isnull));
		char	   *entity = TextDatumGetCString(slot_getattr(slot,
															  Anum_entity_id,
															  &isnull));

		if (condition->met || !is_named(diagram, entity))
			refuse_unnamed();
		if (condition->if_match != NULL)
			refuse_entity(condition->diagram, condition->entity, false);
		condition->met = true;
	}
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * AFTER INSERT, UPDATE or DELETE, STATEMENT: was the entity there at all?  (An
 * INSERT that may update fires this for both, the latter first.)
 */
void
condition_check_statement(TriggerData *trigger, StorageType storage)
{
	if (!is_own_statement(storage) || !is_conditional())
		return;
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		check_inserted(trigger);
	else if (condition->inserts)
		return;
	if (!condition->met)
		refuse_entity(condition->diagram, condition->entity,
					  condition->inserts);
}
