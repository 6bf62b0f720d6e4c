/*
 * diff.c
 *	  What makes one document another, as a JSON Patch (RFC 6902): an operation
 *	  for each property that was added, removed or replaced, as deep inside as
 *	  objects and arrays are in both.  What the policy ignores makes none.
 *
 * A patch that would be many times as large as the documents (because of long
 * names around many small differences), or have more operations than patch()
 * takes, replaces the whole document instead; so does one of documents that
 * are too deep to be gone into.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "json/document.h"
#include "json/patch.h"
#include "merge/arraydiff.h"
#include "merge/diff.h"
#include "merge/policycompare.h"

/* How large all paths may be: so many times as both documents, and that */
#define PATH_FACTOR 4
#define PATH_BYTES (1024 * 1024)

typedef struct Operation
{
	const char *op;
	char	   *from;			/* of "move", else NULL */
	char	   *path;
	int			from_len;
	int			path_len;
	JsonValue	value;			/* exists where the operation takes one */
} Operation;

typedef struct Diff
{
	const Policy *policy;
	StringInfoData path;		/* where we are */
	Size		path_bytes;		/* of all operations */
	Size		most_path_bytes;
	bool		too_large;
	int			count;
	int			max;
	Operation  *operations;
} Diff;

/* ---- Paths and operations ----------------------------------------------- */

/* Go to a member; returns where the path was, to go back there. */
static int
enter_member(Diff *diff, JsonKey key)
{
	int			before = diff->path.len;

	appendStringInfoChar(&diff->path, '/');
	for (int i = 0; i < key.len; i++)
	{
		if (key.name[i] == '~')
			appendStringInfoString(&diff->path, "~0");
		else if (key.name[i] == '/')
			appendStringInfoString(&diff->path, "~1");
		else
			appendStringInfoChar(&diff->path, key.name[i]);
	}
	return before;
}

static int
enter_element(Diff *diff, int number)
{
	int			before = diff->path.len;

	appendStringInfo(&diff->path, "/%d", number);
	return before;
}

static void
go_back(Diff *diff, int before)
{
	diff->path.len = before;
	diff->path.data[before] = '\0';
}

static char *
copy_path(Diff *diff, int *len)
{
	char	   *path = palloc(diff->path.len + 1);

	memcpy(path, diff->path.data, diff->path.len + 1);
	*len = diff->path.len;
	return path;
}

/* An operation where we are; NULL where there are too many. */
static Operation *
add_operation(Diff *diff, const char *op)
{
	Operation  *operation;

	diff->path_bytes += diff->path.len;
	if (diff->count >= PATCH_MAX_OPERATIONS ||
		diff->path_bytes > diff->most_path_bytes)
	{
		diff->too_large = true;
		return NULL;
	}
	if (diff->count >= diff->max)
	{
		diff->max = Max(diff->max * 2, 16);
		diff->operations = diff->operations == NULL ?
			palloc(diff->max * sizeof(Operation)) :
			repalloc_huge(diff->operations, diff->max * sizeof(Operation));
	}
	operation = &diff->operations[diff->count++];
	memset(operation, 0, sizeof(Operation));
	operation->op = op;
	operation->path = copy_path(diff, &operation->path_len);
	return operation;
}

static void
note(Diff *diff, const char *op, JsonValue value)
{
	Operation  *operation = add_operation(diff, op);

	if (operation != NULL)
		operation->value = value;
}

static void
note_remove(Diff *diff)
{
	(void) add_operation(diff, "remove");
}

/* ---- Differences -------------------------------------------------------- */

static void diff_values(Diff *diff, const PolicyNode *node, JsonValue old,
						JsonValue new);

/* A property that is in both objects, or in one; "order" says which. */
static void
diff_property(Diff *diff, const PolicyNode *node, int order, JsonValue old,
			  JsonValue new)
{
	JsonValue	none = {JENTRY_ISNULL, NULL, 0};
	bool		no_old = policycompare_is_absent(diff->policy,
												 order <= 0 ? old : none);
	bool		no_new = policycompare_is_absent(diff->policy,
												 order >= 0 ? new : none);

	if ((node != NULL && node->ignore) || (no_old && no_new))
		return;
	if (order < 0)
		note_remove(diff);
	else if (order > 0)
		note(diff, "add", new);
	else if (no_old || no_new)
		note(diff, "replace", new);
	else
		diff_values(diff, node, old, new);
}

static void
diff_objects(Diff *diff, const PolicyNode *node, JsonValue old, JsonValue new)
{
	JsonMembers in_old;
	JsonMembers in_new;
	JsonKey		old_key;
	JsonKey		new_key;
	JsonValue	old_value;
	JsonValue	new_value;
	bool		more_old;
	bool		more_new;

	json_members(&in_old, old);
	json_members(&in_new, new);
	more_old = json_next_member(&in_old, &old_key, &old_value);
	more_new = json_next_member(&in_new, &new_key, &new_value);
	while ((more_old || more_new) && !diff->too_large)
	{
		int			order = !more_old ? 1 : !more_new ? -1 :
			json_compare_keys(old_key, new_key);
		JsonKey		key = order <= 0 ? old_key : new_key;
		int			before;

		if (order != 0 ||
			!json_identical_within(old_value, new_value, old.len))
		{
			before = enter_member(diff, key);
			diff_property(diff, policy_child(node, key), order, old_value,
						  new_value);
			go_back(diff, before);
		}
		if (order <= 0)
			more_old = json_next_member(&in_old, &old_key, &old_value);
		if (order >= 0)
			more_new = json_next_member(&in_new, &new_key, &new_value);
	}
}

