/*
 * columns.c
 *	  Values of the rows of a batch, collected by column, for owner SQL that
 *	  is given arrays.
 */
#include "postgres.h"

#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "sync/columns.h"

/*
 * Room for that many.
 */
void
columns_init(Columns *columns, int max)
{
	columns->n = 0;
	columns->max = max;
	columns->keys = palloc(max * sizeof(Datum));
	columns->tids = palloc(max * sizeof(Datum));
	columns->docs = palloc(max * sizeof(Datum));
	columns->no_doc = palloc(max * sizeof(bool));
	columns->times = palloc(max * sizeof(Datum));
	columns->no_time = palloc(max * sizeof(bool));
	columns->principals = palloc(max * sizeof(Datum));
	columns->no_principal = palloc(max * sizeof(bool));
	columns->explanations = palloc(max * sizeof(Datum));
	columns->no_explanation = palloc(max * sizeof(bool));
	columns->items = palloc(max * sizeof(SyncItem *));
}

/*
 * Add an item's key, and what else the command takes of it.
 */
void
columns_add(Columns *columns, SyncItem *item, ItemPointer tid,
			const Jsonb *doc,
			TimestampTz at, const char *by)
{
	int			n = columns->n++;

	Assert(n < columns->max);
	columns->keys[n] = item->entity.key;
	columns->tids[n] = PointerGetDatum(tid);
	columns->docs[n] = PointerGetDatum(doc);
	columns->no_doc[n] = doc == NULL;
	columns->times[n] = TimestampTzGetDatum(at);
	columns->no_time[n] = at == DT_NOBEGIN;
	columns->principals[n] = by ? CStringGetTextDatum(by) : (Datum) 0;
	columns->no_principal[n] = by == NULL;
	columns->no_explanation[n] = true;
	columns->items[n] = item;
}

/*
 * Set what a base row is to say, in column "unknown", of the item that was
 * added last.
 */
void
columns_set_explanation(Columns *columns, Explanation explanation)
{
	int			n = columns->n - 1;

	columns->explanations[n] = BoolGetDatum(explanation == EXPLANATION_MISSING);
	columns->no_explanation[n] = explanation == EXPLANATION_BY_RECORDS;
}

/*
 * An array of values of a type; "nulls" may be NULL: there are none.
 */
Datum
columns_array(Datum *values, bool *nulls, int n, Oid type)
{
	int			lower = 1;
	int16		typlen;
	bool		typbyval;
	char		typalign;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower,
											  type, typlen, typbyval,
											  typalign));
}
