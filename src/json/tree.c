/*
 * tree.c
 *	  Documents that are being changed: only the objects and arrays that a
 *	  change goes through are unpacked, all else stays where it is.
 *
 * The members of such a container are in chunks, in the order of their keys or
 * as the array has them.  So a member is found by search, an element by its
 * number in a walk over the chunks, and neither an insert nor a removal moves
 * more than a chunk, however large the container is.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "json/tree.h"

/* Members of a chunk; one that is full is split in two. */
#define CHUNK_MAX 256

typedef struct TreeNode
{
	JsonKey		key;			/* not of an array */
	JsonItem	item;
} TreeNode;

typedef struct Chunk
{
	int			count;			/* never 0 */
	int			max;
	TreeNode   *nodes;
} Chunk;

struct JsonTree
{
	bool		is_array;
	int			count;			/* of all members */
	int			chunks;
	int			max;
	Chunk	   *chunk;
};

/* A place among the members: before this one of that chunk */
typedef struct Place
{
	int			chunk;
	int			node;
} Place;

/*
 * A value of some document, which must outlive it, as an item.
 */
JsonItem
tree_item(JsonValue value)
{
	JsonItem	item = {value, NULL};

	return item;
}

/*
 * Is it an object?
 */
bool
tree_item_is_object(JsonItem item)
{
	return item.tree != NULL ? !item.tree->is_array :
		json_is_object(item.value);
}

/*
 * Is it an array?
 */
bool
tree_item_is_array(JsonItem item)
{
	return item.tree != NULL ? item.tree->is_array : json_is_array(item.value);
}

/*
 * How many members or elements it has, which must be an object or array.
 */
int
tree_item_count(JsonItem item)
{
	return item.tree != NULL ? item.tree->count :
		(int) JsonContainerSize((const JsonbContainer *) item.value.data);
}

/*
 * The member of that name, without unpacking anything; an item that does not
 * exist where there is none, or it is no object.
 */
JsonItem
tree_item_member(JsonItem item, JsonKey key)
{
	JsonItem	none = {{JENTRY_ISNULL, NULL, 0}, NULL};
	JsonItem   *member;

	if (item.tree == NULL)
		return tree_item(json_member(item.value, key));
	member = item.tree->is_array ? NULL : tree_member(item.tree, key);
	return member == NULL ? none : *member;
}

/*
 * The same for an element of an array, numbered from 0 on.
 */
JsonItem
tree_item_element(JsonItem item, int64 number)
{
	JsonItem	none = {{JENTRY_ISNULL, NULL, 0}, NULL};

	if (item.tree == NULL)
		return tree_item(json_element(item.value, number));
	if (!item.tree->is_array || number < 0 || number >= item.tree->count)
		return none;
	return *tree_element(item.tree, (int) number);
}

/*
 * Is it equal to a value?  It costs what the smaller of the two does.  An
 * error (54001) where they are nested too deep.
 */
bool
tree_item_equals(JsonItem item, JsonValue value)
{
	const JsonTree *tree = item.tree;
	JsonMembers members;
	JsonKey		key;
	JsonValue	inside;

	if (tree == NULL)
		return json_equal(item.value, value);
	if (!(tree->is_array ? json_is_array(value) : json_is_object(value)))
		return false;
	check_stack_depth();
	json_members(&members, value);
	if (members.count != tree->count)
		return false;
	for (int c = 0; c < tree->chunks; c++)
	{
		const Chunk *chunk = &tree->chunk[c];

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < chunk->count; i++)
		{
			const TreeNode *node = &chunk->nodes[i];

			if (tree->is_array)
				json_take_element(&members, &inside);
			else if (!json_next_member(&members, &key, &inside) ||
					 json_compare_keys(key, node->key) != 0)
				return false;
			if (!tree_item_equals(node->item, inside))
				return false;
		}
	}
	return true;
}

static void
chunk_init(Chunk *chunk, int max)
{
	chunk->count = 0;
	chunk->max = max;
	chunk->nodes = palloc(max * sizeof(TreeNode));
}

