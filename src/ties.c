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
 * A conflict over a reference may be settled for either side, and then other
 * references would dangle: those of a deleted entity that is kept, of the old
 * version of one whose edit is given up, and to an insert that is given up.
 * These are tied as well, in rounds, until there are no more; so whichever side
 * is taken for all of them, nothing dangles.
 *
 * May call candidate.c, effect.c, weigh.c and reference.c.
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

#include "effect.h"
#include "reference.h"
#include "ties.h"

/* What a row says of the entity that it begins with */
typedef enum TieKind
{
	TIE_REFERRED_TO,			/* by the other one, at the other end */
	TIE_TARGET,					/* it refers to the other one */
	TIE_RENAME,				/* it refers to the other one, which gets a new
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

/* An entity that others refer to, as it was found */
typedef struct Looked
{
	char	   *id;				/* NULL: none yet */
	bool		locally;		/* is it deleted there? else at the far end */
	bool		is_deleted;
	Deletion	deletion;
	char	  **accepted;		/* deletion.accepted, sorted */
	char	   *new_id;			/* it gets from "both"; NULL: none */
	bool		has_new_id;		/* that is known */
} Looked;

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
	bool		renames;		/* look for those, too */
	TupleDesc	tupdesc;
	TupleTableSlot *put;		/* a row on its way in */
	TupleTableSlot *row;		/* the row that was read last */
	Tuplesortstate *pairs;		/* TIE_REFERRED_TO, by the deleted entity, the
								 * newest that refers to it first */
	Tuplesortstate *sort;		/* all, by entity */
	bool		more;

	/* Only while it is made */
	MemoryContext context;		/* of what follows */
	Looked		looked;			/* what was looked at last: many may refer to
								 * the same entity */
	MemoryContext looked_context;
	HTAB	   *knots;			/* NULL: none yet */
	List	   *new_knots;		/* ids of those not looked at yet */
	int			round;			/* in which knots are tied now */
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
		.hcxt = set->context};

		set->knots = hash_create("diagsync ties", 256, &control,
								 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE |
								 HASH_CONTEXT);
	}
	knot = hash_search(set->knots, &id, HASH_ENTER, &found);
	if (!found)
	{
		MemoryContext caller = MemoryContextSwitchTo(set->context);

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

static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * Look at an entity that others refer to: is it deleted at one end?
 */
static Looked *
look(TieSet *set, const char *id, bool locally)
{
	Looked	   *looked = &set->looked;
	MemoryContext caller;
	List	   *accepted;

	if (looked->id != NULL && looked->locally == locally &&
		strcmp(looked->id, id) == 0)
		return looked;

	MemoryContextReset(set->looked_context);
	caller = MemoryContextSwitchTo(set->looked_context);
	memset(looked, 0, sizeof(Looked));
	looked->id = pstrdup(id);
	looked->locally = locally;
	looked->is_deleted = reader_is_deleted(set->reader,
										   CStringGetTextDatum(id), locally,
										   &looked->deletion);
	if (looked->is_deleted && looked->deletion.left_at != DT_NOBEGIN)
	{
		/* What both ends edited may be merged to something that exists. */
		Entity		entity = {0};

		entity.id = looked->id;
		entity.key = CStringGetTextDatum(id);
		(void) reader_read(set->reader, &entity);
		if (entity.merges && entity_merged(&entity)->doc != NULL)
			looked->is_deleted = false;
	}
	accepted = looked->deletion.accepted;
	if (accepted != NIL)
	{
		int			n = 0;
		ListCell   *lc;

		looked->accepted = palloc(list_length(accepted) * sizeof(char *));
		foreach(lc, accepted)
			looked->accepted[n++] = lfirst(lc);
		qsort(looked->accepted, n, sizeof(char *), compare_strings);
	}
	MemoryContextSwitchTo(caller);
	return looked;
}

/* Has a resolution accepted that the entity dangles from what was looked at? */
static bool
is_accepted(const Looked *looked, const Entity *entity)
{
	ListCell   *lc;

	if (looked->accepted != NULL &&
		bsearch(&entity->id, looked->accepted,
				list_length(looked->deletion.accepted), sizeof(char *),
				compare_strings) != NULL)
		return true;
	foreach(lc, entity->accepted)
	{
		if (strcmp(lfirst(lc), looked->id) == 0)
			return true;
	}
	return false;
}

/* Is a deletion older than an edit that refers to what was deleted? */
static bool
is_older(bool locally, TimestampTz deleted_at, TimestampTz at)
{
	return locally ? deleted_at <= at : deleted_at < at;
}

/*
 * Tie two entities: the deleted one, and the one that refers to it.
 */
static Knot *
put_pair(TieSet *set, const Tie *tie)
{
	Knot	   *deleted = leader_of(need_knot(set, tie->id));
	Knot	   *leader = leader_of(need_knot(set, tie->other));

	put_tie(set, set->pairs, tie);
	leader->chained |= deleted->chained;
	leader->some_kept |= deleted->some_kept;
	leader->all_kept |= deleted->all_kept;
	deleted->leader = leader;
	return leader;
}

/*
 * Keep in mind that an entity refers to what only its end has: should that insert
 * be given up, the reference would dangle.
 */
static void
put_insert(TieSet *set, const Entity *entity, const char *other, bool locally)
{
	Datum		values[TIE_COLUMNS] = {0};
	bool		nulls[TIE_COLUMNS] = {false};

	memset(nulls, true, sizeof(nulls));
	nulls[TIE_ID - 1] = nulls[TIE_OTHER - 1] = false;
	nulls[TIE_DELETED_LOCALLY - 1] = false;
	values[TIE_ID - 1] = CStringGetTextDatum(other);
	values[TIE_OTHER - 1] = entity->key;
	values[TIE_DELETED_LOCALLY - 1] = BoolGetDatum(locally);
	tuplestore_putvalues(set->inserts, set->tupdesc, values, nulls);
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
		const Looked *looked;
		Tie		   *tie;

		CHECK_FOR_INTERRUPTS();
		if (strcmp(other, entity->id) == 0)
			continue;
		looked = look(set, other, locally);
		if (looked->deletion.is_insert && set->round == 0)
			put_insert(set, entity, other, locally);
		if (!looked->is_deleted || is_accepted(looked, entity))
			continue;
		tie = palloc0(sizeof(Tie));
		tie->kind = TIE_REFERRED_TO;
		tie->id = other;
		tie->other = entity->id;
		tie->deleted_locally = locally;
		tie->at = Max(at, looked->deletion.left_at);
		tie->deleted_at = looked->deletion.at;
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
		put_pair(set, tie)->some_kept |= is_older(tie->deleted_locally,
												  tie->deleted_at, tie->at);
	}
}

