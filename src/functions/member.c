/*
 * member.c
 *	  Who else may use a diagram: add_member(), remove_member(), set_owner();
 *	  create_token(), revoke_token().
 *
 * A change takes effect with its commit, for whatever is done afterwards; what
 * a member has written and not yet committed still can be committed: nobody is
 * to keep an administrator waiting by holding a transaction open.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/base64.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "directory/directory.h"
#include "directory/rolenote.h"
#include "principal/principal.h"
#include "server/sqlfunction.h"
#include "server/textarg.h"
#include "statement/ownersql.h"

/*
 * A token: an id of so many random bytes in hex, a dot, a secret in base64url
 */
#define TOKEN_ID_BYTES 8
#define TOKEN_SECRET_BYTES 32

static OwnerSql add_member =
OWNER_SQL("INSERT INTO diagsync.member AS m (diagram_id, principal, role, added_by)"
		  " VALUES ($1, $2, $3, $4)"
		  " ON CONFLICT (diagram_id, principal) DO UPDATE"
		  " SET role = excluded.role, added_at = excluded.added_at, added_by = excluded.added_by",
		  4, TEXTOID, TEXTOID, TEXTOID, TEXTOID);

static OwnerSql remove_member =
OWNER_SQL("DELETE FROM diagsync.member WHERE diagram_id" EQ "$1 AND principal" EQ "$2",
		  2, TEXTOID, TEXTOID);

static OwnerSql set_owner =
OWNER_SQL("UPDATE diagsync.directory SET owner = $2 WHERE id" EQ "$1",
		  2, TEXTOID, TEXTOID);

static OwnerSql add_token =
OWNER_SQL("INSERT INTO diagsync.access_token"
		  " (id, diagram_id, secret_hash, role, label, created_by, expires_at)"
		  " VALUES ($1, $2, $3, $4, $5, $6, $7)",
		  7, TEXTOID, TEXTOID, BYTEAOID, TEXTOID, TEXTOID, TEXTOID,
		  TIMESTAMPTZOID);

static OwnerSql diagram_of_token =
OWNER_SQL("SELECT diagram_id FROM diagsync.access_token WHERE id" EQ "$1",
		  1, TEXTOID);

static OwnerSql delete_token =
OWNER_SQL("DELETE FROM diagsync.access_token WHERE id" EQ "$1",
		  1, TEXTOID);

/*
 * An argument about a diagram, as a string; an error if it is null or longer.
 */
static char *
text_arg(FunctionCallInfo fcinfo, int n, const char *arg, const char *diagram,
		 int max)
{
	directory_refuse_null(PG_ARGISNULL(n), arg, diagram);
	return textarg_get(PG_GETARG_DATUM(n), arg, diagram, max);
}

static void
check_role(const char *role, const char *diagram)
{
	AccessLevel level;

	if (!access_parse(role, &level))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown role \"%s\" for diagram \"%s\"", role, diagram),
				 errhint("It is reader, writer or admin.")));
}

/*
 * The shared diagram whose members or tokens the caller changes, locked FOR NO
 * KEY UPDATE: one change at a time, so that nobody gives themselves again what
 * is just being taken from them; writers and syncs are not in the way.
 */
static Diagram *
lock_shared(const char *function, const char *id, AccessLevel needs)
{
	Diagram    *diagram;

	PreventCommandIfReadOnly(psprintf("diagsync.%s()", function));
	diagram = directory_lock_seen(id, needs, LockTupleNoKeyExclusive,
								  LOCK_LATEST);
	if (diagram->storage == STORAGE_LOCAL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("diagram \"%s\" is local, so it is its owner's alone", id),
				 errhint("Share it as a private diagram with diagsync.share(), and give access to that.")));
	return diagram;
}

/*
 * diagsync.add_member(diagram, principal, role)
 *
 * For the owner and admins; a member gets a new role.
 */
