/*
 * rls.c
 *	  What the row-level policies of the tables ask, and access(), which tells
 *	  a caller what they may do:
 *
 *	  may_see()			a row of the directory
 *	  may_read(), may_write(), may_administer()
 *						rows of the other tables, by the diagram they belong to
 *	  check_may_write() a new row; fails where it may not be there, as the
 *						functions do
 *
 * A query that reads a table asks for each row.  So the answers are kept in
 * fn_extra while it runs, and the one given last beside them: then it costs a
 * comparison of two ids.  All of a query's rows are judged as one caller's,
 * who is identified when it asks first, and by what its snapshot shows; a new
 * row by what is committed.  Asked about something else than a column of rows
 * (in an expression of PL/pgSQL, which lives as long as the transaction) they
 * look anew each time.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "nodes/primnodes.h"
#include "nodes/supportnodes.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "directory/directory.h"
#include "server/httperror.h"
#include "server/request.h"
#include "server/sqlfunction.h"

/* The look-ups of one query for one policy */
typedef struct Answers
{
	Caller		caller;
	struct Answer *last;
	HTAB	   *table;			/* of Answer; NULL: none yet */
	MemoryContext context;		/* of the table and its ids; reset when full */
} Answers;

typedef struct AnswerKey
{
	const char *id;
	int			len;
} AnswerKey;

typedef struct Answer
{
	AnswerKey	key;
	bool		allowed;
} Answer;

/* More than this are forgotten, so that memory stays bounded */
#define MAX_ANSWERS 10000

static uint32
hash_key(const void *key, Size keysize)
{
	const AnswerKey *k = key;

	return hash_bytes((const unsigned char *) k->id, k->len);
}

static int
match_keys(const void *a, const void *b, Size keysize)
{
	const AnswerKey *x = a;
	const AnswerKey *y = b;

	return x->len == y->len ? memcmp(x->id, y->id, x->len) : 1;
}

/* Is the argument of a function a column? */
static bool
is_about_rows(FunctionCallInfo fcinfo)
{
	Node	   *call = fcinfo->flinfo->fn_expr;

	return call != NULL && IsA(call, FuncExpr) &&
		IsA(linitial(((FuncExpr *) call)->args), Var);
}

static Answers *
new_answers(MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	Answers    *answers = palloc0(sizeof(Answers));

	answers->context = AllocSetContextCreate(context, "diagsync row access",
											 ALLOCSET_SMALL_SIZES);
	access_identify(&answers->caller);
	MemoryContextSwitchTo(caller);
	return answers;
}

/*
 * The answers kept for a function call of a query; none yet where they are not
 * to be kept.
 */
static Answers *
kept_answers(FunctionCallInfo fcinfo)
{
	Answers    *answers = fcinfo->flinfo->fn_extra;

	if (answers != NULL)
		return answers;
	if (!is_about_rows(fcinfo))
		return new_answers(CurrentMemoryContext);
	answers = new_answers(fcinfo->flinfo->fn_mcxt);
	fcinfo->flinfo->fn_extra = answers;
	return answers;
}

/* A place for the answer about a diagram; "found": it is there. */
static Answer *
enter(Answers *answers, AnswerKey key, bool *found)
{
	Answer	   *answer;

	if (answers->table != NULL && hash_get_num_entries(answers->table) >= MAX_ANSWERS)
	{
		answers->table = NULL;
		answers->last = NULL;
		MemoryContextReset(answers->context);
	}
	if (answers->table == NULL)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(AnswerKey);
		ctl.entrysize = sizeof(Answer);
		ctl.hash = hash_key;
		ctl.match = match_keys;
		ctl.hcxt = answers->context;
		answers->table = hash_create("diagsync row access", 16, &ctl,
									 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE |
									 HASH_CONTEXT);
	}
	answer = hash_search(answers->table, &key, HASH_ENTER, found);
	if (!*found)
	{
		char	   *id = MemoryContextAlloc(answers->context, Max(key.len, 1));

		memcpy(id, key.id, key.len);
		answer->key.id = id;
		answer->allowed = false;
	}
	return answer;
}

/*
 * May the caller do that with a diagram, as a snapshot shows it?
 */
static bool
look_up(Answers *answers, AnswerKey key, AccessLevel needs, Snapshot snapshot)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext look = AllocSetContextCreate(caller, "diagsync look-up",
											   ALLOCSET_SMALL_SIZES);
	Diagram    *diagram;
	bool		allowed;

	MemoryContextSwitchTo(look);
	diagram = directory_read(pnstrdup(key.id, key.len), snapshot);
	allowed = diagram != NULL &&
		directory_access(&answers->caller, diagram, needs, snapshot) >= needs;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(look);
	return allowed;
}

/*
 * The body of may_read(), may_write() and may_administer().
 */
