/*
 * rowwriter.h
 *	  Rows updated and deleted without SQL.
 */
#ifndef DIAGSYNC_ROWWRITER_H
#define DIAGSYNC_ROWWRITER_H

#include "nodes/execnodes.h"

#include "table/storage.h"

/* Rows that are inserted at once */
#define ROWWRITER_BUFFERED 1000

/* A table open for writing */
typedef struct RowWriter
{
	Relation	rel;
	ResultRelInfo *result;
	EState	   *estate;
	TupleTableSlot *slot;
	CommandId	cid;
	Oid			caller;			/* what is to be restored */
	int			sec_context;
	int			nestlevel;

	/* Rows that are still to be inserted */
	TupleTableSlot *rows[ROWWRITER_BUFFERED];
	int			made;			/* slots there are */
	int			buffered;		/* slots in use */
	Size		bytes;
	struct BulkInsertStateData *bulk;
	MemoryContext home;			/* of all that lasts until it is closed */
	MemoryContext scratch;		/* reset whenever rows are inserted */
} RowWriter;

extern bool rowwriter_suits(StorageType storage, StorageTable table);
extern void rowwriter_open(RowWriter *writer, StorageType storage,
						   StorageTable table, CmdType command);
extern bool rowwriter_update(RowWriter *writer, ItemPointer tid,
							 const Datum *values, const bool *nulls);
extern bool rowwriter_delete(RowWriter *writer, ItemPointer tid);
extern void rowwriter_insert(RowWriter *writer, const Datum *values,
							 const bool *nulls);
extern void rowwriter_close(RowWriter *writer);

#endif							/* DIAGSYNC_ROWWRITER_H */
