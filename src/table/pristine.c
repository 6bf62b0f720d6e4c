/*
 * pristine.c
 *	  Is a table still as the install script has made it?  What an application
 *	  has added or changed, only SQL attends to: triggers, rules, columns,
 *	  constraints, types.
 *
 * A trigger is diagsync's own if its function is a member of the extension and
 * no condition is evaluated before; a CHECK, if it says what the install
 * script says, whatever its name.  Indexes do not matter here: they are kept
 * in any case.
 *
 * What was found of a table is remembered until PostgreSQL says that it has
 * changed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/dependency.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "table/pristine.h"

typedef struct Column
{
	Oid			type;
	bool		not_null;
} Column;

typedef struct Check
{
	const char *name;
	const char *expression;		/* as PostgreSQL shows it */
} Check;

/* A table as the install script makes it */
typedef struct Table
{
	int			ncolumns;
	Column		columns[7];
	int			nchecks;
	Check		checks[3];
} Table;

static const Table tables[] = {
	[TABLE_ENTITY] = {
		6, {
			{TEXTOID, true}, {TEXTOID, true}, {JSONBOID, true},
			{INT8OID, true}, {TIMESTAMPTZOID, true}, {TEXTOID, true},
		},
		3, {
			{"entity_id_length", "((length(id) >= 1) AND (length(id) <= 400))"},
			{"entity_doc_is_object", "(jsonb_typeof(doc) = 'object'::text)"},
			{"entity_modified_at_finite", "isfinite(modified_at)"},
		},
	},
	[TABLE_BASE] = {
		7, {
			{TEXTOID, true}, {TEXTOID, true}, {JSONBOID, false},
			{TIMESTAMPTZOID, false}, {TEXTOID, false}, {TEXTARRAYOID, false},
			{BOOLOID, false},
		},
		0, {{0}},
	},
	[TABLE_TOMBSTONE] = {
		5, {
			{TEXTOID, true}, {TEXTOID, true}, {INT8OID, true},
			{TIMESTAMPTZOID, false}, {TEXTOID, false},
		},
		0, {{0}},
	},
};

/* What was found of a table */
typedef struct Finding
{
	Oid			relid;			/* of which; invalid: to be found again */
	bool		as_made;
	bool		as_given;		/* stores rows as they are given */
} Finding;

static Finding findings[STORAGE_TYPES][TABLE_TOMBSTONE + 1];
static bool registered = false;

/* PostgreSQL says that a table has changed, or any (InvalidOid). */
static void
forget(Datum arg, Oid relid)
{
	for (int s = 0; s < STORAGE_TYPES; s++)
	{
		for (int t = 0; t <= TABLE_TOMBSTONE; t++)
		{
			if (!OidIsValid(relid) || findings[s][t].relid == relid)
				findings[s][t].relid = InvalidOid;
		}
	}
}

static bool
has_its_columns(Relation rel, const Table *table)
{
	TupleDesc	tupdesc = RelationGetDescr(rel);

	if (tupdesc->natts != table->ncolumns)
		return false;
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(tupdesc, i);

		if (column->attisdropped || column->attgenerated != '\0' ||
			column->atttypid != table->columns[i].type ||
			column->atttypmod != -1 ||
			column->attnotnull != table->columns[i].not_null)
			return false;
	}
	return true;
}

static bool
is_its_check(Relation rel, const Table *table, const ConstrCheck *check)
{
	for (int i = 0; i < table->nchecks; i++)
	{
		Datum		expression;

		if (strcmp(check->ccname, table->checks[i].name) != 0)
			continue;
		expression = DirectFunctionCall2(pg_get_expr,
										 CStringGetTextDatum(check->ccbin),
										 ObjectIdGetDatum(RelationGetRelid(rel)));
		return strcmp(TextDatumGetCString(expression),
					  table->checks[i].expression) == 0;
	}
	return false;
}

static bool
has_its_checks(Relation rel, const Table *table)
{
	TupleConstr *constraints = RelationGetDescr(rel)->constr;
	bool		all;
	int			nestlevel;

	if (constraints == NULL || constraints->num_check != table->nchecks)
		return false;

	/* What names are shown with a schema depends on the path. */
	nestlevel = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	all = true;
	for (int i = 0; i < constraints->num_check && all; i++)
		all = is_its_check(rel, table, &constraints->check[i]);
	AtEOXact_GUC(true, nestlevel);
	return all;
}

/*
 * Look at the triggers: are there others than the extension's?  Those of
 * constraints store nothing else than was given.
 */
static void
look_at_triggers(Relation rel, Finding *finding)
{
	Oid			extension = get_extension_oid("diagsync", false);

	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgqual == NULL &&
			getExtensionOfObject(ProcedureRelationId,
								 trigger->tgfoid) == extension)
			continue;
		finding->as_made = false;
		if (!trigger->tgisinternal)
			finding->as_given = false;
	}
}

static Finding
find(Relation rel, StorageType storage, StorageTable table)
{
	Finding    *finding = &findings[storage][table];
	Finding		found = {RelationGetRelid(rel), true, true};

	if (finding->relid == found.relid)
		return *finding;
	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget, (Datum) 0);
		registered = true;
	}

	/* What is looked at next may tell that the table has changed. */
	finding->relid = found.relid;
	finding->as_made = finding->as_given = false;
	if (rel->rd_rules != NULL)
		found.as_made = found.as_given = false;
	look_at_triggers(rel, &found);
	if (found.as_made)
		found.as_made = has_its_columns(rel, &tables[table]) &&
			has_its_checks(rel, &tables[table]);
	if (finding->relid == found.relid)
		*finding = found;
	return found;
}

/*
 * Is an entity, base or tombstone table as the install script has made it, but
 * for its indexes?  The caller has locked it.
 */
bool
pristine_is(Relation rel, StorageType storage, StorageTable table)
{
	return find(rel, storage, table).as_made;
}

/*
 * Does it store rows as they are given, with no trigger or rule of an
 * application that may make something else of them?  The caller has locked it.
 */
bool
pristine_stores_as_given(Relation rel, StorageType storage, StorageTable table)
{
	return find(rel, storage, table).as_given;
}
