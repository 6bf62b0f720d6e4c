/*
 * core.c
 *	  Calls of the merge core, for fuzzers that are not written in PostgreSQL's C.
 */
#include "postgres.h"

#include "core.h"
#include "json/document.h"
#include "merge/policy.h"
#include "merge/preset.h"
#include "merge/reference.h"
#include "merge/policycompare.h"
#include "merge/threeway.h"

void
core_forget(void)
{
	server_free_all();
}

/* ---- The merge: as merge.c does it -------------------------------------------- */

static void
call_merge(void *argument)
{
	CoreMerge  *merge = argument;
	Threeway	threeway = {
		.policy = policy_parse(merge->policy == NULL ? NULL :
							   policy_expand(merge->policy, NULL), NULL),
		.local_is_newer = merge->local_is_newer,
		.base = merge->base,
		.local = merge->local,
		.public = merge->remote,
	};
	ListCell   *lc;

	threeway_classify(&threeway);
	merge->local_changed = threeway.local_changed;
	merge->remote_changed = threeway.public_changed;
	merge->differ = threeway.differ;
	merge->are_same = policycompare_documents(threeway.policy, merge->local, merge->remote);
	merge->merged = threeway.conflicts == NIL ? threeway_merged(&threeway, SIDE_NONE) : NULL;
	if (threeway.conflicts != NIL)
	{
		merge->local_wins = threeway_merged(&threeway, SIDE_LOCAL);
		merge->remote_wins = threeway_merged(&threeway, SIDE_PUBLIC);
	}
	merge->paths = threeway_paths(threeway.conflicts)->ndim;
	merge->conflicts = list_length(threeway.conflicts);
	merge->conflict = palloc0(merge->conflicts * sizeof(CoreConflict));
	foreach(lc, threeway.conflicts)
	{
		const Conflict *conflict = lfirst(lc);
		CoreConflict  *copy = &merge->conflict[foreach_current_index(lc)];

		copy->path = VARDATA_ANY(conflict->path);
		copy->path_len = VARSIZE_ANY_EXHDR(conflict->path);
		copy->base = json_document(conflict->values.base);
		copy->local = json_document(conflict->values.local);
		copy->remote = json_document(conflict->values.public);
	}
}

const char *
core_merge(CoreMerge *merge)
{
	return server_catch(call_merge, merge);
}

/* ---- Policies ----------------------------------------------------------------- */

typedef struct PolicyCall
{
	const void *given;
	const char *diagram;
	CorePolicy *policy;
} PolicyCall;

static void
set_path(CoreMark *mark, const JsonPointer *pointer)
{
	text	   *path = pointer_text(pointer);

	mark->path = VARDATA_ANY(path);
	mark->path_len = VARSIZE_ANY_EXHDR(path);
}

static int
count_nodes(const PolicyNode *node)
{
	int			count = 1;

	for (int i = 0; i < node->count; i++)
		count += count_nodes(node->children[i]);
	return count;
}

/* All places that are marked; the path has room for those inside the node. */
static void
list_marks(CorePolicy *policy, const PolicyNode *node, JsonPointer *path)
{
	if (node->ignore || node->latest || node->group != NO_GROUP)
	{
		CoreMark   *mark = &policy->mark[policy->marks++];

		set_path(mark, path);
		mark->ignore = node->ignore;
		mark->latest = node->latest;
		mark->group = node->group;
	}
	for (int i = 0; i < node->count; i++)
	{
		path->keys[path->count++] = node->children[i]->key;
		list_marks(policy, node->children[i], path);
		path->count--;
	}
}

