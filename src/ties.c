/*
 * ties.c
 *	  What ties changed entities to each other: references that would dangle
 *	  because the other end deleted what they lead to, and references that are
 *	  to follow an entity that "both" gives a new id.
 *
 * All candidates are looked at before any is decided about, so that a decision
 * does not depend on which batch an entity is in.  A reference costs a look
 * whether what it leads to is there.  What is found goes through two tuplesorts,
 * which spill to disk beyond work_mem: by the entity that was deleted, which
 * settles what the rule "newest" makes of it, and then by the entity that is
 * told of it.
 *
 * May call candidate.c, effect.c, weigh.c and reference.c.
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
#include "utils/typcache.h"

#include "effect.h"
#include "reference.h"
#include "ties.h"

/* What a row says of the entity that it begins with */
typedef enum TieKind
{
	TIE_REFERRED_TO,			/* by the other one, at the other end */
	TIE_TARGET,					/* it refers to the other one */
	TIE_DUPLICATE,				/* it refers to the other one, which gets a new
								 * id */
	TIE_COPY,					/* it gets that id */
} TieKind;

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

/* One row, as it is put in */
typedef struct Tie
{
	const char *id;
	TimestampTz at;
	TieKind		kind;
	const char *other;
	const char *new_id;			/* or NULL */
	bool		deleted_locally;
	TimestampTz deleted_at;
	bool		stays_deleted;
} Tie;

struct TieSet
{
	Reader	   *reader;
	bool		duplicates;		/* look for those, too */
	TupleDesc	tupdesc;
	TupleTableSlot *put;		/* a row on its way in */
	TupleTableSlot *row;		/* the row that was read last */
	Tuplesortstate *pairs;		/* TIE_REFERRED_TO, by the deleted entity, the
								 * newest that refers to it first */
	Tuplesortstate *sort;		/* all, by entity */
	bool		more;
};

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

static bool
list_has(List *ids, const char *id)
{
	ListCell   *lc;

	foreach(lc, ids)
	{
		if (strcmp(lfirst(lc), id) == 0)
			return true;
	}
	return false;
}

/*
 * The references of one version of an entity that lead to what an end deleted, as
 * a list of Tie.  "at" is when the version was edited.
 */
static List *
find_deleted(TieSet *set, const Entity *entity, const Jsonb *doc, bool locally,
			 TimestampTz at)
{
	List	   *pairs = NIL;
	ReferenceScan scan;
	JsonValue	id;

	reference_scan(&scan, set->reader->policy, doc);
	while (reference_next(&scan, &id))
	{
		char	   *other = pnstrdup(id.data, id.len);
		Deletion	deletion;
		Tie		   *tie;

		if (strcmp(other, entity->id) == 0 ||
			!reader_is_deleted(set->reader, CStringGetTextDatum(other), locally,
							   &deletion) ||
			list_has(deletion.accepted, entity->id) ||
			list_has(entity->accepted, other))
			continue;
		tie = palloc0(sizeof(Tie));
		tie->kind = TIE_REFERRED_TO;
		tie->id = other;
		tie->other = entity->id;
		tie->deleted_locally = locally;
		tie->at = Max(at, deletion.left_at);
		tie->deleted_at = deletion.at;
		pairs = lappend(pairs, tie);
	}
	return pairs;
}

static void
put_pairs(TieSet *set, List *pairs, bool keep)
{
	ListCell   *lc;

	foreach(lc, pairs)
	{
		Tie		   *tie = lfirst(lc);

		if (keep)
			tie->at = DT_NOEND;
		put_tie(set, set->pairs, tie);
	}
}

/*
 * The references that only the local side set, to entities that get a new id.
 */
static void
find_duplicates(TieSet *set, const Entity *entity, const Jsonb *doc)
{
	ReferenceScan scan;
	JsonValue	id;

	reference_scan(&scan, set->reader->policy, doc);
	while (reference_next(&scan, &id))
	{
		Entity		other = {0};
		Tie			tie = {0};

		if (reference_is_at(scan.place, entity->base.doc, id) ||
			reference_is_at(scan.place, entity->public.doc, id))
			continue;
		other.id = pnstrdup(id.data, id.len);
		if (strcmp(other.id, entity->id) == 0)
			continue;
		other.key = CStringGetTextDatum(other.id);
		(void) reader_read(set->reader, &other);
		if (!effect_copies(&other))
			continue;

		tie.kind = TIE_DUPLICATE;
		tie.id = entity->id;
		tie.other = other.id;
		tie.new_id = effect_copy_id(set->reader, &other);
		put_tie(set, set->sort, &tie);
		tie.kind = TIE_COPY;
		tie.id = other.id;
		tie.other = entity->id;
		put_tie(set, set->sort, &tie);
	}
}

