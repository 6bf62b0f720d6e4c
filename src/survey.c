/*
 * survey.c
 *	  What a statement did to a table of diagsync, as far as its rows tell: which
 *	  diagrams it touched, and for inserted rows whether they are edits or replicas.
 *
 * May call quota.c and storage.c.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "quota.h"
#include "survey.h"

static uint32
hash_id(const void *key, Size keysize)
{
	const char *id = *(char *const *) key;

	return hash_bytes((const unsigned char *) id, strlen(id));
}

static int
match_id(const void *a, const void *b, Size keysize)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static int
compare_touched(const void *a, const void *b)
{
	return strcmp((*(Touched *const *) a)->id, (*(Touched *const *) b)->id);
}

/* Check that an inserted entity is not too large; its bytes. */
static int64
check_size(TupleTableSlot *slot, const char *diagram)
{
	bool		isnull;
	Datum		id = slot_getattr(slot, Anum_entity_id, &isnull);

	return quota_check_size(diagram, TextDatumGetCString(id),
							slot_getattr(slot, Anum_entity_doc, &isnull));
}

/* More diagrams than this are looked up by a hash table */
#define MAX_LISTED 8

typedef struct TouchedKey
{
	char	   *id;				/* hash key */
	Touched    *touched;
} TouchedKey;

static bool
is_id(const Touched *touched, const text *id)
{
	return strlen(touched->id) == VARSIZE_ANY_EXHDR(id) &&
		memcmp(touched->id, VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id)) == 0;
}

static void
enter_touched(HTAB *table, Touched *touched)
{
	bool		found;
	TouchedKey *entry = hash_search(table, &touched->id, HASH_ENTER, &found);

	entry->touched = touched;
}

/*
 * The diagram with that id among those that a statement touched, entered if need
 * be.  Mostly there is only one.
 */
static Touched *
find_touched(List **all, HTAB **table, text *id)
{
	Touched    *touched;
	ListCell   *lc;

	if (*table == NULL)
	{
		foreach(lc, *all)
		{
			if (is_id(lfirst(lc), id))
				return lfirst(lc);
		}
	}
	else
	{
		char	   *key = text_to_cstring(id);
		TouchedKey *entry = hash_search(*table, &key, HASH_FIND, NULL);

		pfree(key);
		if (entry != NULL)
			return entry->touched;
	}

	touched = palloc0(sizeof(Touched));
	touched->id = text_to_cstring(id);
	*all = lappend(*all, touched);
	if (*table != NULL)
		enter_touched(*table, touched);
	else if (list_length(*all) > MAX_LISTED)
	{
		HASHCTL		ctl;

		memset(&ctl, 0, sizeof(ctl));
		ctl.keysize = sizeof(char *);
		ctl.entrysize = sizeof(TouchedKey);
		ctl.hash = hash_id;
		ctl.match = match_id;
		ctl.hcxt = CurrentMemoryContext;
		*table = hash_create("diagsync touched diagrams", 256, &ctl,
							 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
		foreach(lc, *all)
			enter_touched(*table, lfirst(lc));
	}
	return touched;
}

/*
 * Look through the rows of a statement: which diagrams they belong to, and for
 * inserted ones whether they are edits or replicas.
 */
void
survey_rows(Deed *deed, TriggerData *trigger)
{
	bool		insert = TRIGGER_FIRED_BY_INSERT(deed->event);
	Tuplestorestate *rows = insert ? trigger->tg_newtable : trigger->tg_oldtable;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
													&TTSOpsMinimalTuple);
	TimestampTz now = GetCurrentTransactionStartTimestamp();
	int64		next = (int64) U64FromFullTransactionId(ReadNextFullTransactionId());
	List	   *all = NIL;
	HTAB	   *table = NULL;
	Touched    *last = NULL;
	ListCell   *lc;

	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		bool		isnull;
		text	   *id = DatumGetTextPP(slot_getattr(slot,
													 Anum_entity_diagram_id,
													 &isnull));

		CHECK_FOR_INTERRUPTS();
		if (last == NULL || !is_id(last, id))
			last = find_touched(&all, &table, id);
		last->rows++;
		deed->rows++;
		if (insert && deed->limited && deed->table == TABLE_ENTITY)
			last->bytes += check_size(slot, last->id);
		if (insert)
		{
			int			attno = deed->table == TABLE_ENTITY ?
				Anum_entity_rev : Anum_tombstone_rev;
			int64		rev = DatumGetInt64(slot_getattr(slot, attno, &isnull));
			bool		own = deed->table == TABLE_ENTITY && rev == deed->own &&
				(!deed->timed ||
				 DatumGetTimestampTz(slot_getattr(slot, Anum_entity_modified_at,
												  &isnull)) == now);

			if (own)
				last->own_rows = true;
			else
				last->replicas = true;
			if (rev >= next)
				deed->from_future = true;
		}
		else
			last->own_rows = true;
	}
	ExecDropSingleTupleTableSlot(slot);

	deed->touched = palloc(Max(list_length(all), 1) * sizeof(Touched *));
	foreach(lc, all)
		deed->touched[deed->ntouched++] = lfirst(lc);
	qsort(deed->touched, deed->ntouched, sizeof(Touched *), compare_touched);
}