static void
call_policy(void *argument)
{
	PolicyCall *call = argument;
	const Jsonb *expanded = call->policy->is_expanded ? call->given :
		policy_expand(call->given, call->diagram);
	Policy	   *policy = policy_parse(expanded, call->diagram);
	int			nodes = count_nodes(&policy->root);
	JsonPointer path = {0, palloc0(nodes * sizeof(JsonKey))};

	call->policy->expanded = expanded;
	call->policy->mark = palloc0(nodes * sizeof(CoreMark));
	list_marks(call->policy, &policy->root, &path);
	if (policy->tolerance != NULL)
	{
		JsonValue	number = {JENTRY_ISNUMERIC, (char *) policy->tolerance, VARSIZE_ANY(policy->tolerance)};

		call->policy->tolerance = json_document(number);
	}
	call->policy->references = policy->references;
	call->policy->reference = palloc0(policy->references * sizeof(CoreMark));
	for (int i = 0; i < policy->references; i++)
		set_path(&call->policy->reference[i], &policy->reference[i]);
}

const char *
core_policy(const void *given, const char *diagram, CorePolicy *policy)
{
	PolicyCall	call = {given, diagram, policy};

	return server_catch(call_policy, &call);
}

const char *
core_preset(const char *name)
{
	return preset_policy(name);
}

/* ---- Pointers ----------------------------------------------------------------- */

typedef struct PointerCall
{
	const char *text;
	int			len;
	const void *document;
	CorePointer *pointer;
} PointerCall;

static void
call_pointer(void *argument)
{
	PointerCall *call = argument;
	CorePointer *result = call->pointer;
	JsonPointer pointer;
	text	   *text;

	if (!pointer_parse(&pointer, call->text, call->len))
	{
		result->count = -1;
		return;
	}
	result->count = pointer.count;
	result->keys = palloc0(pointer.count * sizeof(CoreKey));
	for (int i = 0; i < pointer.count; i++)
	{
		result->keys[i].name = pointer.keys[i].name;
		result->keys[i].len = pointer.keys[i].len;
	}
	text = pointer_text(&pointer);
	result->text = VARDATA_ANY(text);
	result->text_len = VARSIZE_ANY_EXHDR(text);
	result->value = json_document(pointer_value(&pointer, json_root(call->document)));
}

const char *
core_pointer(const char *text, int len, const void *document, CorePointer *pointer)
{
	PointerCall call = {text, len, document, pointer};

	return server_catch(call_pointer, &call);
}

/* ---- Entities ----------------------------------------------------------------- */

static const char *
digest_of(const Jsonb *document, const char *id)
{
	Digest	   *digest = digest_begin();

	digest_document(digest, document);
	digest_string(digest, id);
	digest_string(digest, NULL);
	return digest_end(digest);
}

static void
call_entity(void *argument)
{
	CoreEntity *entity = argument;
	Policy	   *policy = policy_parse(entity->policy == NULL ? NULL :
									  policy_expand(entity->policy, NULL), NULL);
	List	   *renames = NIL;
	ReferenceScan scan;
	JsonValue	id;
	int			room = 0;

	for (int i = 0; i < entity->id_count; i++)
	{
		Rename	   *rename = palloc(sizeof(Rename));

		rename->id = unconstify(char *, entity->ids[i]);
		rename->new_id = unconstify(char *, entity->new_ids[i]);
		renames = lappend(renames, rename);
	}
	entity->renamed = document_rename(entity->document, entity->id, entity->new_id);
	entity->redirected = reference_redirect(policy, unconstify(Jsonb *, (const Jsonb *) entity->document),
								 renames, entity->base, entity->other);
	entity->equals_other = document_equal(entity->document, entity->other);
	entity->digest = digest_of(entity->document, entity->id);
	entity->other_digest = digest_of(entity->other, entity->id);

	entity->reference = palloc(0);
	reference_scan(&scan, policy, entity->document);
	for (entity->references = 0; reference_next(&scan, &id); entity->references++)
	{
		CoreReference *reference;

		if (entity->references >= room)
		{
			room = 2 * room + 8;
			entity->reference = repalloc(entity->reference, room * sizeof(CoreReference));
		}
		reference = &entity->reference[entity->references];
		set_path(&reference->place, scan.place);
		reference->id = json_document(id);
	}
}

const char *
core_entity(CoreEntity *entity)
{
	return server_catch(call_entity, entity);
}
