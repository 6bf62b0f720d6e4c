/*
 * rolenote.c
 *	  Which role a principal's name means is noted when it is given something;
 *	  confirm_role() notes it anew.  rolecheck.c says what for.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "access/xlog.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "directory/rolenote.h"
#include "principal/rolecheck.h"
#include "server/sqlfunction.h"
#include "server/textarg.h"
#include "statement/ownersql.h"

static OwnerSql note =
OWNER_SQL("INSERT INTO diagsync.known_role AS k (principal, role_oid, cluster)"
		  " VALUES ($1, $2, $3)"
		  " ON CONFLICT (principal) DO UPDATE"
		  " SET role_oid = excluded.role_oid, cluster = excluded.cluster",
		  3, TEXTOID, INT8OID, INT8OID);

/* Names that nothing has been noted of on this cluster */
static OwnerSql note_all =
OWNER_SQL_WHOLE("INSERT INTO diagsync.known_role AS k (principal, role_oid, cluster)"
				" SELECT p.principal, r.oid::pg_catalog.int8, $1"
				"  FROM (SELECT d.owner FROM diagsync.directory AS d"
				"   UNION SELECT m.principal FROM diagsync.member AS m) AS p(principal)"
				"  JOIN pg_catalog.pg_roles AS r"
				"   ON p.principal" EQ "pg_catalog.concat('role:', r.rolname)"
				" ON CONFLICT (principal) DO UPDATE"
				" SET role_oid = excluded.role_oid, cluster = excluded.cluster"
				" WHERE k.cluster" NE "excluded.cluster",
				1, INT8OID);

/* Notes of roles that are gone, and of whose names nothing is left */
static OwnerSql forget_unused =
OWNER_SQL_WHOLE("DELETE FROM diagsync.known_role AS k"
				" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r"
				"   WHERE r.oid::pg_catalog.int8" EQ "k.role_oid"
				"    AND pg_catalog.concat('role:', r.rolname)" EQ "k.principal)"
				"  AND NOT EXISTS (SELECT FROM diagsync.directory AS d"
				"   WHERE d.owner" EQ "k.principal)"
				"  AND NOT EXISTS (SELECT FROM diagsync.member AS m"
				"   WHERE m.principal" EQ "k.principal)",
				0, InvalidOid);

static void
write_note(const char *principal, Oid role)
{
	Datum		values[3];

	values[0] = CStringGetTextDatum(principal);
	values[1] = Int64GetDatum((int64) role);
	values[2] = Int64GetDatum((int64) GetSystemIdentifier());
	(void) ownersql_run(&note, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
}

/*
 * What is noted of a role now, as it is committed; "left": what is not its own
 */
static RoleNoted
look(const char *principal, Oid role, bool *left)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	RoleNoted	noted = rolecheck_look(principal, role, snapshot);

	*left = noted != ROLE_NOTED && rolecheck_has_left(principal, snapshot);
	UnregisterSnapshot(snapshot);
	return noted;
}

/*
 * A principal is about to be given a diagram, or a membership in it: note
 * which role it names.  42704 where there is no such role, 42501 where the
 * name belongs to another.  The caller is connected to SPI.
 */
void
rolenote_principal(const char *principal, const char *diagram)
{
	Oid			role;
	bool		left;
	RoleNoted	noted;

	if (strncmp(principal, "role:", 5) != 0)
		return;
	role = get_role_oid(principal + 5, true);
	if (!OidIsValid(role))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" for diagram \"%s\" does not exist",
						principal + 5, diagram),
				 errhint("A principal is role:NAME for a role of the database, or sub:VALUE for the claim \"sub\" of a token.")));
	noted = look(principal, role, &left);
	if (noted == ROLE_OTHER_NOTED && left && !has_bypassrls_privilege(role) &&
		!has_privs_of_role(role, storage_owner()))
		rolecheck_refuse(principal);
	if (noted != ROLE_NOTED)
		write_note(principal, role);
}

/*
 * A role is about to be granted the use of diagsync: 42501 where its name
 * belongs to another, and a notice where diagrams wait for it of which that is
 * not known.  It is noted now, since whoever notes a role that has not been
 * waits for others who do.  The caller is connected to SPI.
 */
void
rolenote_grant(const char *name, Oid role)
{
	char	   *principal = psprintf("role:%s", name);
	bool		left;
	RoleNoted	noted = look(principal, role, &left);

	if (noted == ROLE_OTHER_NOTED && left)
		rolecheck_refuse(principal);
	if (noted == ROLE_NOT_NOTED && left)
		ereport(NOTICE,
				(errmsg("role \"%s\" has diagrams or memberships already", name),
				 errdetail("They belong to its name; which role that was when they were made is not known on this cluster."),
				 errhint("If it stands for somebody else, give them away with diagsync.set_owner() and diagsync.remove_member().")));
	if (noted != ROLE_NOTED)
		write_note(principal, role);
}

/*
 * Note the roles of all names that own something and of which nothing is noted
 * on this cluster, as after a restore, and forget those that are gone and own
 * nothing.  The caller is connected to SPI.
 */
void
rolenote_all(void)
{
	Datum		values[1] = {Int64GetDatum((int64) GetSystemIdentifier())};

	(void) ownersql_run(&forget_unused, STORAGE_LOCAL, NULL, NULL,
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
	(void) ownersql_run(&note_all, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
}

/*
 * diagsync.confirm_role(role)
 *
 * For the extension's owner and superusers.
 */
DIAGSYNC_FUNCTION(diagsync_confirm_role)
{
	char	   *name;
	Oid			role;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "role")));
	name = textarg_get(PG_GETARG_DATUM(0), "role", NULL, MAX_WORD);
	role = get_role_oid(name, false);
	PreventCommandIfReadOnly("diagsync.confirm_role()");
	if (!has_privs_of_role(GetUserId(), storage_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to confirm roles"),
				 errhint("Superusers and the role that owns the extension may.")));
	SPI_connect();
	write_note(psprintf("role:%s", name), role);
	SPI_finish();
	PG_RETURN_VOID();
}
