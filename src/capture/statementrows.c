/*
 * statementrows.c
 *	  What a statement did to a table of diagsync, as far as its rows tell:
 *	  which diagrams it touched, and for inserted rows whose revision they
 *	  have.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "capture/statementrows.h"
#include "directory/content.h"
#include "directory/linkwalk.h"
#include "directory/quota.h"
#include "server/compat.h"
#include "server/idtable.h"
#include "tracking/mark.h"

static int
compare_touched(const void *a, const void *b)
{
	return strcmp((*(Touched *const *) a)->id, (*(Touched *const *) b)->id);
}

/* May that be in an inserted entity? */
static void
check_content(TupleTableSlot *slot, const char *diagram, bool limited)
{
	bool		isnull;
	char	   *id = TextDatumGetCString(slot_getattr(slot, Anum_entity_id,
													  &isnull));

	content_check(diagram, id, slot_getattr(slot, Anum_entity_doc, &isnull),
				  limited);
	pfree(id);
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
 * The diagram with that id among those that a statement touched, entered if
 * need be.  Mostly there is only one.
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
		*table = idtable_create("diagsync touched diagrams", 256,
								sizeof(TouchedKey), CurrentMemoryContext);
		foreach(lc, *all)
			enter_touched(*table, lfirst(lc));
	}
	return touched;
}

/*
 * Look through the rows of a statement: which diagrams they belong to, and for
 * inserted ones whether they have this transaction's revision.
 */
void
statementrows_collect(StatementRows *capture, TriggerData *trigger)
{
	bool		insert = TRIGGER_FIRED_BY_INSERT(capture->event);
	Tuplestorestate *rows = insert ? trigger->tg_newtable : trigger->tg_oldtable;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
													&TTSOpsMinimalTuple);
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
		capture->rows++;
		if (insert && capture->limited && capture->table == TABLE_ENTITY)
			last->bytes += quota_row_bytes(slot_getattr(slot, Anum_entity_doc,
														&isnull));
		if (insert)
		{
			int			attno = capture->table == TABLE_ENTITY ?
				Anum_entity_rev : Anum_tombstone_rev;
			int64		rev = DatumGetInt64(slot_getattr(slot, attno,
														 &isnull));

			if (capture->table == TABLE_TOMBSTONE || rev != capture->own)
				capture->restores = true;
			else
				check_content(slot, last->id, capture->limited);
			if (rev >= next)
				capture->from_future = true;
		}
		else if (TRIGGER_FIRED_BY_DELETE(capture->event) &&
				 DatumGetTimestampTz(slot_getattr(slot,
												  Anum_entity_modified_at,
												  &isnull)) > capture->statement.at)
			capture->backdated = true;
	}
	ExecDropSingleTupleTableSlot(slot);

	capture->touched = palloc(Max(list_length(all), 1) * sizeof(Touched *));
	foreach(lc, all)
		capture->touched[capture->ntouched++] = lfirst(lc);
	qsort(capture->touched, capture->ntouched, sizeof(Touched *),
		  compare_touched);
}

/*
 * Check what is in entities that came with another revision and are edits
 * nevertheless; what a dump brings was checked when it was written.
 */
void
statementrows_check_edits(const StatementRows *capture, TriggerData *trigger)
{
	TupleTableSlot *slot;

	if (!capture->restores || capture->table != TABLE_ENTITY)
		return;
	slot = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
									&TTSOpsMinimalTuple);
	tuplestore_rescan(trigger->tg_newtable);
	while (tuplestore_gettupleslot(trigger->tg_newtable, true, false, slot))
	{
		bool		isnull;
		Touched		key;
		Touched    *sought = &key;
		Touched   **found;

		CHECK_FOR_INTERRUPTS();
		if (DatumGetInt64(slot_getattr(slot, Anum_entity_rev,
									   &isnull)) == capture->own)
			continue;
		key.id = TextDatumGetCString(slot_getattr(slot, Anum_entity_diagram_id,
												  &isnull));
		found = bsearch(&sought, capture->touched, capture->ntouched,
						sizeof(Touched *), compare_touched);
		if (found != NULL && (*found)->edits)
			check_content(slot, key.id, capture->limited);
		pfree(key.id);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* Are rows that come with another revision edits of this diagram? */
static bool
takes_edits(const StatementRows *capture, const Diagram *diagram)
{
	return capture->storage == STORAGE_LOCAL ?
		directory_link_is_established(diagram) :
		linkwalk_has_established(diagram->id);
}

/* Could a link miss a row of this diagram that keeps another revision? */
static bool
is_synced(const StatementRows *capture, const Diagram *diagram)
{
	return capture->storage != STORAGE_LOCAL || diagram->public_copy_id != NULL;
}

/*
 * Lock a diagram that a statement touched, as writers do; NULL if there is
 * none. Where a row keeps another's revision, no link may come to have seen
 * that until it is committed, nor afterwards one with an older snapshot: then
 * the lock is FOR UPDATE and the entry is touched.
 */
Diagram *
statementrows_lock(const StatementRows *capture, Touched *touched)
{
	Diagram    *diagram = NULL;
	bool		alone = false;
	Snapshot	snapshot;

	if (!capture->restores)
		return directory_lock_for_edit(touched->id);

	/* Look first: an edit is to lock no more than edits do. */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	diagram = directory_read(touched->id, snapshot);
	UnregisterSnapshot(snapshot);
	while (diagram != NULL)
	{
		touched->edits = takes_edits(capture, diagram);
		alone = !touched->edits && is_synced(capture, diagram);
		diagram = directory_lock(touched->id, alone ? LockTupleExclusive :
								 LockTupleKeyShare, LOCK_LATEST);
		if (diagram == NULL)
			break;

		/* A shared row that is an edit does no harm where none is asked for. */
		if (capture->storage != STORAGE_LOCAL && touched->edits)
			break;
		touched->edits = takes_edits(capture, diagram);
		if (touched->edits || alone || !is_synced(capture, diagram))
			break;
	}
	if (diagram != NULL && alone && !touched->edits)
	{
		/* Readers who keep marks would miss it, too. */
		if (capture->storage == STORAGE_LOCAL)
			directory_touch(touched->id);
		else
			mark_restart(touched->id);
	}
	return diagram;
}

/*
 * Check that a diagram may hold what the statement wrote to it.
 */
void
statementrows_check_quota(const StatementRows *capture, const Touched *touched,
						  const Diagram *diagram)
{
	if (TRIGGER_FIRED_BY_INSERT(capture->event))
	{
		quota_check_entities(diagram, touched->rows);
		quota_check_bytes(diagram, touched->bytes);
	}
	if (TRIGGER_FIRED_BY_UPDATE(capture->event))
		quota_check_bytes(diagram, quota_written());
}
