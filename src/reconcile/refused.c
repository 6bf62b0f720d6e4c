/*
 * refused.c
 *	  The entities that an end of a link does not take, as far as a call has
 *	  found out, and what has to wait for them.
 *
 * What an end would not take shows when it is written (refusal.c), but for one
 * thing that is known before: what a sync makes of two versions may be larger
 * than an entity may be.
 *
 * They stay as they are at both ends.  What refers to one of them must not be
 * sent without it, nor may one be deleted to which it refers.  So these are
 * refused as well, in as many tries as that takes.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "directory/content.h"
#include "reconcile/refused.h"
#include "server/idtable.h"
#include "server/request.h"
#include "server/settings.h"

/* So many are listed with their reasons. */
#define LISTED 100

/* An entity that was refused, or that depends on one */
typedef struct Held
{
	const char *id;				/* hash key */
	bool		refused;
	bool		lacking;		/* the end that is written has none */
	const char *referrer;		/* one that is refused, and refers to it; or
								 * NULL */
} Held;

static Held *
find_held(const Refusals *refusals, const char *id)
{
	return refusals->entities == NULL ? NULL :
		hash_search(refusals->entities, &id, HASH_FIND, NULL);
}

static Held *
need_held(Refusals *refusals, const char *id)
{
	Held	   *held;
	bool		found;

	if (refusals->entities == NULL)
	{

		refusals->entities = idtable_create("diagsync refused entities",
											64, sizeof(Held),
											refusals->context);
	}
	held = hash_search(refusals->entities, &id, HASH_ENTER, &found);
	if (!found)
	{
		held->id = MemoryContextStrdup(refusals->context, id);
		held->refused = held->lacking = false;
		held->referrer = NULL;
	}
	return held;
}

static void
list_refusal(Refusals *refusals, const char *id, const char *sqlstate,
			 const char *reason)
{
	MemoryContext caller = MemoryContextSwitchTo(refusals->context);

	if (list_length(refusals->listed) < LISTED)
	{
		Refusal    *refusal = palloc0(sizeof(Refusal));

		refusal->id = pstrdup(id);
		strlcpy(refusal->sqlstate, sqlstate, sizeof(refusal->sqlstate));
		refusal->reason = pstrdup(reason);
		refusals->listed = lappend(refusals->listed, refusal);
	}
	MemoryContextSwitchTo(caller);
}

/* An item that is refused stays as it is, and so does its copy. */
static void
leave(const SyncRun *run, SyncItem *item)
{
	item->refused = true;
	decision_leave(&item->decision, &item->entity, run->direction);
	if (item->copy != NULL)
	{
		memset(&item->copy->decision, 0, sizeof(Decision));
		item->copy->decision.base = BASE_KEEP;
	}
}

/*
 * An item is refused, for that reason ("sqlstate" is "" where another one that
 * is refused is the reason): it stays as it is.  What depends on it is noted.
 */
void
refused_add(const SyncRun *run, SyncItem *item, const char *sqlstate,
			const char *reason)
{
	Refusals   *refusals = run->refusals;
	bool		push = run->direction == DIRECTION_PUSH;
	const Version *stays = push ? &item->entity.public : &item->entity.local;
	const Version *target = push ? item->decision.public :
		item->decision.local;
	Held	   *held = need_held(refusals, item->entity.id);
	ReferenceScan scan;
	JsonValue	value;

	held->refused = true;
	held->lacking = stays->doc == NULL && target != NULL && target->doc != NULL;
	if (item->copy != NULL)
		need_held(refusals, item->copy->entity.id)->lacking = true;
	refusals->lacks |= held->lacking || item->copy != NULL;
	reference_scan(&scan, run->reader.policy, stays->doc);
	while (reference_next(&scan, &value))
	{
		need_held(refusals, pnstrdup(value.data,
									 value.len))->referrer = held->id;
		refusals->needs = true;
	}
	refusals->count++;
	list_refusal(refusals, item->entity.id, sqlstate, reason);
	leave(run, item);
}

/*
 * Why an item has to wait for one that was refused; NULL: it has not.
 */