/* A new chunk, which comes at that place. */
static Chunk *
add_chunk(JsonTree *tree, int place, int max)
{
	if (tree->chunks >= tree->max)
	{
		tree->max = Max(tree->max * 2, 1);
		tree->chunk = tree->chunk == NULL ?
			palloc(tree->max * sizeof(Chunk)) :
			repalloc_huge(tree->chunk, tree->max * sizeof(Chunk));
	}
	memmove(&tree->chunk[place + 1], &tree->chunk[place],
			(tree->chunks - place) * sizeof(Chunk));
	tree->chunks++;
	chunk_init(&tree->chunk[place], max);
	return &tree->chunk[place];
}

/*
 * Unpack an item, which must be an object or array, so that it can be changed;
 * what is inside it is not.  Nothing happens where it is already.  palloc'd.
 */
JsonTree *
tree_open(JsonItem *item)
{
	JsonTree   *tree = item->tree;
	JsonMembers members;
	Chunk	   *chunk = NULL;

	if (tree != NULL)
		return tree;
	tree = palloc0(sizeof(JsonTree));
	tree->is_array = json_is_array(item->value);
	json_members(&members, item->value);
	while (members.next < members.count)
	{
		TreeNode   *node;
		JsonValue	value;
		JsonKey		key = {NULL, 0};

		if (chunk == NULL || chunk->count >= CHUNK_MAX / 2)
		{
			CHECK_FOR_INTERRUPTS();
			chunk = add_chunk(tree, tree->chunks,
							  members.count <= CHUNK_MAX / 2 ?
							  members.count : CHUNK_MAX);
		}
		if (tree->is_array)
			json_take_element(&members, &value);
		else
			(void) json_next_member(&members, &key, &value);
		node = &chunk->nodes[chunk->count++];
		node->key = key;
		node->item = tree_item(value);
	}
	tree->count = members.count;
	item->tree = tree;
	return tree;
}

