/*
 * tieset.c
 *	  What ties changed entities to each other, sorted: first by the entity that
 *	  was deleted, which settles what the rule "newest" makes of it, and then by
 *	  the entity that is told of it.
 *
 * Both are tuplesorts, which spill to disk beyond work_mem.  Only what would
 * dangle is kept in memory, too, while the set is made: which of it hangs together
 * (some hundred bytes an entity).
 *
 * May call weigh.c.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "compat.h"
#include "tieset.h"

/* Columns of a row */
#define TIE_ID 1
#define TIE_AT 2				/* when the version that refers was edited */
#define TIE_KIND 3
#define TIE_OTHER 4
#define TIE_NEW_ID 5
#define TIE_DELETED_LOCALLY 6
#define TIE_DELETED_AT 7
#define TIE_STAYS_DELETED 8
#define TIE_COLUMNS 8

/* An entity that is tied by a reference that would dangle */
typedef struct Knot
{
	char	   *id;				/* hash key */
	int			round;			/* in which it was tied */
	struct Knot *leader;		/* of all that hang together, or itself */

	/* Of a leader: what "newest" makes of all */
	bool		chained;		/* what is kept refers to what else is deleted */
	bool		some_kept;		/* an edit is newer than a deletion */
	bool		all_kept;		/* other chains hang on them */
} Knot;

struct TieSet
{
	TupleDesc	tupdesc;
	TupleTableSlot *put;		/* a row on its way in */
	TupleTableSlot *row;		/* the row that was read last */
	Tuplesortstate *pairs;		/* by the deleted entity, the newest that refers
								 * to it first */
	Tuplesortstate *sort;		/* all, by entity */
	bool		more;

	/* Until it is settled */
	MemoryContext making;		/* of what follows */
	MemoryContext row_context;
	HTAB	   *knots;			/* NULL: none yet */
	List	   *new_knots;		/* ids of those tied in this round */
	int			round;
	Tuplestorestate *inserts;	/* references to what one end inserted */
};

static uint32
knot_hash(const void *key, Size keysize)
{
	const char *id = *(const char *const *) key;

	return DatumGetUInt32(hash_any((const unsigned char *) id, strlen(id)));
}

static int
knot_match(const void *a, const void *b, Size keysize)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static Knot *
find_knot(TieSet *set, const char *id)
{
	return set->knots == NULL ? NULL :
		hash_search(set->knots, &id, HASH_FIND, NULL);
}

static Knot *
need_knot(TieSet *set, const char *id)
{
	Knot	   *knot;
	bool		found;

	if (set->knots == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(char *),
			.entrysize = sizeof(Knot), .hash = knot_hash, .match = knot_match,
		.hcxt = set->making};

		set->knots = hash_create("diagsync ties", 256, &control,
								 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE |
								 HASH_CONTEXT);
	}
	knot = hash_search(set->knots, &id, HASH_ENTER, &found);
	if (!found)
	{
		MemoryContext caller = MemoryContextSwitchTo(set->making);

		knot->id = pstrdup(id);
		knot->round = set->round;
		knot->leader = knot;
		knot->chained = knot->some_kept = knot->all_kept = false;
		set->new_knots = lappend(set->new_knots, knot->id);
		MemoryContextSwitchTo(caller);
	}
	return knot;
}

static Knot *
leader_of(Knot *knot)
{
	while (knot->leader != knot)
	{
		knot->leader = knot->leader->leader;
		knot = knot->leader;
	}
	return knot;
}

