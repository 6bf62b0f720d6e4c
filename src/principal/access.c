/*
 * access.c
 *	  Who may do what with a diagram: the rules, all in one place.
 *
 *	  local				its owner everything, others nothing
 *	  public, legacy	anybody reads and writes its entities; owner and members
 *						as below
 *	  private			its owner everything, a member what their role says, the
 *						bearer of an access token what the token's role says
 *
 * What takes which level, and where it is asked for.  (Of a local diagram its
 * owner has them all, and nobody else has any.)
 *
 *	  see it, select its rows		reader	functions/rls.c, sql/access.sql
 *	  status(), status_all()		reader	functions/status.c
 *	  changes(), conflicts()		reader	functions/changes.c
 *	  changes_since()				reader	functions/feed.c
 *	  owner(), merge_policy()		reader	functions/diagram.c
 *	  limits()						reader	functions/limits.c
 *	  share(), clone()				reader	functions/link.c
 *	  link(), unlink()				reader	functions/link.c
 *	  pull()						reader	sync/phases.c
 *	  resolve()						reader	sync/settle.c
 *	  resolve_all(), resolve_many()	reader	sync/settle.c
 *	  discard()						reader	functions/discard.c
 *	  refresh()						reader	functions/refresh.c
 *	  insert, update, delete rows	writer	functions/rls.c, sql/access.sql,
 *											and as committed capture/capture.c
 *	  put(), remove()				writer	functions/entity.c
 *	  push()						writer	sync/phases.c
 *	  name and describe it			admin	functions/rls.c, sql/access.sql
 *	  drop_diagram()				admin	functions/diagram.c
 *	  set_storage_type()			admin	functions/diagram.c
 *	  set_merge_policy()			admin	functions/diagram.c
 *	  set_limits()					admin	functions/limits.c
 *	  add_member()					admin	functions/member.c
 *	  remove_member()				admin	functions/member.c; oneself: reader
 *	  create_token()				admin	functions/member.c
 *	  revoke_token()				admin	functions/member.c
 *	  set_owner()					owner	functions/member.c
 *
 * Superusers, roles with BYPASSRLS and the tables' owner may do everything, as
 * with row-level security.  What a caller may not see is answered as not
 * existing.
 *
 * The functions check on behalf of their caller before they lock anything (a
 * wait would tell that there is something to wait for) and again when they
 * have locked.  The row-level policies (rls.c) ask the same questions.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "principal/access.h"
#include "principal/principal.h"
#include "server/claims.h"
#include "server/request.h"
#include "server/settings.h"

static const char *const access_names[] = {
	[ACCESS_NONE] = "none",
	[ACCESS_READER] = "reader",
	[ACCESS_WRITER] = "writer",
	[ACCESS_ADMIN] = "admin",
	[ACCESS_OWNER] = "owner",
};

/*
 * Name of a level.
 */
const char *
access_name(AccessLevel level)
{
	return access_names[level];
}

/*
 * The level of that role of a member or token; false if there is no such role.
 */
bool
access_parse(const char *name, AccessLevel *level)
{
	for (int i = ACCESS_READER; i <= ACCESS_ADMIN; i++)
	{
		if (strcmp(name, access_names[i]) == 0)
		{
			*level = (AccessLevel) i;
			return true;
		}
	}
	return false;
}

/*
 * Do the rules not apply to this role?  The same roles as for row-level
 * security.
 */
bool
access_is_unrestricted(Oid role)
{
	return has_bypassrls_privilege(role) ||
		has_privs_of_role(role, storage_owner());
}

/*
 * Who is asking: the role in force, which is the tables' owner while diagsync
 * works as such, and the principal.
 */
void
access_identify(Caller *caller)
{
	memset(caller, 0, sizeof(Caller));
	caller->context = CurrentMemoryContext;
	caller->unrestricted = access_is_unrestricted(GetUserId());
	if (!caller->unrestricted)
		caller->principal = principal_current();
	else
		(void) claims_sub();	/* that they are not believed is for all to
								 * know */
}

/*
 * The role noted in a row of member or access_token.
 */
static AccessLevel
noted_level(TupleTableSlot *slot, int attno)
{
	AccessLevel level = ACCESS_NONE;
	bool		isnull;

	(void) access_parse(TextDatumGetCString(slot_getattr(slot, attno,
														 &isnull)),
						&level);
	return level;
}

static AccessLevel
member_level(const Caller *caller, Datum diagram, Snapshot snapshot)
{
	AccessLevel level = ACCESS_NONE;
	Probe		probe;

	probe_open(&probe, STORAGE_LOCAL, TABLE_MEMBER, AccessShareLock);
	probe_begin(&probe, snapshot);
	if (probe_find(&probe, diagram, CStringGetTextDatum(caller->principal)))
		level = noted_level(probe.slot, Anum_member_role);
	probe_close(&probe);
	return level;
}

/*
 * SHA-256 of a token's secret.
 */