DIAGSYNC_FUNCTION(diagsync_add_member)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										"diagram");
	char	   *principal = text_arg(fcinfo, 1, "principal", id, MAX_PRINCIPAL);
	char	   *role = text_arg(fcinfo, 2, "role", id, MAX_WORD);
	Datum		values[4];

	principal_check(principal, id);
	check_role(role, id);
	SPI_connect();
	values[0] = lock_shared("add_member", id, ACCESS_ADMIN)->key;
	rolenote_principal(principal, id);
	values[1] = CStringGetTextDatum(principal);
	values[2] = CStringGetTextDatum(role);
	values[3] = CStringGetTextDatum(principal_current());
	(void) ownersql_run(&add_member, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * diagsync.remove_member(diagram, principal)
 *
 * For the owner and admins; and a member may leave.
 */
DIAGSYNC_FUNCTION(diagsync_remove_member)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										"diagram");
	char	   *principal = text_arg(fcinfo, 1, "principal", id, MAX_PRINCIPAL);
	bool		leaves = strcmp(principal, principal_current()) == 0;
	Datum		values[2];

	SPI_connect();
	values[0] = lock_shared("remove_member", id,
							leaves ? ACCESS_READER : ACCESS_ADMIN)->key;
	values[1] = CStringGetTextDatum(principal);
	if (ownersql_run(&remove_member, STORAGE_LOCAL, values, NULL,
					 OWNER_SQL_EXEMPT | OWNER_SQL_FRESH) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("\"%s\" is not a member of diagram \"%s\"", principal, id)));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * diagsync.set_owner(diagram, principal)
 *
 * For the owner, of any diagram.  Locks the directory row FOR NO KEY UPDATE.
 */
DIAGSYNC_FUNCTION(diagsync_set_owner)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										"diagram");
	char	   *principal = text_arg(fcinfo, 1, "principal", id, MAX_PRINCIPAL);
	Datum		values[2];

	principal_check(principal, id);
	PreventCommandIfReadOnly("diagsync.set_owner()");
	SPI_connect();
	values[0] = directory_lock_seen(id, ACCESS_OWNER, LockTupleNoKeyExclusive,
									LOCK_LATEST)->key;
	rolenote_principal(principal, id);
	values[1] = CStringGetTextDatum(principal);
	(void) ownersql_run(&set_owner, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
	SPI_finish();
	PG_RETURN_VOID();
}

static void
random_bytes(uint8 *bytes, int n)
{
	if (!pg_strong_random(bytes, n))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
}

/* A new secret: base64url without padding, to be used in headers as it is. */
static char *
new_secret(void)
{
	uint8		bytes[TOKEN_SECRET_BYTES];
	int			size = pg_b64_enc_len(TOKEN_SECRET_BYTES);
	char	   *secret = palloc(size + 1);
	int			length;

	random_bytes(bytes, TOKEN_SECRET_BYTES);
	length = pg_b64_encode((const void *) bytes, TOKEN_SECRET_BYTES, secret,
						   size);
	if (length < 0)
		elog(ERROR, "could not encode a secret");
	while (length > 0 && secret[length - 1] == '=')
		length--;
	secret[length] = '\0';
	for (char *c = secret; *c != '\0'; c++)
	{
		if (*c == '+')
			*c = '-';
		else if (*c == '/')
			*c = '_';
	}
	return secret;
}

static char *
new_token_id(void)
{
	uint8		bytes[TOKEN_ID_BYTES];
	char	   *id = palloc(TOKEN_ID_BYTES * 2 + 1);

	random_bytes(bytes, TOKEN_ID_BYTES);
	(void) hex_encode((const char *) bytes, TOKEN_ID_BYTES, id);
	id[TOKEN_ID_BYTES * 2] = '\0';
	return id;
}

/*
 * diagsync.create_token(diagram, role, expires_in, label)
 *
 * For the owner and admins.  What it returns is stored nowhere.
 */
