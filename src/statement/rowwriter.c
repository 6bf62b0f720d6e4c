/*
 * rowwriter.c
 *	  Rows inserted, updated and deleted without SQL: by the table access
 *	  method, with their index entries, as the executor and COPY do it.
 *
 * For a batch that costs half of what a statement costs that is given arrays:
 * nothing is packed, joined, collected for transition tables or returned.  An
 * update or a deletion by ctid also stands for lock and reading: it happens
 * only if the row is still that version.
 *
 * It fires no triggers and checks no constraints but unique and exclusion
 * ones, so it is for tables that are as diagsync has made them (pristine.c),
 * whose constraints it has checked or keeps itself; where an application has
 * added or changed something, SQL writes.
 *
 * A row that this transaction has changed since it was read is an error here
 * (SQL passes it over), so it is only for where nothing else writes in
 * between.  The function of an application's index could.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "server/compat.h"
#include "server/deadlock.h"
#include "statement/rowwriter.h"
#include "statement/statement.h"
#include "table/pristine.h"

/* Buffered rows are inserted when they have so many bytes, if not before */
#define BUFFERED_BYTES (64 * 1024)

/*
 * Has a table nothing that only the executor would attend to?  Takes
 * RowExclusiveLock on it and keeps it, so that nothing is added.  55000 if it
 * is the child or the parent of another.
 */
bool
rowwriter_suits(StorageType storage, StorageTable table)
{
	Relation	rel = storage_open(storage, table, RowExclusiveLock);
	bool		suits = pristine_is(rel, storage, table);

	storage_check_alone(rel);
	table_close(rel, NoLock);
	return suits;
}

/*
 * Let the executor's state say what an update changes: all columns but the
 * key. Indexes of other columns are then told that their new entry repeats an
 * old one.
 */
static void
init_range_table(EState *estate, Relation rel)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	Bitmapset  *updated = NULL;

	for (int attno = 3; attno <= RelationGetNumberOfAttributes(rel); attno++)
		updated = bms_add_member(updated,
								 attno - FirstLowInvalidHeapAttributeNumber);
	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(rel);
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
	compat_init_range_table(estate, rte, updated);
}

/*
 * Open a table that suits, with its indexes, under RowExclusiveLock, for
 * inserts, updates or deletions (which a publication may refuse: 55000).
 * Until it is closed, what the expressions of an application's indexes call
 * runs as the tables' owner, as for SQL (ownersql.c).
 */
void
rowwriter_open(RowWriter *writer, StorageType storage, StorageTable table,
			   CmdType command)
{
	writer->rel = storage_open(storage, table, RowExclusiveLock);
	statement_open_direct();

	/* On errors the transaction machinery restores these. */
	GetUserIdAndSecContext(&writer->caller, &writer->sec_context);
	SetUserIdAndSecContext(writer->rel->rd_rel->relowner,
						   writer->sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	writer->nestlevel = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	CheckCmdReplicaIdentity(writer->rel, command);
	writer->estate = CreateExecutorState();
	init_range_table(writer->estate, writer->rel);
	writer->result = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->result, writer->rel, 1, NULL, 0);
	ExecOpenIndices(writer->result, false);
	writer->slot = table_slot_create(writer->rel, NULL);
	writer->cid = GetCurrentCommandId(true);
	writer->made = 0;
	writer->buffered = 0;
	writer->bytes = 0;
	writer->bulk = NULL;
	writer->home = CurrentMemoryContext;
	writer->scratch = AllocSetContextCreate(writer->home, "diagsync rows",
											ALLOCSET_DEFAULT_SIZES);
}

/*
 * What came of a write: false where the row is not that version any more,
 * 40001 where the transaction must not see that.
 */
static bool
is_written(RowWriter *writer, TM_Result result)
{
	deadlock_keep_watch();
	switch (result)
	{
		case TM_Ok:
			return true;
		case TM_Updated:
		case TM_Deleted:
			if (IsolationUsesXactSnapshot())
				ereport(ERROR,
						(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						 errmsg("could not serialize access due to concurrent update"),
						 errdetail("A row of \"%s.%s\" changed after this transaction began to read.",
								   get_namespace_name(RelationGetNamespace(writer->rel)),
								   RelationGetRelationName(writer->rel)),
						 errhint("Run the transaction again.")));
			return false;
		case TM_SelfModified:
		case TM_Invisible:
			ereport(ERROR,
					(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
					 errmsg("a row of table \"%s.%s\" was written meanwhile by what an index of the table calls",
							get_namespace_name(RelationGetNamespace(writer->rel)),
							RelationGetRelationName(writer->rel)),
					 errhint("What an index calls has to be immutable.")));
			return false;
		default:
			elog(ERROR, "unexpected result of writing a row: %u", result);
	}
	return false;				/* keep compiler quiet */
}

