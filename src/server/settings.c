/*
 * settings.c
 *	  Settings (GUCs) of the extension.
 *
 * Those that guard the server against its users are set by superusers alone
 * (or by whom they grant SET on the parameter), for a role, a database or all.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "server/settings.h"
#include "server/textarg.h"

int			settings_batch_size = 1000;
char	   *settings_trusted_authenticators = NULL;
char	   *settings_token = NULL;
int			settings_sync_rate_limit = 120;
int			settings_sync_log_days = 90;
int			settings_max_depth = 200;
int			settings_max_entity_size = 0;
int			settings_max_entities = 0;
int			settings_max_put_entities = 0;
double		settings_max_deleted_fraction = 0.5;
int			settings_max_diagram_size = 0;
int			settings_max_owner_size = 0;
int			settings_max_diagrams = 0;
int			settings_create_rate_limit = 0;
int			settings_anonymous_timeout = 0;

static bool
check_role_names(char **newval, void **extra, GucSource source)
{
	char	   *names;
	List	   *list;
	bool		valid;

	if (strlen(*newval) > MAX_ROLE_LIST_BYTES)
	{
		GUC_check_errdetail("The list has more than %d bytes.",
							MAX_ROLE_LIST_BYTES);
		return false;
	}
	names = pstrdup(*newval);
	valid = SplitIdentifierString(names, ',', &list);
	if (!valid)
		GUC_check_errdetail("List syntax is invalid.");
	list_free(list);
	pfree(names);
	return valid;
}

static bool
check_token(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || strlen(*newval) <= MAX_TOKEN_BYTES)
		return true;
	GUC_check_errdetail("It has more than %d bytes.", MAX_TOKEN_BYTES);
	return false;
}

static void
define_settings(void)
{
	DefineCustomIntVariable("diagsync.batch_size",
							"Entities that a sync locks and writes at once.",
							"Larger batches take more memory and fewer statements.",
							&settings_batch_size,
							1000, 1, 100000,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("diagsync.trusted_authenticators",
							   "Login roles whose sessions may say with request.jwt.claims who is asking.",
							   "A list of role names. In their sessions the claim \"sub\" is the principal; in all others it is an error.",
							   &settings_trusted_authenticators,
							   "",
							   PGC_SUSET, GUC_LIST_INPUT, check_role_names,
							   NULL, NULL);
	DefineCustomStringVariable("diagsync.token",
							   "Access token that is presented with each call.",
							   "As diagsync.create_token() returned it. Where it is empty, the header x-diagsync-token of a PostgREST request counts.",
							   &settings_token,
							   "",
							   PGC_USERSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   check_token, NULL, NULL);
	DefineCustomIntVariable("diagsync.sync_rate_limit",
							"Syncs that a principal may call in a minute.",
							"Push, pull, share, clone, link, refresh and the three that resolve conflicts count. 0 is no limit; there is none for superusers and the tables' owner.",
							&settings_sync_rate_limit,
							120, 0, SETTINGS_MAX_RATE,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("diagsync.sync_log_days",
							"Days for which diagsync.prune() leaves entries of diagsync.sync_log.",
							"-1 keeps them forever.",
							&settings_sync_log_days,
							90, -1, 36500,
							PGC_SUSET, 0, NULL, NULL, NULL);
}

static void
define_limits(void)
{
	DefineCustomIntVariable("diagsync.max_depth",
							"On how many levels objects and arrays may be nested in an entity's document.",
							"It applies to everybody, when a document is written.",
							&settings_max_depth,
							200, 10, SETTINGS_MAX_DEPTH,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("diagsync.max_entity_size",
							"How large an entity's document may be, as text.",
							"0 is no limit; there is none for superusers and the tables' owner.",
							&settings_max_entity_size,
							0, 0, MaxAllocSize / 1024,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("diagsync.max_entities",
							"How many entities a diagram may have.",
							"0 is no limit; there is none for superusers and the tables' owner.",
							&settings_max_entities,
							0, 0, INT_MAX - 1,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("diagsync.max_put_entities",
							"How many entities one call of diagsync.put() may write, or one that resolves conflicts name.",
							"0 is no limit; there is none for superusers and the tables' owner.",
							&settings_max_put_entities,
							0, 0, INT_MAX,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("diagsync.max_deleted_fraction",
							 "Which part of a copy a push or pull may delete unasked.",
							 "Fewer than ten entities it may always. 1 is no limit.",
							 &settings_max_deleted_fraction,
							 0.5, 0.0, 1.0,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("diagsync.max_diagram_size",
							"How large the entities of a diagram may be together, as they are stored.",
							"Its owner may set less with diagsync.set_limits(). 0 is no limit; there is none for superusers and the tables' owner.",
							&settings_max_diagram_size,
							0, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("diagsync.max_owner_size",
							"How large all diagrams of an owner may be together, as they are stored.",
							"0 is no limit; there is none for superusers and the tables' owner.",
							&settings_max_owner_size,
							0, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("diagsync.max_diagrams",
							"How many diagrams an owner may have.",
							"0 is no limit; there is none for superusers and the tables' owner.",
							&settings_max_diagrams,
							0, 0, INT_MAX - 1,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("diagsync.create_rate_limit",
							"Diagrams that a principal may create in a minute.",
							"create_diagram, share and clone count. 0 is no limit; there is none for superusers and the tables' owner.",
							&settings_create_rate_limit,
							0, 0, SETTINGS_MAX_RATE,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("diagsync.anonymous_timeout",
							"How long a statement of a PostgREST request without a login may take.",
							"It takes the place of statement_timeout there. 0 leaves that as it is.",
							&settings_anonymous_timeout,
							0, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
}

/*
 * To be called once, when the library is loaded.
 */
void
settings_init(void)
{
	define_settings();
	define_limits();
	MarkGUCPrefixReserved("diagsync");
}