/*
 * The id that "both" gives the local version of an entity; NULL where it gives
 * none.
 */
static const char *
new_id_of(TieSet *set, const char *id)
{
	Looked	   *looked = look(set, id, false);

	if (!looked->has_new_id)
	{
		MemoryContext caller = MemoryContextSwitchTo(set->looked_context);
		Entity		entity = {0};

		entity.id = looked->id;
		entity.key = CStringGetTextDatum(id);
		(void) reader_read(set->reader, &entity);
		if (effect_copies(&entity))
			looked->new_id = effect_copy_id(set->reader, &entity);
		looked->has_new_id = true;
		MemoryContextSwitchTo(caller);
	}
	return looked->new_id;
}

/*
 * The references that only the local side set, to entities that get a new id.
 */
static void
find_renames(TieSet *set, const Entity *entity, const Jsonb *doc)
{
	ReferenceScan scan;
	JsonValue	id;

	reference_scan(&scan, set->reader->policy, doc);
	while (reference_next(&scan, &id))
	{
		char	   *other = pnstrdup(id.data, id.len);
		Tie			tie = {.kind = TIE_RENAME};

		CHECK_FOR_INTERRUPTS();
		if (strcmp(other, entity->id) == 0 ||
			(tie.new_id = new_id_of(set, other)) == NULL ||
			reference_is_at(scan.place, entity->base.doc, id) ||
			reference_is_at(scan.place, entity->public.doc, id))
			continue;
		tie.id = entity->id;
		tie.other = other;
		put_tie(set, set->sort, &tie);
		tie.kind = TIE_COPY;
		tie.id = other;
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

	if (set->renames && entity->local_change != CHANGE_NONE)
		find_renames(set, entity, local_doc);
}

static bool
refers_to(TieSet *set, const Jsonb *doc, const char *id)
{
	ReferenceScan scan;
	JsonValue	value;

	reference_scan(&scan, set->reader->policy, doc);
	while (reference_next(&scan, &value))
	{
		if (json_identical(value, json_string(id)))
			return true;
	}
	return false;
}

/*
 * What a version of an entity refers to that an end deleted, though no edit of
 * the other end does ("edited": what the edit refers to, if there is one).
 */
static void
chain_version(TieSet *set, const Entity *entity, const Jsonb *doc, bool locally,
			  const Jsonb *edited)
{
	bool		is_deleted = locally ? entity->local.doc == NULL :
		entity->public.doc == NULL;
	ListCell   *lc;

	foreach(lc, find_deleted(set, entity, doc, locally, DT_NOBEGIN))
	{
		Tie		   *tie = lfirst(lc);
		Knot	   *leader;

		if (refers_to(set, edited, tie->id))
			continue;
		tie->at = DT_NOBEGIN;
		leader = put_pair(set, tie);
		if (is_deleted)
			leader->chained = true;
		else
			leader->all_kept = true;
	}
}

/*
 * What would dangle if an entity that is tied already were kept or given up as a
 * whole: as the side has it that does not have the edit, or the deletion.
 */
static void
chain_entity(TieSet *set, const char *id)
{
	Entity		entity = {0};
	const Jsonb *edited;

	entity.id = pstrdup(id);
	entity.key = CStringGetTextDatum(id);
	(void) reader_read(set->reader, &entity);
	edited = entity.merges ? entity_merged(&entity)->doc : NULL;
	chain_version(set, &entity, entity.local.doc, false,
				  entity.local_change == CHANGE_NONE ? NULL :
				  edited ? edited : entity.local.doc);
	chain_version(set, &entity, entity.public.doc, true,
				  entity.public_change == CHANGE_NONE ? NULL :
				  edited ? edited : entity.public.doc);
}

/* What refers to inserts that are tied since the last round */
static void
chain_inserts(TieSet *set, MemoryContext row_context)
{
	tuplestore_rescan(set->inserts);
	while (tuplestore_gettupleslot(set->inserts, true, false, set->row))
	{
		char	   *id = row_string(set, TIE_ID);
		Knot	   *knot = find_knot(set, id);

		CHECK_FOR_INTERRUPTS();
		if (knot != NULL && knot->round == set->round - 1)
		{
			Tie			tie = {.kind = TIE_REFERRED_TO, .id = id, .at = DT_NOBEGIN,
			.deleted_at = DT_NOBEGIN};

			tie.other = row_string(set, TIE_OTHER);
			tie.deleted_locally =
				DatumGetBool(row_value(set, TIE_DELETED_LOCALLY));
			put_pair(set, &tie)->all_kept = true;
		}
		MemoryContextReset(row_context);
	}
}

/*
 * Tie what hangs on what is tied, until there is no more.
 */
static void
chain(TieSet *set, MemoryContext row_context)
{
	while (set->new_knots != NIL)
	{
		List	   *ids = set->new_knots;
		ListCell   *lc;

		set->new_knots = NIL;
		set->round++;
		foreach(lc, ids)
		{
			CHECK_FOR_INTERRUPTS();
			chain_entity(set, lfirst(lc));
			MemoryContextReset(row_context);
		}
		chain_inserts(set, row_context);
		list_free(ids);
	}
}

/*
 * Tell each deleted entity that it is referred to, and each that refers to it.
 * A deletion that is newer than all of them stays, by the rule "newest"; of
 * equal times the far end's does.  What hangs together in a chain is kept or
 * stays deleted together.
 */
static void
settle_pairs(TieSet *set, MemoryContext row_context)
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

			const Knot *leader = leader_of(find_knot(set, id));

			stays_deleted = !is_older(locally, at, newest) &&
				!leader->all_kept && !(leader->chained && leader->some_kept);
		}
		if (deleted == NULL || strcmp(deleted, id) != 0)
			deleted = find_knot(set, id)->id;

		tie.stays_deleted = stays_deleted;
		tie.kind = TIE_REFERRED_TO;
		tie.id = id;
		tie.other = other;
		put_tie(set, set->sort, &tie);
		tie.kind = TIE_TARGET;
		tie.id = other;
		tie.other = id;
		put_tie(set, set->sort, &tie);
		MemoryContextReset(row_context);
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
 * candidates are rewound.  "renames": also what follows an entity that the
 * resolution "both" gives a new id.  NULL where the policy knows no references.
 */
TieSet *
ties_collect(Reader *reader, Candidates *candidates, Snapshot snapshot,
			 bool renames)
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
	set->renames = renames;
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

	row_context = AllocSetContextCreate(caller, "diagsync ties",
										ALLOCSET_DEFAULT_SIZES);
	set->context = AllocSetContextCreate(caller, "diagsync knots",
										 ALLOCSET_DEFAULT_SIZES);
	set->looked_context = AllocSetContextCreate(set->context,
												"diagsync target",
												ALLOCSET_SMALL_SIZES);
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
	MemoryContextSwitchTo(row_context);
	chain(set, row_context);
	MemoryContextSwitchTo(caller);
	reader_end(reader);
	candidates_rewind(candidates);

	MemoryContextSwitchTo(row_context);
	settle_pairs(set, row_context);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(row_context);
	tuplestore_end(set->inserts);
	MemoryContextDelete(set->context);
	set->inserts = NULL;
	set->knots = NULL;
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
