/*
 * deferred.c
 *	  Deferred constraints of the tables, checked at once: those that an
 *	  application has added, and would otherwise be checked when a sync has
 *	  long said that all is well.
 *
 * That is SET CONSTRAINTS IMMEDIATE, and for those that are initially deferred
 * DEFERRED again.  So one that the transaction had made immediate itself is
 * deferred afterwards, if there was something to be checked; it is checked no
 * later than at the next sync or commit.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "principal/principal.h"
#include "statement/deferred.h"

/* A constraint that can be deferred */
typedef struct Deferrable
{
	Oid			relid;			/* the table of diagsync's that it is about */
	RangeVar   *name;
	bool		initially;		/* it is, unless the transaction says else */
} Deferrable;

static List *
add_constraint(List *constraints, Oid relid, const Trigger *trigger)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(trigger->tgconstraint));
	Form_pg_constraint constraint;
	Deferrable *deferrable;

	if (!HeapTupleIsValid(tuple))
		return constraints;
	constraint = (Form_pg_constraint) GETSTRUCT(tuple);
	deferrable = palloc(sizeof(Deferrable));
	deferrable->relid = relid;
	deferrable->name = makeRangeVar(get_namespace_name(constraint->connamespace),
									pstrdup(NameStr(constraint->conname)), -1);
	deferrable->initially = trigger->tginitdeferred;
	ReleaseSysCache(tuple);
	return lappend(constraints, deferrable);
}

/*
 * Add the constraints that can be deferred of a storage type's entities, base
 * rows and tombstones to a list.  The tables are locked already.
 */
List *
deferred_constraints(List *constraints, StorageType storage)
{
	StorageTable tables[] = {TABLE_ENTITY, storage == STORAGE_LOCAL ?
	TABLE_BASE : TABLE_TOMBSTONE};

	for (size_t i = 0; i < lengthof(tables); i++)
	{
		Relation	rel = storage_open(storage, tables[i], AccessShareLock);

		for (int t = 0; rel->trigdesc != NULL && t < rel->trigdesc->numtriggers; t++)
		{
			const Trigger *trigger = &rel->trigdesc->triggers[t];

			if (trigger->tgdeferrable && OidIsValid(trigger->tgconstraint) &&
				trigger->tgenabled != TRIGGER_DISABLED)
				constraints = add_constraint(constraints,
											 RelationGetRelid(rel), trigger);
		}
		table_close(rel, NoLock);
	}
	return constraints;
}

/* Is there anything to be checked? */
static bool
is_pending(List *constraints)
{
	ListCell   *lc;

	foreach(lc, constraints)
	{
		if (AfterTriggerPendingOnRel(((Deferrable *) lfirst(lc))->relid))
			return true;
	}
	return false;
}

static void
set_constraints(List *constraints, bool deferred)
{
	ConstraintsSetStmt *statement = makeNode(ConstraintsSetStmt);
	ListCell   *lc;

	foreach(lc, constraints)
	{
		Deferrable *deferrable = lfirst(lc);

		if (!deferred || deferrable->initially)
			statement->constraints = lappend(statement->constraints,
											 deferrable->name);
	}
	statement->deferred = deferred;
	if (statement->constraints != NIL)
		AfterTriggerSetState(statement);
}

/*
 * Check what was written so far against these constraints; their errors are
 * raised here.  What they call runs as the tables' owner, as other triggers
 * that a sync fires do.
 */
void
deferred_check(List *constraints)
{
	Oid			save_userid;
	int			save_sec_context;
	char	   *principal;
	char	   *save_principal;
	Oid			save_role;
	int			nestlevel;

	if (!is_pending(constraints))
		return;
	principal = principal_current();
	nestlevel = NewGUCNestLevel();

	/* On errors the transaction machinery restores these. */
	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(storage_owner(),
						   save_sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	save_principal = principal_note(principal, save_userid, &save_role);
	PG_TRY();
	{
		set_constraints(constraints, false);
		set_constraints(constraints, true);
	}
	PG_FINALLY();
	{
		(void) principal_note(save_principal, save_role, NULL);
	}
	PG_END_TRY();
	AtEOXact_GUC(true, nestlevel);
	SetUserIdAndSecContext(save_userid, save_sec_context);
	pfree(principal);
}
