/*
 * httperror.c
 *	  What a PostgREST request tells of errors that are not diagsync's own:
 *	  those of its plain INSERT, UPDATE, DELETE and SELECT.
 *
 * PostgreSQL's messages name tables, columns, roles and settings, which are
 * nothing to a client.  So each error gets its HTTP status and words that a
 * client knows, right before it is sent; what it said before is left to the
 * server's log.  That place (emit_log_hook) is the only one that sees all of
 * them: those of parsing and of parameters come before any executor.
 *
 * A token whose role does not exist, or is none to be had, fails before it is
 * known that there is a request, and the message names the role: such a token
 * is not valid.
 *
 * EXPLAIN is refused, too: the planner's estimates rest on rows that the
 * caller may not see (PostgREST takes them for "Prefer: count=planned").
 */
#include "postgres.h"

#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "utils/elog.h"

#include "server/compat.h"
#include "server/httperror.h"
#include "server/request.h"
#include "server/sqlfunction.h"

typedef struct Wording
{
	int			category;		/* an SQLSTATE, or the class of some */
	const char *code;
	const char *message;
	const char *detail;
	const char *hint;
} Wording;

/* The first that fits counts. */
static const Wording wordings[] = {
	{ERRCODE_UNIQUE_VIOLATION, "PT409", "Conflict",
	"There is one with this id already.", "PUT writes over what is there."},
	{ERRCODE_NOT_NULL_VIOLATION, "PT400", "Bad Request",
	"A field is missing.", "An entity is {\"id\", \"doc\"}."},
	{ERRCODE_CHECK_VIOLATION, "PT400", "Bad Request",
	"A field has a value that it cannot have.", NULL},
	{ERRCODE_INSUFFICIENT_PRIVILEGE, "PT403", "Forbidden",
	"The caller may not do that.", NULL},
	{ERRCODE_CARDINALITY_VIOLATION, "PT400", "Bad Request",
	"The body has an entity twice.", NULL},
	{ERRCODE_UNDEFINED_COLUMN, "PT400", "Bad Request",
	"The query or the body names a field that there is not.", NULL},
	{ERRCODE_UNDEFINED_TABLE, "PT404", "Not Found", NULL, NULL},
	{ERRCODE_UNDEFINED_FUNCTION, "PT400", "Bad Request",
	"The query compares what cannot be compared.", NULL},
	{ERRCODE_READ_ONLY_SQL_TRANSACTION, "PT405", "Method Not Allowed",
	"This writes.", "Send it by POST."},
	{ERRCODE_STATEMENT_TOO_COMPLEX, "PT413", "Payload Too Large",
	"The JSON is nested too deeply.", NULL},
	{ERRCODE_PROGRAM_LIMIT_EXCEEDED, "PT413", "Payload Too Large",
	"A value is too large.", NULL},
	{ERRCODE_QUERY_CANCELED, "PT504", "Gateway Timeout",
	"The request took too long.", "Ask for less in one request."},
	{ERRCODE_T_R_DEADLOCK_DETECTED, "PT503", "Service Unavailable",
		"Another request was in the way; nothing was written.",
	"Send the request again."},
	{ERRCODE_LOCK_NOT_AVAILABLE, "PT503", "Service Unavailable",
		"Another request was in the way; nothing was written.",
	"Send the request again."},
	{ERRCODE_DATETIME_FIELD_OVERFLOW, "PT400", "Bad Request",
	"A time is out of range.", NULL},
	{ERRCODE_DATA_EXCEPTION, "PT400", "Bad Request", NULL, NULL},
	{ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION, "PT400", "Bad Request",
	"The query or the body cannot be understood.", NULL},
	{ERRCODE_INSUFFICIENT_RESOURCES, "PT503", "Service Unavailable", NULL,
	"Send the request again later."},
	{ERRCODE_OPERATOR_INTERVENTION, "PT503", "Service Unavailable", NULL,
	"Send the request again later."},
	{ERRCODE_INTERNAL_ERROR, "PT500", "Internal Server Error", NULL, NULL},
	{ERRCODE_SYSTEM_ERROR, "PT500", "Internal Server Error", NULL, NULL},
};

