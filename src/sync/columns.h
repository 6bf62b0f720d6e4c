/*
 * columns.h
 *	  Values of the rows of a batch, collected by column.
 */
#ifndef DIAGSYNC_COLUMNS_H
#define DIAGSYNC_COLUMNS_H

#include "catalog/pg_type.h"

#include "reconcile/syncitem.h"

/* The arrays are in step. */
typedef struct Columns
{
	int			n;
	int			max;
	Datum	   *keys;
	Datum	   *tids;
	Datum	   *docs;
	bool	   *no_doc;
	Datum	   *times;
	bool	   *no_time;
	Datum	   *principals;
	bool	   *no_principal;
	Datum	   *doubts;
	bool	   *no_doubt;
	SyncItem  **items;
} Columns;

#define KEYS(c) columns_array((c)->keys, NULL, (c)->n, TEXTOID)
#define TIDS(c) columns_array((c)->tids, NULL, (c)->n, TIDOID)
#define DOCS(c) columns_array((c)->docs, (c)->no_doc, (c)->n, JSONBOID)
#define TIMES(c) columns_array((c)->times, (c)->no_time, (c)->n, TIMESTAMPTZOID)
#define PRINCIPALS(c) \
	columns_array((c)->principals, (c)->no_principal, (c)->n, TEXTOID)

#define DOUBTS(c) \
	columns_array((c)->doubts, (c)->no_doubt, (c)->n, BOOLOID)

extern void columns_init(Columns *columns, int max);
extern void columns_add(Columns *columns, SyncItem *item, ItemPointer tid,
						const Jsonb *doc, TimestampTz at, const char *by);
extern void columns_set_doubt(Columns *columns, Doubt doubt);
extern Datum columns_array(Datum *values, bool *nulls, int n, Oid type);

#endif							/* DIAGSYNC_COLUMNS_H */