/* Where a key is, or would be */
static Place
place_of_key(const JsonTree *tree, JsonKey key, bool *found)
{
	Place		place = {0, 0};
	int			low = 0;
	int			high = tree->chunks - 1;
	const Chunk *chunk;

	*found = false;
	if (tree->chunks == 0)
		return place;

	/* The last chunk that does not begin after it */
	while (low < high)
	{
		int			middle = high - (high - low) / 2;

		if (json_compare_keys(tree->chunk[middle].nodes[0].key, key) <= 0)
			low = middle;
		else
			high = middle - 1;
	}
	place.chunk = low;
	chunk = &tree->chunk[low];

	low = 0;
	high = chunk->count;
	while (low < high && !*found)
	{
		int			middle = low + (high - low) / 2;
		int			order = json_compare_keys(chunk->nodes[middle].key, key);

		if (order == 0)
		{
			*found = true;
			low = middle;
		}
		else if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	place.node = low;
	return place;
}

/* Where the element of that number is, or would be at the end */
static Place
place_of_number(const JsonTree *tree, int number)
{
	Place		place = {0, number};

	while (place.chunk < tree->chunks - 1 &&
		   place.node >= tree->chunk[place.chunk].count)
		place.node -= tree->chunk[place.chunk++].count;
	return place;
}

static TreeNode *
node_at(const JsonTree *tree, Place place)
{
	return &tree->chunk[place.chunk].nodes[place.node];
}

/*
 * The member of that name of an object, NULL where there is none.  It moves
 * when members come or go.
 */
JsonItem *
tree_member(JsonTree *tree, JsonKey key)
{
	bool		found;
	Place		place = place_of_key(tree, key, &found);

	return found ? &node_at(tree, place)->item : NULL;
}

/*
 * The element of that number of an array, which must be there.
 */
JsonItem *
tree_element(JsonTree *tree, int number)
{
	return &node_at(tree, place_of_number(tree, number))->item;
}

/* Split a chunk in two. */
static void
split_chunk(JsonTree *tree, int number)
{
	Chunk	   *second = add_chunk(tree, number + 1, CHUNK_MAX);
	Chunk	   *first = &tree->chunk[number];

	second->count = first->count / 2;
	first->count -= second->count;
	memcpy(second->nodes, &first->nodes[first->count],
		   second->count * sizeof(TreeNode));
}

static void
insert_at(JsonTree *tree, Place place, JsonKey key, JsonItem item)
{
	Chunk	   *chunk;

	if (tree->chunks == 0)
		(void) add_chunk(tree, 0, 4);
	chunk = &tree->chunk[place.chunk];
	if (chunk->count >= CHUNK_MAX)
	{
		split_chunk(tree, place.chunk);
		if (place.node > tree->chunk[place.chunk].count)
			place.node -= tree->chunk[place.chunk++].count;
		chunk = &tree->chunk[place.chunk];
	}
	if (chunk->count >= chunk->max)
	{
		chunk->max = Min(chunk->max * 2, CHUNK_MAX);
		chunk->nodes = repalloc(chunk->nodes, chunk->max * sizeof(TreeNode));
	}
	memmove(&chunk->nodes[place.node + 1], &chunk->nodes[place.node],
			(chunk->count - place.node) * sizeof(TreeNode));
	chunk->nodes[place.node].key = key;
	chunk->nodes[place.node].item = item;
	chunk->count++;
	tree->count++;
}

static void
remove_at(JsonTree *tree, Place place)
{
	Chunk	   *chunk = &tree->chunk[place.chunk];

	chunk->count--;
	tree->count--;
	memmove(&chunk->nodes[place.node], &chunk->nodes[place.node + 1],
			(chunk->count - place.node) * sizeof(TreeNode));
	if (chunk->count > 0)
		return;
	pfree(chunk->nodes);
	tree->chunks--;
	memmove(chunk, chunk + 1, (tree->chunks - place.chunk) * sizeof(Chunk));
}

/*
 * Set a member of an object, which may be there; its name is copied.
 */
void
tree_set_member(JsonTree *tree, JsonKey key, JsonItem item)
{
	bool		found;
	Place		place = place_of_key(tree, key, &found);
	char	   *name;

	if (found)
	{
		node_at(tree, place)->item = item;
		return;
	}
	name = palloc(Max(key.len, 1));
	memcpy(name, key.name, key.len);
	key.name = name;
	insert_at(tree, place, key, item);
}

/*
 * Insert an element into an array before the one of that number, or at the
 * end.
 */
void
tree_insert_element(JsonTree *tree, int number, JsonItem item)
{
	JsonKey		none = {NULL, 0};

	insert_at(tree, place_of_number(tree, number), none, item);
}

/*
 * Remove a member of an object; false where there is none.
 */
bool
tree_remove_member(JsonTree *tree, JsonKey key)
{
	bool		found;
	Place		place = place_of_key(tree, key, &found);

	if (found)
		remove_at(tree, place);
	return found;
}

/*
 * Remove an element of an array, which must be there.
 */
void
tree_remove_element(JsonTree *tree, int number)
{
	remove_at(tree, place_of_number(tree, number));
}

/* A container with all that was unpacked in it, on so many levels at most */
static JsonBuild *
build_of(const JsonTree *tree, int levels)
{
	JsonBuild  *build = palloc0(sizeof(JsonBuild));

	check_stack_depth();
	if (levels <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the patched document would be nested too deep"),
				 errhint("Patch documents that are less deep.")));
	build->is_array = tree->is_array;
	json_build_reserve(build, tree->count);
	for (int c = 0; c < tree->chunks; c++)
	{
		const Chunk *chunk = &tree->chunk[c];

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < chunk->count; i++)
		{
			const TreeNode *node = &chunk->nodes[i];

			if (node->item.tree != NULL)
				json_build_made(build, node->key,
								build_of(node->item.tree, levels - 1));
			else
				json_build_value(build, node->key, node->item.value);
		}
	}
	return build;
}

/*
 * Pack an item again.  palloc'd; an error (54000) where what was unpacked is
 * nested on more levels than that, or it is too large.
 */
void
tree_freeze(JsonItem *item, int levels)
{
	if (item->tree != NULL)
		*item = tree_item(json_root(json_build_end(build_of(item->tree,
															levels))));
}

/*
 * An item as a document; NULL where it does not exist.  palloc'd, with the
 * errors of tree_freeze().
 */
Jsonb *
tree_document(JsonItem item, int levels)
{
	if (item.tree != NULL)
		return json_build_end(build_of(item.tree, levels));
	return json_document(item.value);
}
