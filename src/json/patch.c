/*
 * patch.c
 *	  JSON Patch (RFC 6902): its operations applied to a document, one after
 *	  the other.  All of them are, or it is an error.
 *
 * What an operation does not go through is not unpacked (tree.c), so the cost
 * is in proportion to the patch and the containers that it changes.  A patch
 * comes from users: what it can make of a small one with "copy" is limited,
 * and no operation costs more than its own size and the depth of its path, but
 * for a walk over the chunks of an array.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "json/patch.h"
#include "json/pointer.h"
#include "json/tree.h"
#include "server/compat.h"

/* Bytes of a path, or of what stands in its place, that an error repeats */
#define SHOWN_BYTES 200

typedef enum OperationKind
{
	OPERATION_ADD,
	OPERATION_REMOVE,
	OPERATION_REPLACE,
	OPERATION_MOVE,
	OPERATION_COPY,
	OPERATION_TEST,
} OperationKind;

static const struct
{
	const char *name;
	bool		has_from;
	bool		has_value;
}			kinds[] =

{
	[OPERATION_ADD] = {"add", false, true},
	[OPERATION_REMOVE] = {"remove", false, false},
	[OPERATION_REPLACE] = {"replace", false, true},
	[OPERATION_MOVE] = {"move", true, false},
	[OPERATION_COPY] = {"copy", true, false},
	[OPERATION_TEST] = {"test", false, true},
};

typedef struct Operation
{
	int			number;			/* in the patch, from 1 on */
	OperationKind kind;
	JsonValue	shown;			/* its path as it was given */
	JsonPointer path;
	JsonPointer from;			/* of "move" and "copy" */
	JsonValue	value;			/* of "add", "replace" and "test" */
} Operation;

/* A document to which a patch is being applied */
typedef struct Patching
{
	JsonItem	document;		/* does not exist before it is added */
	Size		copied;			/* bytes, by all operations */
} Patching;

/* A text for a message: cut where it is long */
static char *
shown(JsonValue string)
{
	int			len = (int) Min(string.len, SHOWN_BYTES);

	len = pg_mbcliplen(string.data, (int) string.len, len);
	return psprintf("%s%s", pnstrdup(string.data, len),
					len < (int) string.len ? "..." : "");
}

/* ---- Operations are read ------------------------------------------------ */

pg_noreturn static void refuse(int number, const char *detail,
							   const char *hint);

static void
refuse(int number, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("operation %d of the patch is invalid", number),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

/* A member of an operation that must be there */
static JsonValue
member_of(int number, JsonValue operation, const char *name)
{
	JsonValue	value = json_member(operation, json_key(name));

	if (!json_exists(value))
		refuse(number, psprintf("\"%s\" is missing.", name),
			   "Give each operation \"op\", \"path\", and what the operation takes: \"value\" or \"from\".");
	return value;
}

static OperationKind
kind_of(int number, JsonValue operation)
{
	const char *hint = "The operations are add, remove, replace, move, copy and test.";
	JsonValue	op = member_of(number, operation, "op");

	if (!json_is_string(op))
		refuse(number, "\"op\" is not a string.", hint);
	for (int i = 0; i < (int) lengthof(kinds); i++)
	{
		if (json_identical(op, json_string(kinds[i].name)))
			return (OperationKind) i;
	}
	refuse(number, psprintf("\"op\" is \"%s\".", shown(op)), hint);
}

/* "path" or "from"; returns it as it was given. */
static JsonValue
read_pointer(int number, JsonValue operation, const char *name,
			 JsonPointer *pointer)
{
	const char *hint = "A JSON Pointer is empty or a string such as \"/position/x\", with \"~0\" for \"~\" and \"~1\" for \"/\" in a name.";
	JsonValue	value = member_of(number, operation, name);

	if (!json_is_string(value))
		refuse(number, psprintf("\"%s\" is not a string.", name), hint);
	if (!pointer_parse(pointer, value.data, value.len))
		refuse(number, psprintf("\"%s\" is \"%s\", which is no JSON Pointer.",
								name, shown(value)), hint);
	if (pointer->count > PATCH_MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("operation %d of the patch goes too deep", number),
				 errdetail("\"%s\" has %d levels, the most are %d.", name,
						   pointer->count, PATCH_MAX_DEPTH)));
	return value;
}

static void
read_operation(int number, JsonValue given, Operation *operation)
{
	memset(operation, 0, sizeof(Operation));
	operation->number = number;
	if (!json_is_object(given))
		refuse(number, "It is not an object.",
			   "A patch is an array of objects such as {\"op\": \"remove\", \"path\": \"/color\"}.");
	operation->kind = kind_of(number, given);
	operation->shown = read_pointer(number, given, "path", &operation->path);
	if (kinds[operation->kind].has_from)
		(void) read_pointer(number, given, "from", &operation->from);
	if (kinds[operation->kind].has_value)
		operation->value = member_of(number, given, "value");
}

/* ---- Places in the document --------------------------------------------- */