/*
 * Give the row at that place new values, all of its columns.  Waits for
 * whoever holds it.
 */
bool
rowwriter_update(RowWriter *writer, ItemPointer tid, const Datum *values,
				 const bool *nulls)
{
	int			natts = RelationGetNumberOfAttributes(writer->rel);
	TupleTableSlot *slot = writer->slot;
	TM_FailureData tmfd;
	LockTupleMode lockmode;
	compat_update_indexes which;

	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, natts * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(writer->rel);
	if (!is_written(writer,
					compat_tuple_update(writer->rel, tid, slot, writer->cid,
										GetActiveSnapshot(), &tmfd, &lockmode,
										&which)))
		return false;
	compat_insert_index_tuples(writer->result, slot, writer->estate, which);
	ResetPerTupleExprContext(writer->estate);
	return true;
}

/*
 * Delete the row at that place.  Waits for whoever holds it.
 */
bool
rowwriter_delete(RowWriter *writer, ItemPointer tid)
{
	TM_FailureData tmfd;

	return is_written(writer,
					  compat_tuple_delete(writer->rel, tid, writer->cid,
										  GetActiveSnapshot(), &tmfd));
}

/*
 * Insert the rows that are buffered.  heap_multi_insert() leaves what it makes
 * of large values in the context that it runs in, and some index methods do
 * so.
 */
static void
flush(RowWriter *writer)
{
	MemoryContext caller;

	if (writer->buffered == 0)
		return;
	caller = MemoryContextSwitchTo(writer->home);
	if (writer->bulk == NULL)
		writer->bulk = GetBulkInsertState();
	MemoryContextSwitchTo(writer->scratch);
	table_multi_insert(writer->rel, writer->rows, writer->buffered,
					   writer->cid,
					   0, writer->bulk);
	for (int i = 0; i < writer->buffered; i++)
	{
		CHECK_FOR_INTERRUPTS();
		compat_insert_index_tuples_of_new(writer->result, writer->rows[i],
										  writer->estate);
		ResetPerTupleExprContext(writer->estate);
		ExecClearTuple(writer->rows[i]);
	}
	writer->buffered = 0;
	writer->bytes = 0;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(writer->scratch);
}

/*
 * Insert a row with these values, now or by rowwriter_close(); they are
 * copied. A duplicate key is an error (23505).
 */
void
rowwriter_insert(RowWriter *writer, const Datum *values, const bool *nulls)
{
	int			natts = RelationGetNumberOfAttributes(writer->rel);
	TupleTableSlot *row;

	if (writer->buffered >= writer->made)
	{
		MemoryContext caller = MemoryContextSwitchTo(writer->home);

		writer->rows[writer->made++] = table_slot_create(writer->rel, NULL);
		Assert(writer->made <= ROWWRITER_BUFFERED);
		MemoryContextSwitchTo(caller);
	}
	row = writer->rows[writer->buffered++];
	memcpy(row->tts_values, values, natts * sizeof(Datum));
	memcpy(row->tts_isnull, nulls, natts * sizeof(bool));
	ExecStoreVirtualTuple(row);
	ExecMaterializeSlot(row);
	row->tts_tableOid = RelationGetRelid(writer->rel);
	writer->bytes += ExecFetchSlotHeapTuple(row, false, NULL)->t_len;
	if (writer->buffered == ROWWRITER_BUFFERED || writer->bytes > BUFFERED_BYTES)
		flush(writer);
}

/*
 * Close the table; what was written is seen from now on.
 */
void
rowwriter_close(RowWriter *writer)
{
	flush(writer);
	for (int i = 0; i < writer->made; i++)
		ExecDropSingleTupleTableSlot(writer->rows[i]);
	if (writer->bulk != NULL)
		FreeBulkInsertState(writer->bulk);
	ExecDropSingleTupleTableSlot(writer->slot);
	ExecCloseIndices(writer->result);
	FreeExecutorState(writer->estate);
	MemoryContextDelete(writer->scratch);
	table_close(writer->rel, NoLock);
	AtEOXact_GUC(true, writer->nestlevel);
	SetUserIdAndSecContext(writer->caller, writer->sec_context);
	statement_close_direct();
	CommandCounterIncrement();
}