/* What a user may do, to somebody who has not said that they are one */
static const Wording login_needed = {
	ERRCODE_INSUFFICIENT_PRIVILEGE, "PT401", "Unauthorized",
	"This is only for users.",
	"Log in: send a token in the header Authorization: Bearer TOKEN"
};

static emit_log_hook_type previous_log = NULL;
static post_parse_analyze_hook_type previous_analyze = NULL;

/* The row that is being inserted, for an error about it: "" is none */
static char inserted[2000];

/*
 * Note the id of the row that is about to be inserted, to name it if there is
 * one already, or twice (PostgreSQL does not where row-level security applies).
 */
void
httperror_note_insert(const char *diagram, const char *entity)
{
	if (request_is_http())
		snprintf(inserted, sizeof(inserted),
				 "entity \"%s\" of diagram \"%s\"", entity, diagram);
}

/* The names of columns that clients know by others */
static const char *
field_name(const char *column)
{
	return strcmp(column, "diagram_id") == 0 ? "diagram" : column;
}

/*
 * What is wrong, as far as it is known.  Only what a client has sent itself is
 * told of.
 */
static char *
detail_of(const ErrorData *error, const Wording *wording)
{
	if (error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION && inserted[0] != '\0')
		return psprintf("%s exists already", inserted);
	if (error->sqlerrcode == ERRCODE_CARDINALITY_VIOLATION &&
		inserted[0] != '\0')
		return psprintf("%s is in the body twice", inserted);
	if (error->sqlerrcode == ERRCODE_NOT_NULL_VIOLATION &&
		error->column_name != NULL)
		return psprintf("field \"%s\" is missing or null",
						field_name(error->column_name));
	if (error->sqlerrcode == ERRCODE_CHECK_VIOLATION &&
		error->constraint_name != NULL)
	{
		if (strcmp(error->constraint_name, "entity_id_length") == 0)
			return pstrdup("field \"id\" must have 1 to 400 characters");
		if (strcmp(error->constraint_name, "entity_doc_is_object") == 0)
			return pstrdup("field \"doc\" must be an object");
		if (strcmp(error->constraint_name, "directory_name_length") == 0)
			return pstrdup("field \"name\" has more than 1000 characters");
		if (strcmp(error->constraint_name, "directory_description_length") == 0)
			return pstrdup("field \"description\" has more than 10000 characters");
	}
	/* A value that is none of its type: PostgreSQL repeats it, and its type. */
	if (wording->category == ERRCODE_DATA_EXCEPTION)
		return pstrdup(error->message);
	return wording->detail != NULL ? pstrdup(wording->detail) : NULL;
}

/*
 * A hint that names functions names their paths, one that names settings or
 * tables is for administrators: none.
 */
static char *
hint_for_clients(const char *hint)
{
	static const char prefix[] = "diagsync.";
	StringInfoData text;

	initStringInfo(&text);
	while (*hint != '\0')
	{
		if (strncmp(hint, prefix, strlen(prefix)) == 0)
		{
			const char *name = hint + strlen(prefix);
			int			length = strspn(name, "abcdefghijklmnopqrstuvwxyz_");

			if (name[length] != '(' || name[length + 1] != ')')
				return NULL;
			appendStringInfo(&text, "/rpc/%.*s", length, name);
			hint = name + length + 2;
		}
		else if (strncmp(hint, "diagsync_", 9) == 0)
			return NULL;
		else
			appendStringInfoChar(&text, *hint++);
	}
	return text.data;
}

/*
 * Why something was refused, as far as the caller is told: the text of the
 * error; in a request only what is diagsync's own, or what an application says
 * with RAISE EXCEPTION; of a constraint the name.  palloc'd.
 */