static void
find_ties(TieSet *set, Entity *entity)
{
	const Jsonb *local_doc = entity->merges ? entity_merged(entity)->doc :
		entity->local.doc;
	const Jsonb *public_doc = entity->merges ? entity_merged(entity)->doc :
		entity->public.doc;
	List	   *deleted_publicly = NIL;
	List	   *deleted_locally = NIL;
	bool		crossed;

	if (entity->local_change != CHANGE_NONE)
		deleted_publicly = find_deleted(set, entity, local_doc, false,
										entity->local.at);
	if (entity->public_change != CHANGE_NONE)
		deleted_locally = find_deleted(set, entity, public_doc, true,
									   entity->public.at);

	/*
	 * Where either version refers to what the other end deleted, "newest" has
	 * none to fall back to: what it refers to is kept.
	 */
	crossed = deleted_publicly != NIL && deleted_locally != NIL;
	put_pairs(set, deleted_publicly, crossed);
	put_pairs(set, deleted_locally, crossed);

	if (set->duplicates && entity->local_change != CHANGE_NONE)
		find_duplicates(set, entity, local_doc);
}

/*
 * Tell each deleted entity that it is referred to, and each that refers to it.
 * A deletion that is newer than all of them stays, by the rule "newest"; of
 * equal times the far end's does.
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

			stays_deleted = locally ? at > newest : at >= newest;
		}
		if (deleted != NULL)
			pfree(deleted);
		deleted = id;

		tie.stays_deleted = stays_deleted;
		tie.kind = TIE_REFERRED_TO;
		tie.id = id;
		tie.other = other;
		put_tie(set, set->sort, &tie);
		tie.kind = TIE_TARGET;
		tie.id = other;
		tie.other = id;
		put_tie(set, set->sort, &tie);
		pfree(other);
	}
	tuplesort_end(set->pairs);
	set->pairs = NULL;
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
	return tupdesc;
}

/*
 * Find what ties the candidates to each other, under a registered snapshot; the
 * candidates are rewound.  "duplicates": also what follows an entity that the
 * resolution "both" copies.  NULL where the policy knows no references.
 */
TieSet *
ties_collect(Reader *reader, Candidates *candidates, Snapshot snapshot,
			 bool duplicates)
{
	AttrNumber	by_deleted[] = {TIE_ID, TIE_AT, TIE_OTHER};
	Oid			later = lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_GT_OPR)->gt_opr;
	Oid			by_deleted_operators[] = {TextLessOperator, later,
	TextLessOperator};
	AttrNumber	by_entity[] = {TIE_ID, TIE_KIND, TIE_OTHER};
	Oid			by_entity_operators[] = {TextLessOperator, Int4LessOperator,
	TextLessOperator};
	Oid			collations[] = {C_COLLATION_OID, InvalidOid, C_COLLATION_OID};
	bool		nulls_first[] = {false, false, false};
	TieSet	   *set;
	MemoryContext row_context;
	MemoryContext caller = CurrentMemoryContext;
	Datum		id;

	if (reader->policy->references == 0)
		return NULL;
	set = palloc0(sizeof(TieSet));
	set->reader = reader;
	set->duplicates = duplicates;
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

	row_context = AllocSetContextCreate(caller, "diagsync ties",
										ALLOCSET_DEFAULT_SIZES);
	reader_begin(reader, snapshot);
	while (candidates_next(candidates, &id))
	{
		Entity		entity = {0};

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(row_context);
		entity.id = TextDatumGetCString(id);
		entity.key = id;
		(void) reader_read(reader, &entity);
		find_ties(set, &entity);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(row_context);
	}
	reader_end(reader);
	candidates_rewind(candidates);

	MemoryContextSwitchTo(row_context);
	settle_pairs(set);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(row_context);
	tuplesort_performsort(set->sort);
	set->more = tuplesort_gettupleslot(set->sort, true, false, set->row, NULL);
	return set;
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
		case TIE_DUPLICATE:
			{
				Duplicate  *duplicate = palloc(sizeof(Duplicate));

				duplicate->id = row_string(set, TIE_OTHER);
				duplicate->new_id = row_string(set, TIE_NEW_ID);
				ties->duplicates = lappend(ties->duplicates, duplicate);
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
ties_next(TieSet *set, const char *id, bool referrers)
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
ties_rewind(TieSet *set)
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
ties_end(TieSet *set)
{
	if (set == NULL)
		return;
	ExecDropSingleTupleTableSlot(set->put);
	ExecDropSingleTupleTableSlot(set->row);
	tuplesort_end(set->sort);
	pfree(set);
}