DIAGSYNC_FUNCTION(diagsync_create_token)
{
	char	   *diagram = directory_name_arg(PG_GETARG_DATUM(0),
											 PG_ARGISNULL(0),
											 "diagram");
	char	   *role = text_arg(fcinfo, 1, "role", diagram, MAX_WORD);
	char	   *label = PG_ARGISNULL(3) ? NULL :
		textarg_get(PG_GETARG_DATUM(3), "label", diagram, MAX_LABEL);
	TimestampTz now = GetCurrentTimestamp();
	Datum		expires_at = (Datum) 0;
	char	   *id;
	char	   *secret;
	bytea	   *hash = palloc0(VARHDRSZ + TOKEN_HASH_BYTES);
	Datum		values[7];
	char		nulls[7] = {' ', ' ', ' ', ' ', ' ', ' ', ' '};
	text	   *token;

	check_role(role, diagram);
	if (!PG_ARGISNULL(2))
	{
		expires_at = DirectFunctionCall2(timestamptz_pl_interval,
										 TimestampTzGetDatum(now),
										 PG_GETARG_DATUM(2));
		if (DatumGetTimestampTz(expires_at) <= now)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a token for diagram \"%s\" cannot expire at once or in the past",
							diagram),
					 errhint("Give a positive interval, or null for one that does not expire.")));
	}
	id = new_token_id();
	secret = new_secret();
	token = cstring_to_text(psprintf("%s.%s", id, secret));
	SET_VARSIZE(hash, VARHDRSZ + TOKEN_HASH_BYTES);
	access_hash_secret(secret, (uint8 *) VARDATA(hash));

	SPI_connect();
	values[0] = CStringGetTextDatum(id);
	values[1] = lock_shared("create_token", diagram, ACCESS_ADMIN)->key;
	values[2] = PointerGetDatum(hash);
	values[3] = CStringGetTextDatum(role);
	values[4] = label ? CStringGetTextDatum(label) : (Datum) 0;
	nulls[4] = label ? ' ' : 'n';
	values[5] = CStringGetTextDatum(principal_current());
	values[6] = expires_at;
	nulls[6] = PG_ARGISNULL(2) ? 'n' : ' ';
	(void) ownersql_run(&add_token, STORAGE_LOCAL, values, nulls,
						OWNER_SQL_EXEMPT);
	SPI_finish();
	PG_RETURN_TEXT_P(token);
}

/*
 * diagsync.revoke_token(id)
 *
 * For the owner and admins of its diagram; to others there is no such token.
 */
DIAGSYNC_FUNCTION(diagsync_revoke_token)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0), "id");
	char	   *dot = strchr(id, '.');
	Datum		values[1];
	List	   *diagrams;
	bool		found = false;

	/* Who has the whole token at hand need not take it apart. */
	if (dot != NULL)
		*dot = '\0';
	PreventCommandIfReadOnly("diagsync.revoke_token()");
	SPI_connect();
	values[0] = CStringGetTextDatum(id);
	diagrams = ownersql_list(&diagram_of_token, STORAGE_LOCAL, values,
							 GetLatestSnapshot());
	if (diagrams != NIL)
	{
		Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
		Diagram    *diagram = directory_read(linitial(diagrams), snapshot);
		Caller		caller;

		access_identify(&caller);
		found = diagram != NULL &&
			directory_access(&caller, diagram, ACCESS_ADMIN,
							 snapshot) >= ACCESS_ADMIN;
		UnregisterSnapshot(snapshot);
	}
	if (found)
		(void) lock_shared("revoke_token", linitial(diagrams), ACCESS_ADMIN);
	if (!found || ownersql_run(&delete_token, STORAGE_LOCAL, values, NULL,
							   OWNER_SQL_EXEMPT | OWNER_SQL_FRESH) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("access token \"%s\" does not exist", id),
				 errhint("The id of a token is the part before the dot; diagsync.access_token lists those of the diagrams that you administer.")));
	SPI_finish();
	PG_RETURN_VOID();
}