static void
put_tie(TieSet *set, Tuplesortstate *sort, const Tie *tie)
{
	Datum	   *values = set->put->tts_values;
	bool	   *nulls = set->put->tts_isnull;

	ExecClearTuple(set->put);
	memset(nulls, 0, TIE_COLUMNS * sizeof(bool));
	values[TIE_ID - 1] = CStringGetTextDatum(tie->id);
	values[TIE_AT - 1] = TimestampTzGetDatum(tie->at);
	values[TIE_KIND - 1] = Int32GetDatum(tie->kind);
	values[TIE_OTHER - 1] = CStringGetTextDatum(tie->other);
	values[TIE_NEW_ID - 1] = CStringGetTextDatum(tie->new_id ? tie->new_id : "");
	values[TIE_DELETED_LOCALLY - 1] = BoolGetDatum(tie->deleted_locally);
	values[TIE_DELETED_AT - 1] = TimestampTzGetDatum(tie->deleted_at);
	values[TIE_STAYS_DELETED - 1] = BoolGetDatum(tie->stays_deleted);
	ExecStoreVirtualTuple(set->put);
	tuplesort_puttupleslot(sort, set->put);
}

static char *
row_string(TieSet *set, int attno)
{
	bool		isnull;

	return TextDatumGetCString(slot_getattr(set->row, attno, &isnull));
}

static Datum
row_value(TieSet *set, int attno)
{
	bool		isnull;

	return slot_getattr(set->row, attno, &isnull);
}

static TupleDesc
make_tupdesc(void)
{
	TupleDesc	tupdesc = CreateTemplateTupleDesc(TIE_COLUMNS);

	TupleDescInitEntry(tupdesc, TIE_ID, "id", TEXTOID, -1, 0);
	TupleDescInitEntry(tupdesc, TIE_AT, "at", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(tupdesc, TIE_KIND, "kind", INT4OID, -1, 0);
	TupleDescInitEntry(tupdesc, TIE_OTHER, "other", TEXTOID, -1, 0);
	TupleDescInitEntry(tupdesc, TIE_NEW_ID, "new_id", TEXTOID, -1, 0);
	TupleDescInitEntry(tupdesc, TIE_DELETED_LOCALLY, "deleted_locally", BOOLOID, -1, 0);
	TupleDescInitEntry(tupdesc, TIE_DELETED_AT, "deleted_at", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(tupdesc, TIE_STAYS_DELETED, "stays_deleted", BOOLOID, -1, 0);
	compat_finish_tupdesc(tupdesc);
	return tupdesc;
}

/*
 * A new set, empty.
 */
TieSet *
tieset_begin(void)
{
	Oid			later = lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_GT_OPR)->gt_opr;
	AttrNumber	by_deleted[] = {TIE_ID, TIE_AT, TIE_OTHER};
	Oid			by_deleted_operators[] = {TextLessOperator, later,
	TextLessOperator};
	AttrNumber	by_entity[] = {TIE_ID, TIE_KIND, TIE_OTHER};
	Oid			by_entity_operators[] = {TextLessOperator, Int4LessOperator,
	TextLessOperator};
	Oid			collations[] = {C_COLLATION_OID, InvalidOid, C_COLLATION_OID};
	bool		nulls_first[] = {false, false, false};
	TieSet	   *set = palloc0(sizeof(TieSet));

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
										"diagsync ties in the making",
										ALLOCSET_DEFAULT_SIZES);
	set->row_context = AllocSetContextCreate(set->making, "diagsync tie",
											 ALLOCSET_SMALL_SIZES);
	return set;
}

/*
 * Put in a tie that is no pair.
 */
void
tieset_put(TieSet *set, const Tie *tie)
{
	put_tie(set, set->sort, tie);
}

/* Is a deletion older than an edit that refers to what was deleted? */
static bool
is_older(bool locally, TimestampTz deleted_at, TimestampTz at)
{
	return locally ? deleted_at <= at : deleted_at < at;
}

/*
 * Put in a pair: a deleted entity, and one that refers to it.
 */