pg_noreturn static void fail(const Operation *operation, int sqlerrcode,
							 const char *detail);

static void
fail(const Operation *operation, int sqlerrcode, const char *detail)
{
	ereport(ERROR,
			(errcode(sqlerrcode),
			 errmsg("operation %d of the patch cannot be applied: %s \"%s\"",
					operation->number, kinds[operation->kind].name,
					shown(operation->shown)),
			 errdetail_internal("%s", detail)));
}

/* The first keys of a pointer, for a message */
static char *
shown_pointer(const JsonPointer *pointer, int keys)
{
	JsonPointer first = {keys, pointer->keys};
	text	   *string = pointer_text(&first);
	JsonValue	value = {JENTRY_ISSTRING, VARDATA_ANY(string),
	VARSIZE_ANY_EXHDR(string)};

	return shown(value);
}

pg_noreturn static void fail_missing(const Operation *operation,
									 const JsonPointer *pointer, int keys);

static void
fail_missing(const Operation *operation, const JsonPointer *pointer, int keys)
{
	fail(operation, ERRCODE_INVALID_PARAMETER_VALUE,
		 keys == 0 ? "There is no document." :
		 psprintf("There is nothing at \"%s\".",
				  shown_pointer(pointer, keys)));
}

/*
 * What the last of some keys of a pointer says of an array with that many
 * elements: a number below "end", or an error.
 */
static int
number_of(const Operation *operation, const JsonPointer *pointer, int keys,
		  int count, int end)
{
	JsonKey		key = pointer->keys[keys - 1];
	int64		number = 0;

	if (key.len == 1 && key.name[0] == '-')
		number = count;
	else
	{
		bool		valid = key.len > 0 && (key.len == 1 || key.name[0] != '0');

		for (int i = 0; i < key.len; i++)
		{
			valid = valid && key.name[i] >= '0' && key.name[i] <= '9';
			if (valid && number <= PG_INT32_MAX)
				number = number * 10 + (key.name[i] - '0');
		}
		if (!valid)
			fail(operation, ERRCODE_INVALID_PARAMETER_VALUE,
				 psprintf("\"%s\" does not end with the number of an element.",
						  shown_pointer(pointer, keys)));
	}
	if (number >= end)
		fail(operation, ERRCODE_ARRAY_SUBSCRIPT_ERROR,
			 psprintf("The array at \"%s\" has %d elements.",
					  shown_pointer(pointer, keys - 1), count));
	return (int) number;
}

/* What a pointer leads to, without unpacking anything */
static JsonItem
item_at(const Patching *patching, const Operation *operation,
		const JsonPointer *pointer)
{
	JsonItem	item = patching->document;

	for (int i = 0; i <= pointer->count; i++)
	{
		if (i > 0 && tree_item_is_array(item))
		{
			int			count = tree_item_count(item);

			item = tree_item_element(item, number_of(operation, pointer, i,
													 count, count));
		}
		else if (i > 0)
			item = tree_item_member(item, pointer->keys[i - 1]);
		if (!tree_item_exists(item))
			fail_missing(operation, pointer, i);
	}
	return item;
}

/*
 * The item that the first keys of a pointer lead to, in its place.  All around
 * it is unpacked then.
 */
static JsonItem *
place_at(Patching *patching, const Operation *operation,
		 const JsonPointer *pointer, int keys)
{
	JsonItem   *item = &patching->document;

	if (!tree_item_exists(*item))
		fail_missing(operation, pointer, 0);
	for (int i = 1; i <= keys; i++)
	{
		bool		is_array = tree_item_is_array(*item);

		if (is_array)
		{
			int			count = tree_item_count(*item);
			int			number = number_of(operation, pointer, i, count,
										   count);

			item = tree_element(tree_open(item), number);
		}
		else
		{
			item = !tree_item_is_object(*item) ? NULL :
				tree_member(tree_open(item), pointer->keys[i - 1]);
			if (item == NULL)
				fail_missing(operation, pointer, i);
		}
	}
	return item;
}

/* The object or array that holds, or is to hold, what a pointer leads to. */
static JsonItem *
parent_of(Patching *patching, const Operation *operation,
		  const JsonPointer *pointer)
{
	JsonItem   *parent = place_at(patching, operation, pointer,
								  pointer->count - 1);

	if (!tree_item_is_object(*parent) && !tree_item_is_array(*parent))
		fail(operation, ERRCODE_INVALID_PARAMETER_VALUE,
			 psprintf("There is no object or array at \"%s\".",
					  shown_pointer(pointer, pointer->count - 1)));
	return parent;
}

/* ---- Operations are carried out ----------------------------------------- */

static void
add(Patching *patching, const Operation *operation, JsonItem item)
{
	const JsonPointer *path = &operation->path;
	JsonItem   *parent;

	if (path->count == 0)
	{
		patching->document = item;
		return;
	}
	parent = parent_of(patching, operation, path);
	if (tree_item_is_array(*parent))
	{
		int			count = tree_item_count(*parent);
		int			number = number_of(operation, path, path->count, count,
									   count + 1);

		tree_insert_element(tree_open(parent), number, item);
	}
	else
		tree_set_member(tree_open(parent), path->keys[path->count - 1], item);
}

