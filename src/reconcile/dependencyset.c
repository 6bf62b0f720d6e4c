/*
 * dependencyset.c
 *	  What makes changed entities depend on each other, sorted: first by the
 *	  entity that was deleted, which settles what the rule "newest" makes of
 *	  it, and then by the entity that is told of it.
 *
 * Both are tuplesorts, which spill to disk beyond work_mem.  Only the
 * components of what would dangle (component.c) are kept in memory, too, while
 * the set is made.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "reconcile/component.h"
#include "reconcile/ring.h"
#include "server/compat.h"

/* Columns of a row */
#define DEPENDENCY_ID 1
#define DEPENDENCY_AT 2			/* when the version that refers was edited */
#define DEPENDENCY_KIND 3
#define DEPENDENCY_OTHER 4
#define DEPENDENCY_NEW_ID 5
#define DEPENDENCY_DELETED_LOCALLY 6
#define DEPENDENCY_DELETED_AT 7
#define DEPENDENCY_STAYS_DELETED 8
#define DEPENDENCY_COLUMNS 8

struct DependencySet
{
	TupleDesc	tupdesc;
	TupleTableSlot *put;		/* a row on its way in */
	TupleTableSlot *row;		/* the row that was read last */
	Tuplesortstate *pairs;		/* by the deleted entity, the newest that
								 * refers to it first */
	Tuplesortstate *sort;		/* all, by entity */
	bool		more;
	Rings	   *rings;			/* or NULL */

	/* Until it is settled */
	MemoryContext making;		/* of what follows */
	MemoryContext row_context;
	Components *components;
	Tuplestorestate *inserts;	/* references to what one side inserted */
};

static void
put_dependency(DependencySet *set, Tuplesortstate *sort,
			   const Dependency *dependency)
{
	Datum	   *values = set->put->tts_values;
	bool	   *nulls = set->put->tts_isnull;

	ExecClearTuple(set->put);
	memset(nulls, 0, DEPENDENCY_COLUMNS * sizeof(bool));
	values[DEPENDENCY_ID - 1] = CStringGetTextDatum(dependency->id);
	values[DEPENDENCY_AT - 1] = TimestampTzGetDatum(dependency->at);
	values[DEPENDENCY_KIND - 1] = Int32GetDatum(dependency->kind);
	values[DEPENDENCY_OTHER - 1] = CStringGetTextDatum(dependency->other);
	values[DEPENDENCY_NEW_ID - 1] = CStringGetTextDatum(dependency->new_id ? dependency->new_id : "");
	values[DEPENDENCY_DELETED_LOCALLY - 1] = BoolGetDatum(dependency->deleted_locally);
	values[DEPENDENCY_DELETED_AT - 1] = TimestampTzGetDatum(dependency->deleted_at);
	values[DEPENDENCY_STAYS_DELETED - 1] = BoolGetDatum(dependency->stays_deleted);
	ExecStoreVirtualTuple(set->put);
	tuplesort_puttupleslot(sort, set->put);
}

static char *
row_string(DependencySet *set, int attno)
{
	bool		isnull;

	return TextDatumGetCString(slot_getattr(set->row, attno, &isnull));
}

static Datum
row_value(DependencySet *set, int attno)
{
	bool		isnull;

	return slot_getattr(set->row, attno, &isnull);
}