void
tieset_put_pair(TieSet *set, const Tie *tie, PairKind kind)
{
	Knot	   *deleted = leader_of(need_knot(set, tie->id));
	Knot	   *leader = leader_of(need_knot(set, tie->other));

	put_tie(set, set->pairs, tie);
	leader->chained |= deleted->chained;
	leader->some_kept |= deleted->some_kept;
	leader->all_kept |= deleted->all_kept;
	deleted->leader = leader;
	switch (kind)
	{
		case PAIR_EDIT:
			leader->some_kept |= is_older(tie->deleted_locally,
										  tie->deleted_at, tie->at);
			break;
		case PAIR_KEPT:
			leader->chained = true;
			break;
		case PAIR_GIVEN_UP:
			leader->all_kept = true;
			break;
	}
}

/*
 * Keep in mind that an entity ("other") refers to what only its end has: should
 * that insert be given up, the reference would dangle.  "locally": it is the local
 * end that does not have it.
 */
void
tieset_put_insert(TieSet *set, const char *id, const char *other, bool locally)
{
	Datum		values[TIE_COLUMNS] = {0};
	bool		nulls[TIE_COLUMNS];
	MemoryContext caller = MemoryContextSwitchTo(set->row_context);

	memset(nulls, true, sizeof(nulls));
	nulls[TIE_ID - 1] = nulls[TIE_OTHER - 1] = false;
	nulls[TIE_DELETED_LOCALLY - 1] = false;
	values[TIE_ID - 1] = CStringGetTextDatum(id);
	values[TIE_OTHER - 1] = CStringGetTextDatum(other);
	values[TIE_DELETED_LOCALLY - 1] = BoolGetDatum(locally);
	tuplestore_putvalues(set->inserts, set->tupdesc, values, nulls);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(set->row_context);
}

/*
 * The ids of the entities that got into pairs for the first time since the last
 * call, NIL for none; they belong to the set.
 */
List *
tieset_next_round(TieSet *set)
{
	List	   *ids = set->new_knots;

	set->new_knots = NIL;
	set->round++;
	return ids;
}

/*
 * Make pairs of the inserts that got into pairs in the last round, and what
 * refers to them.
 */