void
access_hash_secret(const char *secret, uint8 *hash)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);

	StaticAssertStmt(TOKEN_HASH_BYTES == PG_SHA256_DIGEST_LENGTH,
					 "tokens are hashed with SHA-256");
	if (pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) secret,
							 strlen(secret)) < 0 ||
		pg_cryptohash_final(context, hash, TOKEN_HASH_BYTES) < 0)
		elog(ERROR, "could not compute a SHA-256 hash: %s",
			 pg_cryptohash_error(context));
	pg_cryptohash_free(context);
}

/*
 * Equal?  Takes as long wherever they differ.
 */
static bool
hashes_equal(const uint8 *a, const uint8 *b)
{
	volatile uint8 difference = 0;

	for (int i = 0; i < TOKEN_HASH_BYTES; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

/*
 * Take the token that the caller presents apart.  One that is no token is
 * none.
 */
static void
read_token(Caller *caller)
{
	MemoryContext before = MemoryContextSwitchTo(caller->context);
	char	   *token = settings_token != NULL && settings_token[0] != '\0' ?
		pstrdup(settings_token) : request_header("x-diagsync-token");
	char	   *dot = token ? strchr(token, '.') : NULL;

	MemoryContextSwitchTo(before);
	caller->token_read = true;
	if (dot == NULL)
		return;
	*dot = '\0';
	caller->token_id = token;
	caller->token_secret = dot + 1;
}

/*
 * What a presented token is good for.  The id only finds the row; that the
 * secret is right shows by its hash.
 */
static AccessLevel
token_level(Caller *caller, Datum diagram, Snapshot snapshot)
{
	AccessLevel level = ACCESS_NONE;
	Probe		probe;

	if (!caller->token_read)
		read_token(caller);
	if (caller->token_id == NULL)
		return ACCESS_NONE;

	probe_open(&probe, STORAGE_LOCAL, TABLE_ACCESS_TOKEN, AccessShareLock);
	probe_begin(&probe, snapshot);
	if (probe_find(&probe, CStringGetTextDatum(caller->token_id), (Datum) 0))
	{
		uint8		hash[TOKEN_HASH_BYTES];
		bool		isnull;
		bool		no_end;
		text	   *of = DatumGetTextPP(slot_getattr(probe.slot,
													 Anum_access_token_diagram_id,
													 &isnull));
		text	   *wanted = DatumGetTextPP(diagram);
		bytea	   *stored = DatumGetByteaPP(slot_getattr(probe.slot,
														  Anum_access_token_secret_hash,
														  &isnull));
		Datum		expires_at = slot_getattr(probe.slot,
											  Anum_access_token_expires_at,
											  &no_end);

		access_hash_secret(caller->token_secret, hash);
		if (VARSIZE_ANY_EXHDR(stored) == TOKEN_HASH_BYTES &&
			hashes_equal(hash, (const uint8 *) VARDATA_ANY(stored)) &&
			(no_end || DatumGetTimestampTz(expires_at) >
			 GetCurrentStatementStartTimestamp()) &&
			VARSIZE_ANY_EXHDR(of) == VARSIZE_ANY_EXHDR(wanted) &&
			memcmp(VARDATA_ANY(of), VARDATA_ANY(wanted),
				   VARSIZE_ANY_EXHDR(of)) == 0)
			level = noted_level(probe.slot, Anum_access_token_role);
	}
	probe_close(&probe);
	return level;
}

/*
 * What a caller may do with a diagram, given its storage type (public for a
 * legacy one) and owner; a level that is enough is not looked beyond.  Members
 * and tokens are read under the snapshot, which is registered or active; no
 * locks but those of the tables are taken.
 */
AccessLevel
access_level(Caller *caller, const char *diagram, StorageType storage,
			 const char *owner, AccessLevel enough, Snapshot snapshot)
{
	AccessLevel level = storage == STORAGE_PUBLIC ? ACCESS_WRITER : ACCESS_NONE;
	AccessLevel noted;
	Datum		key;

	if (caller->unrestricted || strcmp(owner, caller->principal) == 0)
		return ACCESS_OWNER;
	if (storage == STORAGE_LOCAL || level >= enough)
		return level;

	key = CStringGetTextDatum(diagram);
	noted = member_level(caller, key, snapshot);
	level = Max(level, noted);
	if (level < enough && level < ACCESS_ADMIN)
	{
		noted = token_level(caller, key, snapshot);
		level = Max(level, noted);
	}
	return level;
}

/*
 * Fail because a caller may see a diagram, but not do with it what they want:
 * 42501.
 */
void
access_refuse(const char *diagram, AccessLevel has, AccessLevel needs)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for diagram \"%s\"", diagram),
			 errdetail("\"%s\" has %s access, and this takes %s access.",
					   principal_current(), access_name(has),
					   access_name(needs)),
			 needs == ACCESS_OWNER ?
			 errhint("Its owner can give it away with diagsync.set_owner().") :
			 errhint("Its owner and admins can give access with diagsync.add_member().")));
}