static TupleDesc
make_tupdesc(void)
{
	TupleDesc	tupdesc = CreateTemplateTupleDesc(DEPENDENCY_COLUMNS);

	TupleDescInitEntry(tupdesc, DEPENDENCY_ID, "id", TEXTOID, -1, 0);
	TupleDescInitEntry(tupdesc, DEPENDENCY_AT, "at", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(tupdesc, DEPENDENCY_KIND, "kind", INT4OID, -1, 0);
	TupleDescInitEntry(tupdesc, DEPENDENCY_OTHER, "other", TEXTOID, -1, 0);
	TupleDescInitEntry(tupdesc, DEPENDENCY_NEW_ID, "new_id", TEXTOID, -1, 0);
	TupleDescInitEntry(tupdesc, DEPENDENCY_DELETED_LOCALLY, "deleted_locally", BOOLOID, -1, 0);
	TupleDescInitEntry(tupdesc, DEPENDENCY_DELETED_AT, "deleted_at", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(tupdesc, DEPENDENCY_STAYS_DELETED, "stays_deleted", BOOLOID, -1, 0);
	compat_finish_tupdesc(tupdesc);
	return tupdesc;
}

/*
 * A new set, empty.
 */
DependencySet *
dependencyset_begin(void)
{
	Oid			later = lookup_type_cache(TIMESTAMPTZOID,
										  TYPECACHE_GT_OPR)->gt_opr;
	AttrNumber	by_deleted[] = {DEPENDENCY_ID, DEPENDENCY_AT,
	DEPENDENCY_OTHER};
	Oid			by_deleted_operators[] = {TextLessOperator, later,
	TextLessOperator};
	AttrNumber	by_entity[] = {DEPENDENCY_ID, DEPENDENCY_KIND,
	DEPENDENCY_OTHER};
	Oid			by_entity_operators[] = {TextLessOperator, Int4LessOperator,
	TextLessOperator};
	Oid			collations[] = {C_COLLATION_OID, InvalidOid, C_COLLATION_OID};
	bool		nulls_first[] = {false, false, false};
	DependencySet *set = palloc0(sizeof(DependencySet));

	set->tupdesc = make_tupdesc();
	set->put = MakeSingleTupleTableSlot(set->tupdesc, &TTSOpsVirtual);
	set->row = MakeSingleTupleTableSlot(set->tupdesc, &TTSOpsMinimalTuple);
	set->pairs = tuplesort_begin_heap(set->tupdesc, 3, by_deleted,
									  by_deleted_operators, collations,
									  nulls_first, work_mem, NULL,
									  TUPLESORT_NONE);
	set->sort = tuplesort_begin_heap(set->tupdesc, 3, by_entity,
									 by_entity_operators, collations,
									 nulls_first, work_mem, NULL,
									 TUPLESORT_RANDOMACCESS);
	set->inserts = tuplestore_begin_heap(false, false, work_mem);
	set->making = AllocSetContextCreate(CurrentMemoryContext,
										"diagsync dependencies in the making",
										ALLOCSET_DEFAULT_SIZES);
	set->components = components_begin(set->making);
	set->row_context = AllocSetContextCreate(set->making, "diagsync dependency",
											 ALLOCSET_SMALL_SIZES);
	return set;
}

/*
 * An entity that is in a ring may be left as it is, too, or have references
 * taken back.
 */
void
dependencyset_put_member(DependencySet *set, const char *id)
{
	components_add(set->components, id);
}

/*
 * Put in a dependency that is no pair.
 */
void
dependencyset_put(DependencySet *set, const Dependency *dependency)
{
	put_dependency(set, set->sort, dependency);
}

/*
 * Put in a pair: a deleted entity, and one that refers to it.
 */
void
dependencyset_put_pair(DependencySet *set, const Dependency *dependency,
					   PairKind kind)
{
	put_dependency(set, set->pairs, dependency);
	components_join(set->components, dependency, kind);
}

/*
 * Keep in mind that an entity ("other") refers to what only its side has:
 * should that insert be given up, the reference would dangle.  "locally": it
 * is the local copy that does not have it.
 */
void
dependencyset_put_insert(DependencySet *set, const char *id, const char *other,
						 bool locally)
{
	Datum		values[DEPENDENCY_COLUMNS] = {0};
	bool		nulls[DEPENDENCY_COLUMNS];
	MemoryContext caller = MemoryContextSwitchTo(set->row_context);

	memset(nulls, true, sizeof(nulls));
	nulls[DEPENDENCY_ID - 1] = nulls[DEPENDENCY_OTHER - 1] = false;
	nulls[DEPENDENCY_DELETED_LOCALLY - 1] = false;
	values[DEPENDENCY_ID - 1] = CStringGetTextDatum(id);
	values[DEPENDENCY_OTHER - 1] = CStringGetTextDatum(other);
	values[DEPENDENCY_DELETED_LOCALLY - 1] = BoolGetDatum(locally);
	tuplestore_putvalues(set->inserts, set->tupdesc, values, nulls);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(set->row_context);
}

/*
 * The ids of the entities that got into pairs for the first time since the
 * last call, NIL for none; they belong to the set.
 */
List *
dependencyset_next_round(DependencySet *set)
{
	return components_next_round(set->components);
}

/*
 * Make pairs of the inserts that got into pairs in the last round, and what
 * refers to them, but for those that are in a ring and kept.
 */
void
dependencyset_pair_inserts(DependencySet *set)
{
	MemoryContext caller = MemoryContextSwitchTo(set->row_context);

	tuplestore_rescan(set->inserts);
	while (tuplestore_gettupleslot(set->inserts, true, false, set->row))
	{
		char	   *id = row_string(set, DEPENDENCY_ID);

		CHECK_FOR_INTERRUPTS();
		if (components_were_added(set->components, id))
		{
			Dependency	dependency = {.kind = DEPENDENCY_REFERRED_TO,.id = id,
			.at = DT_NOBEGIN,.deleted_at = DT_NOBEGIN};

			dependency.other = row_string(set, DEPENDENCY_OTHER);
			dependency.deleted_locally =
				DatumGetBool(row_value(set, DEPENDENCY_DELETED_LOCALLY));
			if (set->rings == NULL ||
				!rings_keep(set->rings, id, dependency.other))
				dependencyset_put_pair(set, &dependency, PAIR_GIVEN_UP);
		}
		MemoryContextReset(set->row_context);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Tell each deleted entity that it is referred to, and each that refers to it.
 * A deletion that is newer than all of them stays, by the rule "newest"; of
 * equal times the shared copy's does.  All of a component is kept
 * or stays deleted together.
 */
static void
settle_pairs(DependencySet *set)
{
	const char *deleted = NULL;
	bool		stays_deleted = false;

	tuplesort_performsort(set->pairs);
	while (tuplesort_gettupleslot(set->pairs, true, false, set->row, NULL))
	{
		char	   *id = row_string(set, DEPENDENCY_ID);
		char	   *other = row_string(set, DEPENDENCY_OTHER);
		bool		locally = DatumGetBool(row_value(set,
													 DEPENDENCY_DELETED_LOCALLY));
		Dependency	dependency = {.deleted_locally = locally};

		CHECK_FOR_INTERRUPTS();
		if (deleted == NULL || strcmp(deleted, id) != 0)
		{
			TimestampTz newest = DatumGetTimestampTz(row_value(set,
															   DEPENDENCY_AT));
			TimestampTz at = DatumGetTimestampTz(row_value(set,
														   DEPENDENCY_DELETED_AT));

			deleted = components_id(set->components, id);
			stays_deleted = components_stay_deleted(set->components, id,
													locally, at, newest);
		}
		dependency.stays_deleted = stays_deleted;
		dependency.kind = DEPENDENCY_REFERRED_TO;
		dependency.id = id;
		dependency.other = other;
		put_dependency(set, set->sort, &dependency);
		dependency.kind = DEPENDENCY_TARGET;
		dependency.id = other;
		dependency.other = id;
		put_dependency(set, set->sort, &dependency);
		MemoryContextReset(set->row_context);
	}
	tuplesort_end(set->pairs);
	set->pairs = NULL;
}

/*
 * All is put in: settle the pairs, and begin with the first entity.
 */
void
dependencyset_settle(DependencySet *set)
{
	MemoryContext caller = MemoryContextSwitchTo(set->row_context);

	settle_pairs(set);
	MemoryContextSwitchTo(caller);
	tuplestore_end(set->inserts);
	set->inserts = NULL;
	MemoryContextDelete(set->making);
	set->components = NULL;
	tuplesort_performsort(set->sort);
	set->more = tuplesort_gettupleslot(set->sort, true, false, set->row, NULL);
}

static void
add_dependency(DependencySet *set, Dependencies *dependencies, bool referrers)
{
	switch ((DependencyKind) DatumGetInt32(row_value(set, DEPENDENCY_KIND)))
	{
		case DEPENDENCY_REFERRED_TO:
			dependencies->referred_to = true;
			dependencies->stays_deleted = DatumGetBool(row_value(set,
																 DEPENDENCY_STAYS_DELETED));
			if (referrers)
				dependencies->referrers = lappend(dependencies->referrers,
												  row_string(set,
															 DEPENDENCY_OTHER));
			break;
		case DEPENDENCY_TARGET:
			{
				Target	   *target = palloc(sizeof(Target));

				target->id = row_string(set, DEPENDENCY_OTHER);
				target->deleted_locally =
					DatumGetBool(row_value(set, DEPENDENCY_DELETED_LOCALLY));
				target->stays_deleted =
					DatumGetBool(row_value(set, DEPENDENCY_STAYS_DELETED));
				dependencies->targets = lappend(dependencies->targets, target);
				break;
			}
		case DEPENDENCY_RENAME:
			{
				Rename	   *rename = palloc(sizeof(Rename));

				rename->id = row_string(set, DEPENDENCY_OTHER);
				rename->new_id = row_string(set, DEPENDENCY_NEW_ID);
				dependencies->renames = lappend(dependencies->renames, rename);
				break;
			}
		case DEPENDENCY_COPY:
			if (dependencies->copy_id == NULL)
				dependencies->copy_id = row_string(set, DEPENDENCY_NEW_ID);
			break;
	}
}

/* The same with the ring that the entity is in */
static Dependencies *
with_ring(const DependencySet *set, const char *id, Dependencies *its)
{
	const Ring *ring = set != NULL && set->rings != NULL ?
		rings_find(set->rings, id) : NULL;

	if (ring == NULL)
		return its;
	if (its == NULL)
		its = palloc0(sizeof(Dependencies));
	its->ring = ring;
	return its;
}

/*
 * What an entity depends on, NULL if nothing does.  To be asked in ascending
 * ids; "set" may be NULL.  "referrers": list those, too.  palloc'd.
 */
Dependencies *
dependencyset_next(DependencySet *set, const char *id, bool referrers)
{
	Dependencies *dependencies = NULL;
	int			len = strlen(id);

	while (set != NULL && set->more)
	{
		text	   *row_id = DatumGetTextPP(row_value(set, DEPENDENCY_ID));
		int			row_len = VARSIZE_ANY_EXHDR(row_id);
		int			order = memcmp(VARDATA_ANY(row_id), id, Min(len, row_len));

		if (order == 0)
			order = row_len - len;
		if (order > 0)
			break;
		CHECK_FOR_INTERRUPTS();
		if (order == 0)
		{
			if (dependencies == NULL)
				dependencies = palloc0(sizeof(Dependencies));
			add_dependency(set, dependencies, referrers);
		}
		set->more = tuplesort_gettupleslot(set->sort, true, false, set->row,
										   NULL);
	}
	return with_ring(set, id, dependencies);
}

/*
 * The next entity that depends on others, rings aside, and what on, as above;
 * NULL at the end.
 */
Dependencies *
dependencyset_take(DependencySet *set, char **id, bool referrers)
{
	if (!set->more)
		return NULL;
	*id = row_string(set, DEPENDENCY_ID);
	return dependencyset_next(set, *id, referrers);
}

/*
 * Tell entities of these rings, too, which belong to the set from now on.
 */
void
dependencyset_set_rings(DependencySet *set, struct Rings *rings)
{
	set->rings = rings;
}

/*
 * The rings that entities are told of, NULL: of none.
 */
struct Rings *
dependencyset_rings(const DependencySet *set)
{
	return set != NULL ? set->rings : NULL;
}

/*
 * Is there another dependency, or with a set that was just settled any?
 */
bool
dependencyset_has_any(const DependencySet *set)
{
	return set->more;
}

/*
 * The next dependency, whatever it is about: the entity that it begins with,
 * and the other one; palloc'd.  False at the end.
 */
bool
dependencyset_read(DependencySet *set, DependencyKind *kind, char **id,
				   char **other)
{
	if (!set->more)
		return false;
	*kind = (DependencyKind) DatumGetInt32(row_value(set, DEPENDENCY_KIND));
	*id = row_string(set, DEPENDENCY_ID);
	*other = row_string(set, DEPENDENCY_OTHER);
	set->more = tuplesort_gettupleslot(set->sort, true, false, set->row, NULL);
	return true;
}

/*
 * Begin again with the first id.
 */
void
dependencyset_rewind(DependencySet *set)
{
	if (set == NULL)
		return;
	tuplesort_rescan(set->sort);
	set->more = tuplesort_gettupleslot(set->sort, true, false, set->row, NULL);
}

/*
 * Free the set.
 */
void
dependencyset_end(DependencySet *set)
{
	if (set == NULL)
		return;
	ExecDropSingleTupleTableSlot(set->put);
	ExecDropSingleTupleTableSlot(set->row);
	tuplesort_end(set->sort);
	rings_end(set->rings);
	pfree(set);
}