/* Have two values nothing in common, as objects without a common name? */
static bool
is_another(JsonValue old, JsonValue new)
{
	JsonMembers members;
	JsonKey		key;
	JsonValue	value;

	if (!json_is_object(old) || !json_is_object(new))
		return false;
	json_members(&members, new);
	while (json_next_member(&members, &key, &value))
	{
		if (json_exists(json_member(old, key)))
			return false;
	}
	return members.count > 0;
}

static void
diff_element(Diff *diff, const PolicyNode *node, const ArrayStep *step)
{
	if (node != NULL && node->ignore)
		return;
	if (is_another(step->old, step->new))
		note(diff, "replace", step->new);
	else
		diff_values(diff, node, step->old, step->new);
}

static void
note_move(Diff *diff, int from)
{
	int			end = diff->path.len;
	Operation  *operation = add_operation(diff, "move");

	if (operation == NULL)
		return;
	while (diff->path.data[end] != '/')
		end--;
	go_back(diff, end);
	(void) enter_element(diff, from);
	diff->path_bytes += diff->path.len;
	operation->from = copy_path(diff, &operation->from_len);
}

static void
diff_arrays(Diff *diff, const PolicyNode *node, JsonValue old, JsonValue new)
{
	ArrayDiff	steps;

	if (!arraydiff_find(&steps, diff->policy, node, old, new))
	{
		note(diff, "replace", new);
		return;
	}
	for (int i = 0; i < steps.count && !diff->too_large; i++)
	{
		const ArrayStep *step = &steps.steps[i];
		int			before = enter_element(diff, step->at);

		CHECK_FOR_INTERRUPTS();
		switch (step->kind)
		{
			case ARRAY_REMOVE:
				note_remove(diff);
				break;
			case ARRAY_ADD:
				note(diff, "add", step->new);
				break;
			case ARRAY_MOVE:
				note_move(diff, step->from);
				break;
			case ARRAY_REPLACE:
				note(diff, "replace", step->new);
				break;
			case ARRAY_INSIDE:
				diff_element(diff, policy_element(node, step->number), step);
				break;
		}
		go_back(diff, before);
	}
	arraydiff_free(&steps);
}

static void
diff_values(Diff *diff, const PolicyNode *node, JsonValue old, JsonValue new)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (json_is_object(old) && json_is_object(new))
		diff_objects(diff, node, old, new);
	else if (json_is_array(old) && json_is_array(new))
		diff_arrays(diff, node, old, new);
	else if (!policycompare_values(diff->policy, NULL, false, old, new))
		note(diff, "replace", new);
}

/* ---- The patch ---------------------------------------------------------- */

static JsonBuild *
build_operation(const Operation *operation)
{
	JsonBuild  *build = palloc0(sizeof(JsonBuild));
	JsonValue	path = {JENTRY_ISSTRING, operation->path, operation->path_len};
	JsonValue	from = {JENTRY_ISSTRING, operation->from, operation->from_len};

	/* In the order of keys */
	json_build_reserve(build, 3);
	json_build_value(build, json_key("op"), json_string(operation->op));
	if (operation->from != NULL)
		json_build_value(build, json_key("from"), from);
	json_build_value(build, json_key("path"), path);
	if (json_exists(operation->value))
		json_build_value(build, json_key("value"), operation->value);
	return build;
}

static Jsonb *
build_patch(const Diff *diff)
{
	JsonBuild	build = {.is_array = true};
	JsonKey		none = {NULL, 0};

	json_build_reserve(&build, diff->count);
	for (int i = 0; i < diff->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		json_build_made(&build, none, build_operation(&diff->operations[i]));
	}
	return json_build_end(&build);
}

/* All of the document becomes another one. */
static void
replace_all(Diff *diff, JsonValue new)
{
	diff->count = 0;
	diff->path_bytes = 0;
	go_back(diff, 0);
	note(diff, "replace", new);
}

/*
 * The patch that makes a new document of an old one, as a policy sees it.
 * NULL is a document that does not exist.  palloc'd.  An error (54000) where
 * the patch would be larger than a jsonb can be.
 */
Jsonb *
diff_documents(const Policy *policy, const Jsonb *old, const Jsonb *new)
{
	JsonValue	old_value = json_content(old);
	JsonValue	new_value = json_content(new);
	Diff		diff = {.policy = policy};

	initStringInfo(&diff.path);
	diff.most_path_bytes = PATH_BYTES +
		PATH_FACTOR * ((Size) old_value.len + new_value.len);
	if (old == NULL || new == NULL)
	{
		if (old != NULL)
			note_remove(&diff);
		else if (new != NULL)
			note(&diff, "add", new_value);
	}
	else if (!document_identical(old, new))
	{
		if (document_is_too_deep(old) || document_is_too_deep(new))
			diff.too_large = true;
		else
			diff_values(&diff, &policy->root, old_value, new_value);
		if (diff.too_large)
			replace_all(&diff, new_value);
	}
	return build_patch(&diff);
}