static const char *
reason_to_wait(const SyncRun *run, const SyncItem *item)
{
	bool		push = run->direction == DIRECTION_PUSH;
	const Version *stays = push ? &item->entity.public : &item->entity.local;
	const Version *target = push ? item->decision.public :
		item->decision.local;
	ReferenceScan scan;
	JsonValue	value;

	if (target == NULL)
		return NULL;
	if (target->doc == NULL)
	{
		const Held *held = find_held(run->refusals, item->entity.id);

		if (stays->doc == NULL || held == NULL || held->referrer == NULL)
			return NULL;
		return psprintf("\"%s\" refers to it, and was refused", held->referrer);
	}
	reference_scan(&scan, run->reader.policy, target->doc);
	while (reference_next(&scan, &value))
	{
		const char *id = pnstrdup(value.data, value.len);
		const Held *held = find_held(run->refusals, id);

		if (held != NULL && held->lacking)
			return psprintf("it refers to \"%s\", which was refused", id);
	}
	return NULL;
}

/*
 * Has an entity been refused before, so that it stays as it is?
 */
bool
refused_holds(const SyncRun *run, const char *id)
{
	const Held *held = run->refusals != NULL ?
		find_held(run->refusals, id) : NULL;

	return held != NULL && held->refused;
}

/* Is what an end is to hold made larger than an entity may be?  NULL: no. */
static const char *
reason_of_size(const Entity *entity, const Version *target)
{
	Size		size;

	if (!entity_is_made(entity, target) ||
		!content_is_too_large(target->doc, &size))
		return NULL;
	return psprintf("what it merges to is too large: it has %zu bytes as text; %d kB are allowed.",
					size, settings_max_entity_size);
}

/*
 * An item, about which it was decided, stays as it is if it was refused
 * before, has to wait for one that was, or is merged to more than is allowed.
 */
void
refused_decide(const SyncRun *run, SyncItem *item)
{
	const Held *held;
	const char *reason;

	item->refused = false;
	if (run->refusals == NULL)
		return;
	held = find_held(run->refusals, item->entity.id);
	if (held != NULL && held->refused)
		leave(run, item);
	else if (run->refusals->limited &&
			 ((reason = reason_of_size(&item->entity,
									   item->decision.local)) != NULL ||
			  (reason = reason_of_size(&item->entity,
									   item->decision.public)) != NULL))
		refused_add(run, item, "54000", reason);
	else if (run->refusals->entities != NULL &&
			 run->reader.policy->references > 0 &&
			 (reason = reason_to_wait(run, item)) != NULL)
		refused_add(run, item, "", reason);
}

/*
 * Has something been refused already?
 */
bool
refused_has_any(const SyncRun *run)
{
	return run->refusals != NULL && run->refusals->count > 0;
}

/*
 * Has something been refused since the last time, so that others may have to
 * wait for it: those that refer to it, or if the sync "deletes" those that it
 * refers to?
 */
bool
refused_spreads(const SyncRun *run, bool deletes)
{
	Refusals   *refusals = run->refusals;
	bool		spreads;

	if (refusals == NULL)
		return false;
	spreads = refusals->lacks || (refusals->needs && deletes);
	refusals->lacks = refusals->needs = false;
	return spreads && run->reader.policy->references > 0;
}

/*
 * The refused entities as a JSON array, the first hundred; NULL where there
 * are none.  palloc'd.
 */
char *
refused_json(const Refusals *refusals)
{
	StringInfoData json;
	ListCell   *lc;

	if (refusals->listed == NIL)
		return NULL;
	initStringInfo(&json);
	foreach(lc, refusals->listed)
	{
		const Refusal *refusal = lfirst(lc);

		appendStringInfoString(&json, json.len > 0 ? ", {\"id\": " : "[{\"id\": ");
		escape_json(&json, refusal->id);
		appendStringInfoString(&json, ", \"conflict\": \"refused\"");
		if (!request_is_http() && refusal->sqlstate[0] != '\0')
			appendStringInfo(&json, ", \"sqlstate\": \"%s\"", refusal->sqlstate);
		appendStringInfoString(&json, ", \"reason\": ");
		escape_json(&json, refusal->reason);
		appendStringInfoChar(&json, '}');
	}
	appendStringInfoChar(&json, ']');
	return json.data;
}
