/*
 * entity.c
 *	  Many entities written or deleted in one call: put() and remove().
 *
 * They are ordinary edits, which the triggers capture.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "directory/directory.h"
#include "directory/quota.h"
#include "server/sqlfunction.h"
#include "server/textarg.h"
#include "statement/ownersql.h"

/*
 * Entities with the same content are not touched; that the document repeats
 * the id is none.
 */
static OwnerSql put_entities =
OWNER_SQL("INSERT INTO %1$s.entity AS e (diagram_id, id, doc)"
		  " SELECT $1, c.id, c.doc FROM unnest($2, $3) AS c(id, doc)"
		  " ON CONFLICT (diagram_id, id) DO UPDATE SET doc = excluded.doc"
		  " WHERE e.doc" NE "excluded.doc"
		  "  AND (NOT excluded.doc OPERATOR(pg_catalog.?) 'id'"
		  "   OR e.doc" NE "(excluded.doc OPERATOR(pg_catalog.-) 'id'::pg_catalog.text))",
		  3, TEXTOID, TEXTARRAYOID, JSONBARRAYOID);

static OwnerSql remove_entities =
OWNER_SQL("DELETE FROM %1$s.entity WHERE diagram_id" EQ "$1 AND id" EQ "ANY ($2)",
		  2, TEXTOID, TEXTARRAYOID);

typedef struct PutEntity
{
	char	   *id;
	Jsonb	   *doc;
} PutEntity;

static int
compare_ids(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();		/* nothing is held while they are sorted */
	return strcmp(((const PutEntity *) a)->id, ((const PutEntity *) b)->id);
}

static void
bad_entity(const char *diagram, int n, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("entity %d for diagram \"%s\" %s", n, diagram, what),
			 errhint("Give an array of objects, each with a string \"id\" of 1 to 400 characters.")));
}

/*
 * The entities of the array that put() was given, by ascending ids (so that
 * two calls lock the same rows in the same order).
 */
static PutEntity *
parse_entities(const char *diagram, Jsonb *array, int *count)
{
	PutEntity  *entities;
	JsonbIterator *it;
	JsonbValue	value;
	int			n = 0;

	if (!JB_ROOT_IS_ARRAY(array) || JB_ROOT_IS_SCALAR(array))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("entities for diagram \"%s\" must be a JSON array", diagram),
				 errhint("Give an array of objects, each with a string \"id\" of 1 to 400 characters.")));

	entities = palloc(Max(JB_ROOT_COUNT(array), 1) * sizeof(PutEntity));
	it = JsonbIteratorInit(&array->root);
	(void) JsonbIteratorNext(&it, &value, true);	/* the array itself */
	while (JsonbIteratorNext(&it, &value, true) == WJB_ELEM)
	{
		JsonbValue	id;
		int			length;

		CHECK_FOR_INTERRUPTS();
		if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
			bad_entity(diagram, n + 1, "is not an object");
		if (getKeyJsonValueFromContainer(value.val.binary.data, "id", 2, &id) == NULL)
			bad_entity(diagram, n + 1, "has no \"id\"");
		if (id.type != jbvString)
			bad_entity(diagram, n + 1, "has an \"id\" that is not a string");
		length = pg_mbstrlen_with_len(id.val.string.val, id.val.string.len);
		if (length < 1)
			bad_entity(diagram, n + 1, "has an empty \"id\"");
		if (length > MAX_ENTITY_ID)
			bad_entity(diagram, n + 1, "has an \"id\" of more than 400 characters");
		entities[n].id = pnstrdup(id.val.string.val, id.val.string.len);
		entities[n].doc = JsonbValueToJsonb(&value);
		n++;
	}
	qsort(entities, n, sizeof(PutEntity), compare_ids);
	for (int i = 1; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (strcmp(entities[i - 1].id, entities[i].id) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("entity \"%s\" for diagram \"%s\" is given more than once",
							entities[i].id, diagram),
					 errhint("Give each id once.")));
	}
	*count = n;
	return entities;
}

/*
 * The diagram as it is now, locked as by any writer.
 */
static Diagram *
find_diagram(const char *id)
{
	return directory_lock_seen_for_edit(id, ACCESS_WRITER);
}

/*
 * diagsync.put(diagram, entities)
 *
 * Shares the lock on the diagram, and locks the entities.
 */
DIAGSYNC_FUNCTION(diagsync_put)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										"diagram");
	PutEntity  *entities;
	int			count;
	Diagram    *diagram;
	Datum	   *ids;
	Datum	   *docs;
	Datum		values[3];
	uint64		written = 0;

	directory_refuse_null(PG_ARGISNULL(1), "entities", id);
	PreventCommandIfReadOnly("diagsync.put()");

	SPI_connect();
	entities = parse_entities(id, PG_GETARG_JSONB_P(1), &count);
	diagram = find_diagram(id);
	if (quota_applies())
		quota_check_put(id, count);
	ids = palloc(Max(count, 1) * sizeof(Datum));
	docs = palloc(Max(count, 1) * sizeof(Datum));
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ids[i] = CStringGetTextDatum(entities[i].id);
		docs[i] = JsonbPGetDatum(entities[i].doc);
	}
	values[0] = diagram->key;
	values[1] = PointerGetDatum(construct_array(ids, count, TEXTOID, -1, false,
												TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(docs, count, JSONBOID, -1,
												false,
												TYPALIGN_INT));
	if (count > 0)
		written = ownersql_run(&put_entities, diagram->storage, values, NULL,
							   0);
	SPI_finish();
	PG_RETURN_INT32((int32) written);
}

/*
 * diagsync.remove(diagram, ids)
 *
 * Locks as put() does.  Ids that do not exist are passed over.
 */
DIAGSYNC_FUNCTION(diagsync_remove)
{
	char	   *id = directory_name_arg(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
										"diagram");
	Diagram    *diagram;
	Datum		values[2];
	uint64		removed;

	directory_refuse_null(PG_ARGISNULL(1), "ids", id);
	if (array_contains_nulls(PG_GETARG_ARRAYTYPE_P(1)))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" for diagram \"%s\" must not contain nulls",
						"ids", id)));

	PreventCommandIfReadOnly("diagsync.remove()");
	SPI_connect();
	diagram = find_diagram(id);
	values[0] = diagram->key;
	values[1] = PG_GETARG_DATUM(1);
	removed = ownersql_run(&remove_entities, diagram->storage, values, NULL,
						   0);
	SPI_finish();
	PG_RETURN_INT32((int32) removed);
}
