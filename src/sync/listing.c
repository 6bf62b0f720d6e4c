/*
 * listing.c
 *	  What a sync would do with its entities, as a JSON array.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#include "sync/listing.h"

/* A listing ends with so many bytes, if not before */
#define LISTING_BYTES (1024 * 1024)

/* What becomes of a version in one copy: insert, update, delete, or NULL */
static const char *
change_of(const Version *current, const Version *target)
{
	if (target == NULL || (target->doc == NULL && current->doc == NULL))
		return NULL;
	return change_name(target->doc == NULL ? CHANGE_DELETE :
					   current->doc == NULL ? CHANGE_INSERT : CHANGE_UPDATE);
}

static void
append_name(StringInfo json, const char *member, const char *name)
{
	appendStringInfo(json, ", \"%s\": ", member);
	if (name != NULL)
		appendStringInfo(json, "\"%s\"", name);
	else
		appendStringInfoString(json, "null");
}

static void
append_doc(StringInfo json, const char *member, Jsonb *doc)
{
	appendStringInfo(json, ", \"%s\": ", member);
	if (doc != NULL)
		(void) JsonbToCString(json, &doc->root, VARSIZE(doc));
	else
		appendStringInfoString(json, "null");
}

static void
append_paths(StringInfo json, const Entity *entity)
{
	Datum	   *paths;
	int			n;

	appendStringInfoString(json, ", \"paths\": ");
	if (entity->conflict == CONFLICT_NONE)
	{
		appendStringInfoString(json, "null");
		return;
	}
	deconstruct_array(entity_paths(entity), TEXTOID, -1, false, TYPALIGN_INT,
					  &paths, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(json, i > 0 ? ", " : "[");
		escape_json(json, TextDatumGetCString(paths[i]));
	}
	appendStringInfoString(json, n > 0 ? "]" : "[]");
}

/*
 * Begin with an empty page.
 */
void
listing_begin(Listing *listing)
{
	listing->seen = listing->n = 0;
	listing->more = false;
	resetStringInfo(&listing->json);
	appendStringInfoChar(&listing->json, '[');
}

/*
 * Add what a sync would do with an entity to a listing, if that is in its
 * page.
 */
void
listing_add(Listing *listing, const SyncItem *item, Direction direction)
{
	StringInfo	json = &listing->json;
	const Entity *entity = &item->entity;
	const Decision *decision = &item->decision;
	bool		push = direction == DIRECTION_PUSH;
	const Version *before = push ? &entity->public : &entity->local;
	const Version *after = push ? decision->public : decision->local;

	if (listing->more || listing->seen++ < listing->first)
		return;
	if (listing->n >= listing->max || json->len >= LISTING_BYTES)
	{
		listing->more = true;
		return;
	}
	appendStringInfoString(json, listing->n++ > 0 ? ", {\"id\": " : "{\"id\": ");
	escape_json(json, entity->id);
	append_name(json, "local", change_of(&entity->local, decision->local));
	append_name(json, "public", change_of(&entity->public, decision->public));
	append_name(json, "conflict", conflict_name(entity->conflict));
	append_paths(json, entity);
	appendStringInfo(json, ", \"resolved\": %s, \"merged\": %s",
					 decision->resolved ? "true" : "false",
					 decision->merged ? "true" : "false");
	append_doc(json, "before", before->doc);
	append_doc(json, "after", after != NULL ? after->doc : before->doc);
	appendStringInfoChar(json, '}');
}
