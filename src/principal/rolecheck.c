/*
 * rolecheck.c
 *	  Is a role the one that came to own diagrams, or to be a member, under its
 *	  name?
 *
 * Principals are names.  When a role is dropped and somebody else gets the
 * name, they must not get the diagrams with it.  So diagsync.known_role notes
 * which role a name meant, by its oid, when it was first given something
 * (rolenote.c); another role of that name is refused as long as something is
 * left that belonged to the first.
 *
 * An oid means nothing on another cluster.  There the note counts as none: a
 * restored database takes the names as they are, like everything that a dump
 * carries, and notes them anew.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "principal/rolecheck.h"
#include "server/compat.h"
#include "table/storage.h"

/*
 * What is noted of the role that a principal names, as a snapshot shows it,
 * which is active or registered.  Locks nothing but the table.
 */
RoleNoted
rolecheck_look(const char *principal, Oid role, Snapshot snapshot)
{
	RoleNoted	noted = ROLE_NOT_NOTED;
	Probe		probe;

	probe_open(&probe, STORAGE_LOCAL, TABLE_KNOWN_ROLE, AccessShareLock);
	probe_begin(&probe, snapshot);
	if (probe_find(&probe, CStringGetTextDatum(principal), (Datum) 0))
	{
		bool		isnull;
		int64		oid = DatumGetInt64(slot_getattr(probe.slot,
													 Anum_known_role_role_oid,
													 &isnull));
		int64		cluster = DatumGetInt64(slot_getattr(probe.slot,
														 Anum_known_role_cluster,
														 &isnull));

		if (cluster == (int64) GetSystemIdentifier())
			noted = oid == (int64) role ? ROLE_NOTED : ROLE_OTHER_NOTED;
	}
	probe_close(&probe);
	return noted;
}

/* Has a table a row with that text in that column? */
static bool
has_row(StorageTable table, int attno, const char *wanted, Snapshot snapshot)
{
	Relation	rel = storage_open(STORAGE_LOCAL, table, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = compat_table_beginscan(rel, snapshot);
	size_t		length = strlen(wanted);
	bool		found = false;

	while (!found && table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		Datum		value = slot_getattr(slot, attno, &isnull);
		text	   *plain = DatumGetTextPP(value);	/* never null */

		CHECK_FOR_INTERRUPTS();
		found = VARSIZE_ANY_EXHDR(plain) == length &&
			memcmp(VARDATA_ANY(plain), wanted, length) == 0;
		if ((Pointer) plain != DatumGetPointer(value))
			pfree(plain);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Does anything belong to a principal: a diagram, or a membership?  Reads both
 * tables, so it is for the case that the name means another role.
 */
bool
rolecheck_has_left(const char *principal, Snapshot snapshot)
{
	return has_row(TABLE_DIRECTORY, Anum_directory_owner, principal,
				   snapshot) ||
		has_row(TABLE_MEMBER, Anum_member_principal, principal, snapshot);
}

/*
 * Fail because a name means another role than it did: 42501.
 */
void
rolecheck_refuse(const char *principal)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("\"%s\" is another role than the one that has diagrams under this name",
					principal),
			 errdetail("The role was dropped or renamed, and the name given to another."),
			 errhint("If it stands for the same person, confirm it with diagsync.confirm_role(). If not, give the diagrams away with diagsync.set_owner(), and end the memberships with diagsync.remove_member().")));
}

/*
 * Let a role in as the principal of its name, or fail (42501) where that
 * belongs to another.  Superusers and the like are let in: they may do
 * everything anyway.  Remembers whom it let in last, since an INSERT asks for
 * each row; a session's role cannot become another by the same oid.
 */
void
rolecheck_admit(const char *principal, Oid role)
{
	static Oid	admitted = InvalidOid;
	static char admitted_as[NAMEDATALEN + 5];
	Snapshot	snapshot;

	if (role == admitted && strcmp(principal, admitted_as) == 0)
		return;
	snapshot = RegisterSnapshot(ActiveSnapshotSet() ? GetActiveSnapshot() :
								GetLatestSnapshot());
	if (rolecheck_look(principal, role, snapshot) == ROLE_OTHER_NOTED &&
		!has_bypassrls_privilege(role) &&
		!has_privs_of_role(role, storage_owner()) &&
		rolecheck_has_left(principal, snapshot))
		rolecheck_refuse(principal);
	UnregisterSnapshot(snapshot);
	admitted = role;
	strlcpy(admitted_as, principal, sizeof(admitted_as));
}