char *
httperror_reason(const ErrorData *error, bool own)
{
	bool		details = error->detail != NULL && error->constraint_name == NULL;

	if (request_is_http() && !own)
	{
		if (error->sqlerrcode == ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			return pstrdup("a value is too large");
		if (error->constraint_name != NULL)
			return psprintf("constraint \"%s\" refuses it",
							error->constraint_name);
		if (error->sqlerrcode != ERRCODE_RAISE_EXCEPTION)
			return pstrdup("a rule of the application refuses it");
		details = false;
	}
	return details ? psprintf("%s: %s", error->message, error->detail) :
		pstrdup(error->message);
}

/* Does this SQLSTATE say its HTTP status already? */
static bool
has_status(int sqlerrcode)
{
	const char *code = unpack_sql_state(sqlerrcode);

	return strncmp(code, "PT", 2) == 0 || strcmp(code, "PGRST") == 0;
}

static void
word(ErrorData *error)
{
	for (size_t i = 0; i < lengthof(wordings); i++)
	{
		const Wording *wording = &wordings[i];

		if (wording->category != error->sqlerrcode &&
			wording->category != ERRCODE_TO_CATEGORY(error->sqlerrcode))
			continue;
		if (wording->category == ERRCODE_INSUFFICIENT_PRIVILEGE &&
			!request_has_login())
			wording = &login_needed;
		error->detail_log = error->detail ?
			psprintf("%s: %s", error->message, error->detail) :
			pstrdup(error->message);
		error->detail = detail_of(error, wording);
		error->hint = wording->hint != NULL ? pstrdup(wording->hint) : NULL;
		error->message = pstrdup(wording->message);
		error->sqlerrcode = MAKE_SQLSTATE(wording->code[0],
										  wording->code[1],
										  wording->code[2],
										  wording->code[3],
										  wording->code[4]);
		return;
	}
}

/*
 * Is a request about to be told of?  PostgREST sets the role and what it tells
 * of the request in one statement, the role first.
 */
static bool
is_beginning(void)
{
	return debug_query_string != NULL && !request_is_http() &&
		strstr(debug_query_string, "set_config('role'") != NULL &&
		strstr(debug_query_string, "set_config('request.method'") != NULL;
}

/* The role of the token is none. */
static void
refuse_role(ErrorData *error)
{
	error->detail_log = pstrdup(error->message);
	error->sqlerrcode = MAKE_SQLSTATE('P', 'T', '4', '0', '1');
	error->message = pstrdup("Unauthorized");
	error->detail = pstrdup("The token is not one for this server.");
	error->hint = NULL;
}

static void
before_sending(ErrorData *error)
{
	if (error->elevel == ERROR && is_beginning())
		refuse_role(error);
	else if (error->elevel == ERROR && request_is_http())
	{
		if (!has_status(error->sqlerrcode))
			word(error);
		else if (error->hint != NULL)
			error->hint = hint_for_clients(error->hint);
		inserted[0] = '\0';
	}
	if (previous_log)
		previous_log(error);
}

static void
after_analysis(ParseState *state, Query *query, compat_jumble * jumble)
{
	if (query->commandType == CMD_UTILITY &&
		IsA(query->utilityStmt, ExplainStmt) && request_is_http())
		ereport(ERROR,
				(errcode(MAKE_SQLSTATE('P', 'T', '4', '0', '0')),
				 errmsg_internal("Bad Request"),
				 errdetail_internal("Estimates and plans are not given."),
				 errhint("Counts are exact: Prefer: count=exact")));
	if (previous_analyze)
		previous_analyze(state, query, jumble);
}

/*
 * To be called once, when the library is loaded.
 */
void
httperror_init(void)
{
	previous_log = emit_log_hook;
	emit_log_hook = before_sending;
	previous_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = after_analysis;
}