static bool
is_allowed(FunctionCallInfo fcinfo, AccessLevel needs)
{
	text	   *diagram = PG_GETARG_TEXT_PP(0);
	AnswerKey	key = {VARDATA_ANY(diagram), VARSIZE_ANY_EXHDR(diagram)};
	Answers    *answers = kept_answers(fcinfo);
	Answer	   *last = answers->last;

	if (last == NULL || last->key.len != key.len ||
		memcmp(last->key.id, key.id, key.len) != 0)
	{
		bool		found;

		last = enter(answers, key, &found);
		answers->last = NULL;
		if (!found)
			last->allowed = look_up(answers, key, needs, GetActiveSnapshot());
		answers->last = last;
	}
	return last->allowed;
}

/*
 * diagsync.may_read(diagram), may_write(diagram), may_administer(diagram)
 *
 * Not by way of sqlfunction_call(): they are asked for each row.
 */
PG_FUNCTION_INFO_V1(diagsync_may_read);
Datum
diagsync_may_read(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_allowed(fcinfo, ACCESS_READER));
}

/* The same for changing and deleting rows. */
PG_FUNCTION_INFO_V1(diagsync_may_write);
Datum
diagsync_may_write(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_allowed(fcinfo, ACCESS_WRITER));
}

/* The same for its owner and admins. */
PG_FUNCTION_INFO_V1(diagsync_may_administer);
Datum
diagsync_may_administer(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_allowed(fcinfo, ACCESS_ADMIN));
}

/*
 * A diagram that a new row is for, looked up as it is committed: an error
 * where the caller may not write there.  The same command may have made it.
 */
static Datum
check_new_diagram(PG_FUNCTION_ARGS)
{
	Diagram    *diagram = directory_see(TextDatumGetCString(PG_GETARG_DATUM(0)),
										ACCESS_WRITER, GetLatestSnapshot());

	pfree(diagram);
	PG_RETURN_BOOL(true);
}

/*
 * diagsync.check_may_write(diagram, entity)
 *
 * The entity is noted for what may have to be said about it.
 */
PG_FUNCTION_INFO_V1(diagsync_check_may_write);
Datum
diagsync_check_may_write(PG_FUNCTION_ARGS)
{
	text	   *diagram;
	AnswerKey	key;
	Answers    *answers;
	Answer	   *last;
	bool		found;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(true);	/* the column's NOT NULL says what is wrong */
	if (request_is_http() && !PG_ARGISNULL(1))
		httperror_note_insert(TextDatumGetCString(PG_GETARG_DATUM(0)),
							  TextDatumGetCString(PG_GETARG_DATUM(1)));
	diagram = PG_GETARG_TEXT_PP(0);
	key.id = VARDATA_ANY(diagram);
	key.len = VARSIZE_ANY_EXHDR(diagram);
	answers = kept_answers(fcinfo);
	last = answers->last;
	if (last != NULL && last->key.len == key.len &&
		memcmp(last->key.id, key.id, key.len) == 0)
		PG_RETURN_BOOL(true);
	last = enter(answers, key, &found);
	if (!last->allowed)
		last->allowed = DatumGetBool(sqlfunction_call(fcinfo,
													  check_new_diagram));
	answers->last = last;
	PG_RETURN_BOOL(true);
}

/*
 * diagsync.row_access_support(internal): planner support of the functions
 * above
 *
 * A query is mostly about diagrams that its caller may see; without this the
 * planner would take two thirds of their rows for hidden.
 */
PG_FUNCTION_INFO_V1(diagsync_row_access_support);
Datum
diagsync_row_access_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (!IsA(request, SupportRequestSelectivity))
		PG_RETURN_POINTER(NULL);
	((SupportRequestSelectivity *) request)->selectivity = 1.0;
	PG_RETURN_POINTER(request);
}

/*
 * diagsync.may_see(id, storage_type, owner): a row of the directory
 */
PG_FUNCTION_INFO_V1(diagsync_may_see);
Datum
diagsync_may_see(PG_FUNCTION_ARGS)
{
	Answers    *answers = kept_answers(fcinfo);
	StorageType storage = STORAGE_PUBLIC;
	AccessLevel level;
	char	   *id;
	char	   *owner;

	if (answers->caller.unrestricted)
		PG_RETURN_BOOL(true);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2) ||
		(!PG_ARGISNULL(1) &&
		 !storage_parse(TextDatumGetCString(PG_GETARG_DATUM(1)), &storage)))
		PG_RETURN_BOOL(false);
	id = TextDatumGetCString(PG_GETARG_DATUM(0));
	owner = TextDatumGetCString(PG_GETARG_DATUM(2));
	level = access_level(&answers->caller, id, storage, owner, ACCESS_READER,
						 GetActiveSnapshot());
	PG_RETURN_BOOL(level >= ACCESS_READER);
}

/*
 * diagsync.access(diagram)
 */
DIAGSYNC_FUNCTION(diagsync_access)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										"diagram");
	Snapshot	snapshot = RegisterSnapshot(GetActiveSnapshot());
	Diagram    *diagram = directory_read(id, snapshot);
	AccessLevel level = ACCESS_NONE;

	if (diagram != NULL)
	{
		Caller		caller;

		access_identify(&caller);
		level = directory_access(&caller, diagram, ACCESS_OWNER, snapshot);
	}
	UnregisterSnapshot(snapshot);
	if (level == ACCESS_NONE)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(access_name(level)));
}