void
tieset_pair_inserts(TieSet *set)
{
	MemoryContext caller = MemoryContextSwitchTo(set->row_context);

	tuplestore_rescan(set->inserts);
	while (tuplestore_gettupleslot(set->inserts, true, false, set->row))
	{
		char	   *id = row_string(set, TIE_ID);
		Knot	   *knot = find_knot(set, id);

		CHECK_FOR_INTERRUPTS();
		if (knot != NULL && knot->round == set->round - 1)
		{
			Tie			tie = {.kind = TIE_REFERRED_TO, .id = id,
			.at = DT_NOBEGIN, .deleted_at = DT_NOBEGIN};

			tie.other = row_string(set, TIE_OTHER);
			tie.deleted_locally =
				DatumGetBool(row_value(set, TIE_DELETED_LOCALLY));
			tieset_put_pair(set, &tie, PAIR_GIVEN_UP);
		}
		MemoryContextReset(set->row_context);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Tell each deleted entity that it is referred to, and each that refers to it.
 * A deletion that is newer than all of them stays, by the rule "newest"; of
 * equal times the far end's does.  What hangs together in a chain is kept or
 * stays deleted together.
 */
static void
settle_pairs(TieSet *set)
{
	char	   *deleted = NULL;
	bool		stays_deleted = false;

	tuplesort_performsort(set->pairs);
	while (tuplesort_gettupleslot(set->pairs, true, false, set->row, NULL))
	{
		char	   *id = row_string(set, TIE_ID);
		char	   *other = row_string(set, TIE_OTHER);
		bool		locally = DatumGetBool(row_value(set, TIE_DELETED_LOCALLY));
		Tie			tie = {.deleted_locally = locally};

		CHECK_FOR_INTERRUPTS();
		if (deleted == NULL || strcmp(deleted, id) != 0)
		{
			TimestampTz newest = DatumGetTimestampTz(row_value(set, TIE_AT));
			TimestampTz at = DatumGetTimestampTz(row_value(set, TIE_DELETED_AT));
			Knot	   *knot = find_knot(set, id);
			const Knot *leader = leader_of(knot);

			deleted = knot->id;
			stays_deleted = !is_older(locally, at, newest) &&
				!leader->all_kept && !(leader->chained && leader->some_kept);
		}
		tie.stays_deleted = stays_deleted;
		tie.kind = TIE_REFERRED_TO;
		tie.id = id;
		tie.other = other;
		put_tie(set, set->sort, &tie);
		tie.kind = TIE_TARGET;
		tie.id = other;
		tie.other = id;
		put_tie(set, set->sort, &tie);
		MemoryContextReset(set->row_context);
	}
	tuplesort_end(set->pairs);
	set->pairs = NULL;
}

/*
 * All is put in: settle the pairs, and begin with the first entity.
 */
void
tieset_settle(TieSet *set)
{
	MemoryContext caller = MemoryContextSwitchTo(set->row_context);

	settle_pairs(set);
	MemoryContextSwitchTo(caller);
	tuplestore_end(set->inserts);
	set->inserts = NULL;
	MemoryContextDelete(set->making);
	set->knots = NULL;
	tuplesort_performsort(set->sort);
	set->more = tuplesort_gettupleslot(set->sort, true, false, set->row, NULL);
}

static void
add_tie(TieSet *set, Ties *ties, bool referrers)
{
	switch ((TieKind) DatumGetInt32(row_value(set, TIE_KIND)))
	{
		case TIE_REFERRED_TO:
			ties->referred_to = true;
			ties->stays_deleted = DatumGetBool(row_value(set, TIE_STAYS_DELETED));
			if (referrers)
				ties->referrers = lappend(ties->referrers,
										  row_string(set, TIE_OTHER));
			break;
		case TIE_TARGET:
			{
				Target	   *target = palloc(sizeof(Target));

				target->id = row_string(set, TIE_OTHER);
				target->deleted_locally =
					DatumGetBool(row_value(set, TIE_DELETED_LOCALLY));
				target->stays_deleted =
					DatumGetBool(row_value(set, TIE_STAYS_DELETED));
				ties->targets = lappend(ties->targets, target);
				break;
			}
		case TIE_RENAME:
			{
				Rename	   *rename = palloc(sizeof(Rename));

				rename->id = row_string(set, TIE_OTHER);
				rename->new_id = row_string(set, TIE_NEW_ID);
				ties->renames = lappend(ties->renames, rename);
				break;
			}
		case TIE_COPY:
			if (ties->copy_id == NULL)
				ties->copy_id = row_string(set, TIE_NEW_ID);
			break;
	}
}

/*
 * What ties an entity to others, NULL if nothing does.  To be asked in ascending
 * ids; "set" may be NULL.  "referrers": list those, too.  palloc'd.
 */
Ties *
tieset_next(TieSet *set, const char *id, bool referrers)
{
	Ties	   *ties = NULL;
	int			len = strlen(id);

	while (set != NULL && set->more)
	{
		text	   *row_id = DatumGetTextPP(row_value(set, TIE_ID));
		int			row_len = VARSIZE_ANY_EXHDR(row_id);
		int			order = memcmp(VARDATA_ANY(row_id), id, Min(len, row_len));

		if (order == 0)
			order = row_len - len;
		if (order > 0)
			break;
		CHECK_FOR_INTERRUPTS();
		if (order == 0)
		{
			if (ties == NULL)
				ties = palloc0(sizeof(Ties));
			add_tie(set, ties, referrers);
		}
		set->more = tuplesort_gettupleslot(set->sort, true, false, set->row,
										   NULL);
	}
	return ties;
}

/*
 * Begin again with the first id.
 */
void
tieset_rewind(TieSet *set)
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
tieset_end(TieSet *set)
{
	if (set == NULL)
		return;
	ExecDropSingleTupleTableSlot(set->put);
	ExecDropSingleTupleTableSlot(set->row);
	tuplesort_end(set->sort);
	pfree(set);
}