/* Remove what a pointer leads to, which must be there. */
static void
take_away(Patching *patching, const Operation *operation,
		  const JsonPointer *pointer)
{
	JsonItem	none = {{JENTRY_ISNULL, NULL, 0}, NULL};
	JsonItem   *parent;

	if (pointer->count == 0)
	{
		if (!tree_item_exists(patching->document))
			fail_missing(operation, pointer, 0);
		patching->document = none;
		return;
	}
	parent = parent_of(patching, operation, pointer);
	if (tree_item_is_array(*parent))
	{
		int			count = tree_item_count(*parent);

		tree_remove_element(tree_open(parent),
							number_of(operation, pointer, pointer->count,
									  count, count));
	}
	else if (!tree_remove_member(tree_open(parent),
								 pointer->keys[pointer->count - 1]))
		fail_missing(operation, pointer, pointer->count);
}

/* Does a pointer lead to something inside of what another one leads to? */
static bool
leads_into(const JsonPointer *pointer, const JsonPointer *around)
{
	if (pointer->count <= around->count)
		return false;
	for (int i = 0; i < around->count; i++)
	{
		if (json_compare_keys(pointer->keys[i], around->keys[i]) != 0)
			return false;
	}
	return true;
}

static void
move(Patching *patching, const Operation *operation)
{
	JsonItem	item = item_at(patching, operation, &operation->from);

	if (leads_into(&operation->path, &operation->from))
		fail(operation, ERRCODE_INVALID_PARAMETER_VALUE,
			 psprintf("It would move \"%s\" into itself.",
					  shown_pointer(&operation->from,
									operation->from.count)));
	take_away(patching, operation, &operation->from);
	add(patching, operation, item);
}

static void
copy(Patching *patching, const Operation *operation)
{
	JsonItem	item = item_at(patching, operation, &operation->from);

	if (item.tree != NULL)
	{
		/* Two places cannot share what is unpacked. */
		JsonItem   *place = place_at(patching, operation, &operation->from,
									 operation->from.count);

		tree_freeze(place, PATCH_MAX_DEPTH);
		item = *place;
	}
	patching->copied += item.value.len;
	if (patching->copied > PATCH_MAX_COPIED)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("operation %d of the patch copies too much",
						operation->number),
				 errdetail("All \"copy\" of a patch may copy %d bytes together.",
						   PATCH_MAX_COPIED)));
	if (json_nests_deeper(item.value, PATCH_MAX_DEPTH - operation->path.count))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("operation %d of the patch would nest the document too deep",
						operation->number),
				 errdetail("\"copy\" may nest %d levels.", PATCH_MAX_DEPTH)));
	add(patching, operation, item);
}

static void
carry_out(Patching *patching, const Operation *operation)
{
	const JsonPointer *path = &operation->path;

	switch (operation->kind)
	{
		case OPERATION_ADD:
			add(patching, operation, tree_item(operation->value));
			break;
		case OPERATION_REMOVE:
			take_away(patching, operation, path);
			break;
		case OPERATION_REPLACE:
			*place_at(patching, operation, path, path->count) =
				tree_item(operation->value);
			break;
		case OPERATION_MOVE:
			move(patching, operation);
			break;
		case OPERATION_COPY:
			copy(patching, operation);
			break;
		case OPERATION_TEST:
			if (!tree_item_equals(item_at(patching, operation, path),
								  operation->value))
				fail(operation, ERRCODE_INVALID_PARAMETER_VALUE,
					 "The value there is another one.");
			break;
	}
}

/*
 * Apply a patch to a document; NULL is one that does not exist, which is what
 * becomes of one whose root is removed.  palloc'd.  An error where it is no
 * patch (22023), an operation cannot be carried out (22023, 2202E), or it
 * would go beyond a limit (54000, 54001).
 */
Jsonb *
patch_apply(const Jsonb *doc, const Jsonb *patch)
{
	Patching	patching = {tree_item(json_content(doc)), 0};
	JsonMembers operations;
	JsonValue	given;

	if (!json_is_array(json_content(patch)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a patch must be a JSON array"),
				 errhint("A patch is an array of objects such as {\"op\": \"remove\", \"path\": \"/color\"}.")));
	json_members(&operations, json_content(patch));
	if (operations.count > PATCH_MAX_OPERATIONS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the patch has too many operations"),
				 errdetail("It has %d, the most are %d.", operations.count,
						   PATCH_MAX_OPERATIONS)));
	for (int number = 1; json_next_element(&operations, &given); number++)
	{
		Operation	operation;

		CHECK_FOR_INTERRUPTS();
		read_operation(number, given, &operation);
		carry_out(&patching, &operation);
		pointer_free(&operation.path);
		pointer_free(&operation.from);
	}
	return tree_document(patching.document, PATCH_MAX_DEPTH);
}
