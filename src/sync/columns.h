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
	Datum	   *explanations;
	bool	   *no_explanation;
	SyncItem  **items;
} Columns;

#define KEYS(c) columns_array((c)->keys, NULL, (c)->n, TEXTOID)
#define TIDS(c) columns_array((c)->tids, NULL, (c)->n, TIDOID)
#define DOCS(c) columns_array((c)->docs, (c)->no_doc, (c)->n, JSONBOID)
#define TIMES(c) columns_array((c)->times, (c)->no_time, (c)->n, TIMESTAMPTZOID)
#define PRINCIPALS(c) \
	columns_array((c)->principals, (c)->no_principal, (c)->n, TEXTOID)

#define EXPLANATIONS(c) \
	columns_array((c)->explanations, (c)->no_explanation, (c)->n, BOOLOID)

extern void columns_init(Columns *columns, int max);
extern void columns_add(Columns *columns, SyncItem *item, ItemPointer tid,
						const Jsonb *doc, TimestampTz at, const char *by);
extern void columns_set_explanation(Columns *columns, Explanation explanation);
extern Datum columns_array(Datum *values, bool *nulls, int n, Oid type);

#endif							/* DIAGSYNC_COLUMNS_H */
