/*
 * initialprivileges.c
 *	  What may be done with the objects of the extension when it has just been
 *	  made: set_initial_privileges(), the last statement of the install script.
 *
 * Nothing is for PUBLIC, and nothing for any role but the owner, who has all;
 * whatever ALTER DEFAULT PRIVILEGES gives or takes where the extension is
 * made.
 *
 * The catalog is written here, without GRANT and REVOKE.  Those note the
 * privileges of an extension's object in pg_init_privs, which before
 * PostgreSQL 17 goes on naming the first owner when REASSIGN OWNED has given
 * the object to another; dumps then name by its number a role that has been
 * dropped, and cannot be restored.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "server/sqlfunction.h"

/* A kind of object, and where the catalog has its owner and privileges */
typedef struct Kind
{
	Oid			catalog;
	int			cache;
	ObjectType	type;
	AttrNumber	owner;
	AttrNumber	acl;
	AclMode		of_public;		/* what PUBLIC has where nothing is noted */
} Kind;

static const Kind kinds[] = {
	{ProcedureRelationId, PROCOID, OBJECT_FUNCTION, Anum_pg_proc_proowner,
	Anum_pg_proc_proacl, ACL_EXECUTE},
	{TypeRelationId, TYPEOID, OBJECT_TYPE, Anum_pg_type_typowner,
	Anum_pg_type_typacl, ACL_USAGE},
	{RelationRelationId, RELOID, OBJECT_TABLE, Anum_pg_class_relowner,
	Anum_pg_class_relacl, ACL_NO_RIGHTS},
	{NamespaceRelationId, NAMESPACEOID, OBJECT_SCHEMA, Anum_pg_namespace_nspowner,
	Anum_pg_namespace_nspacl, ACL_NO_RIGHTS},
};

/*
 * The privileges that only an owner has; NULL where that is how objects begin
 */
static Acl *
owners_acl(const Kind *kind, Oid owner)
{
	AclItem		public;

	if (kind->of_public == ACL_NO_RIGHTS)
		return NULL;
	public.ai_grantee = ACL_ID_PUBLIC;
	public.ai_grantor = owner;
	ACLITEM_SET_PRIVS_GOPTIONS(public, kind->of_public, ACL_NO_RIGHTS);
	return aclupdate(acldefault(kind->type, owner), &public, ACL_MODECHG_DEL,
					 owner, DROP_RESTRICT);
}

/*
 * Leave an object to its owner alone.
 */
static void
set_privileges(const Kind *kind, Oid object)
{
	Relation	catalog = table_open(kind->catalog, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(kind->cache,
											ObjectIdGetDatum(object));
	int			column = kind->acl;
	bool		isnull;
	Oid			owner;
	Datum		old;
	Acl		   *new;
	Datum		value;
	Oid		   *old_roles;
	Oid		   *new_roles;
	int			n_old;
	int			n_new;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for object %u of catalog %u",
			 object, kind->catalog);
	owner = DatumGetObjectId(SysCacheGetAttr(kind->cache, tuple, kind->owner,
											 &isnull));
	old = SysCacheGetAttr(kind->cache, tuple, kind->acl, &isnull);
	n_old = aclmembers(isnull ? NULL : DatumGetAclPCopy(old), &old_roles);
	new = owners_acl(kind, owner);
	n_new = aclmembers(new, &new_roles);
	value = PointerGetDatum(new);
	isnull = new == NULL;
	tuple = heap_modify_tuple_by_cols(tuple, RelationGetDescr(catalog), 1,
									  &column, &value, &isnull);
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	updateAclDependencies(kind->catalog, object, 0, owner, n_old, old_roles,
						  n_new, new_roles);
	table_close(catalog, RowExclusiveLock);
}

/*
 * Has an object privileges of its own?  Row types have those of their tables,
 * arrays those of their elements.
 */
static bool
has_own_privileges(const Kind *kind, Oid object)
{
	return kind->catalog != TypeRelationId ||
		(get_typtype(object) == TYPTYPE_COMPOSITE &&
		 get_rel_relkind(get_typ_typrelid(object)) == RELKIND_COMPOSITE_TYPE);
}

/*
 * diagsync.set_initial_privileges()
 *
 * An error outside of the extension's own script.
 */
DIAGSYNC_FUNCTION(diagsync_set_initial_privileges)
{
	Relation	depend;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!creating_extension)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function \"diagsync.%s\" is for the script of the extension only",
						"set_initial_privileges"),
				 errhint("diagsync.grant_usage() and diagsync.revoke_usage() say what a role may do.")));

	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(ExtensionRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(CurrentExtensionObject));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2,
							  keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend member = (Form_pg_depend) GETSTRUCT(tuple);

		for (size_t i = 0; i < lengthof(kinds); i++)
		{
			if (member->deptype == DEPENDENCY_EXTENSION &&
				member->classid == kinds[i].catalog &&
				has_own_privileges(&kinds[i], member->objid))
				set_privileges(&kinds[i], member->objid);
		}
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	PG_RETURN_VOID();
}
