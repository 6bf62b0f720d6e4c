/*
 * jsonvalue.c
 *	  Values inside binary jsonb documents, read where they are, and objects
 *	  put together from such values, without unpacking what is passed on.
 *
 * The layout is the one that utils/jsonb.h describes: it is what is on disk,
 * so it does not change between versions of PostgreSQL.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"

#include "json/jsonvalue.h"

/*
 * The value that is all of a document; one that does not exist for NULL.
 */
JsonValue
json_root(const Jsonb *doc)
{
	JsonValue	root = {JENTRY_ISCONTAINER, NULL, 0};

	if (doc != NULL)
	{
		root.data = (const char *) &doc->root;
		root.len = VARSIZE(doc) - VARHDRSZ;
	}
	return root;
}

/*
 * The same, but a lone scalar, which is stored as an array of one, is that
 * scalar.
 */
JsonValue
json_content(const Jsonb *doc)
{
	JsonValue	root = json_root(doc);

	if (doc != NULL && JsonContainerIsScalar(&doc->root))
		root = json_element(root, 0);
	return root;
}

/*
 * Begin with the first member of an object, or element of an array.
 */
void
json_members(JsonMembers *members, JsonValue container)
{
	const JsonbContainer *c = (const JsonbContainer *) container.data;
	bool		is_object = JsonContainerIsObject(c);

	members->container = c;
	members->count = JsonContainerSize(c);
	members->next = 0;
	members->key_end = 0;
	members->value_end = 0;
	members->base = (const char *) &c->children[members->count * (is_object ? 2 : 1)];
	if (is_object && members->count > 0)
		members->value_end = getJsonbOffset(c, members->count);
}

/* The value of an entry that reaches from an offset on; moves it to its end. */
static JsonValue
entry_value(const JsonMembers *members, JEntry entry, uint32 *offset)
{
	JsonValue	value;
	uint32		start = *offset;

	*offset = JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry) :
		start + JBE_OFFLENFLD(entry);
	value.type = entry & JENTRY_TYPEMASK;

	/* Padding before them counts as theirs. */
	if (value.type == JENTRY_ISNUMERIC || value.type == JENTRY_ISCONTAINER)
		start = INTALIGN(start);
	value.data = members->base + start;
	value.len = *offset - start;
	return value;
}

/* The next member of an object that has one. */
static void
take_member(JsonMembers *members, JsonKey *key, JsonValue *value)
{
	const JsonbContainer *c = members->container;
	JsonValue	name = entry_value(members, c->children[members->next],
								   &members->key_end);

	key->name = name.data;
	key->len = name.len;
	*value = entry_value(members, c->children[members->next + members->count],
						 &members->value_end);
	members->next++;
}

/*
 * The next member of an object, in the order of keys; false at the end.
 */
bool
json_next_member(JsonMembers *members, JsonKey *key, JsonValue *value)
{
	if (members->next >= members->count)
		return false;
	take_member(members, key, value);
	return true;
}

/*
 * The next element of an array that has one.
 */
void
json_take_element(JsonMembers *members, JsonValue *value)
{
	*value = entry_value(members, members->container->children[members->next],
						 &members->value_end);
	members->next++;
}

/*
 * The next element of an array; false at the end.
 */
bool
json_next_element(JsonMembers *members, JsonValue *value)
{
	if (members->next >= members->count)
		return false;
	json_take_element(members, value);
	return true;
}

/*
 * Compare two keys in the order that jsonb keeps them in: by length, then by
 * bytes.
 */
int
json_compare_keys(JsonKey a, JsonKey b)
{
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return memcmp(a.name, b.name, a.len);
}

/*
 * The value of a key in a value; one that does not exist where there is none,
 * or the value is no object.
 */
JsonValue
json_member(JsonValue object, JsonKey key)
{
	JsonValue	none = {JENTRY_ISNULL, NULL, 0};
	const JsonbContainer *c = (const JsonbContainer *) object.data;
	JsonMembers members;
	int			low = 0;
	int			high;

	if (!json_is_object(object))
		return none;
	high = JsonContainerSize(c);
	members.container = c;
	members.count = high;
	members.base = (const char *) &c->children[high * 2];
	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		JsonKey		found = {members.base + getJsonbOffset(c, middle),
		getJsonbLength(c, middle)};
		int			order = json_compare_keys(found, key);

		if (order == 0)
		{
			uint32		offset = getJsonbOffset(c, middle + members.count);

			return entry_value(&members, c->children[middle + members.count],
							   &offset);
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return none;
}

/*
 * The element of an array with that number, from 0 on; one that does not exist
 * where there is none, or the value is no array.
 */
JsonValue
json_element(JsonValue array, int64 number)
{
	JsonValue	none = {JENTRY_ISNULL, NULL, 0};
	JsonMembers elements;
	uint32		offset;

	if (!json_is_array(array))
		return none;
	json_members(&elements, array);
	if (number < 0 || number >= elements.count)
		return none;
	offset = getJsonbOffset(elements.container, (int) number);
	return entry_value(&elements, elements.container->children[number],
					   &offset);
}

/*
 * Are objects and arrays nested in a value, itself among them, on more levels
 * than that?  What is too small for it is not gone into.
 */
bool
json_nests_deeper(JsonValue value, int levels)
{
	JsonMembers members;
	JsonKey		key;
	JsonValue	inside;
	bool		is_object;

	/*
	 * Each level takes at least a header and an entry, the last one a header.
	 */
	if (!json_is_container(value) ||
		value.len < levels * (sizeof(uint32) + sizeof(JEntry)) + sizeof(uint32))
		return false;
	if (levels == 0)
		return true;
	CHECK_FOR_INTERRUPTS();
	json_members(&members, value);
	is_object = JsonContainerIsObject(members.container);
	while (is_object ? json_next_member(&members, &key, &inside) :
		   json_next_element(&members, &inside))
	{
		if (json_nests_deeper(inside, levels - 1))
			return true;
	}
	return false;
}

/*
 * Are two numbers equal?
 */
bool
json_equal_numbers(JsonValue a, JsonValue b)
{
	return DatumGetBool(DirectFunctionCall2(numeric_eq,
											NumericGetDatum((Numeric) a.data),
											NumericGetDatum((Numeric) b.data)));
}

/*
 * Are two values inside others, "outer" bytes long, known to be identical?
 * That is not looked at where they are containers that make up most of these:
 * otherwise deep nesting would compare the same bytes at each level.
 */
bool
json_identical_within(JsonValue a, JsonValue b, uint32 outer)
{
	if (json_is_container(a) && a.len > outer / 2)
		return a.data == b.data;
	return json_identical(a, b);
}

static bool
equal_within(JsonValue a, JsonValue b, uint32 outer)
{
	JsonMembers in_a;
	JsonMembers in_b;
	JsonKey		key_a;
	JsonKey		key_b;
	JsonValue	value_a;
	JsonValue	value_b;

	if (json_identical_within(a, b, outer))
		return true;
	if (!json_is_container(a) || !json_is_container(b))
		return json_is_number(a) && json_is_number(b) && json_equal_numbers(a,
																			b);

	/* How many there are, of what kind, and whether it is a lone scalar */
	if (((const JsonbContainer *) a.data)->header !=
		((const JsonbContainer *) b.data)->header)
		return false;
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	/* As many in the one as in the other */
	json_members(&in_a, a);
	json_members(&in_b, b);
	if (json_is_object(a))
	{
		while (json_next_member(&in_a, &key_a, &value_a))
		{
			take_member(&in_b, &key_b, &value_b);
			if (json_compare_keys(key_a, key_b) != 0 ||
				!equal_within(value_a, value_b, a.len))
				return false;
		}
	}
	else
	{
		while (json_next_element(&in_a, &value_a))
		{
			json_take_element(&in_b, &value_b);
			if (!equal_within(value_a, value_b, a.len))
				return false;
		}
	}
	return true;
}

/*
 * Are two values equal: by value, whatever the order of keys in the text or
 * the way that a number was written?  An error (54001) where they are nested
 * too deep.
 */
bool
json_equal(JsonValue a, JsonValue b)
{
	return json_identical(a, b) || equal_within(a, b, 0);
}

static JsonPart *
add_part(JsonBuild *build, JsonKey key)
{
	JsonPart   *part;

	if (build->count >= build->max)
	{
		build->max = build->max == 0 ? 16 : build->max * 2;
		build->parts = build->parts == NULL ?
			palloc(build->max * sizeof(JsonPart)) :
			repalloc_huge(build->parts, build->max * sizeof(JsonPart));
	}
	part = &build->parts[build->count++];
	memset(part, 0, sizeof(JsonPart));
	part->key = key;
	return part;
}

/*
 * Make room for that many parts of an object or array that has none yet.
 */
void
json_build_reserve(JsonBuild *build, int count)
{
	build->max = count;
	build->parts = repalloc_huge(palloc(sizeof(JsonPart)),
								 Max(count, 1) * sizeof(JsonPart));
}

/*
 * Add a value to an object or array in the making.  Keys must come in their
 * order.
 */
void
json_build_value(JsonBuild *build, JsonKey key, JsonValue value)
{
	add_part(build, key)->value = value;
}

/*
 * Add an object or array that is itself in the making.
 */
void
json_build_made(JsonBuild *build, JsonKey key, JsonBuild *made)
{
	add_part(build, key)->made = made;
}

/* A document being written, from the beginning of its varlena */
typedef struct Buffer
{
	char	   *data;
	Size		len;
	Size		max;
} Buffer;

static void
reserve(Buffer *buffer, Size len)
{
	if (buffer->len + len > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a document would be larger than %d bytes",
						JENTRY_OFFLENMASK),
				 errdetail("That is as large as a jsonb value can be.")));
	if (buffer->len + len > buffer->max)
	{
		buffer->max = Max(buffer->max * 2, buffer->len + len);
		buffer->data = repalloc(buffer->data, buffer->max);
	}
}

static void
append(Buffer *buffer, const char *data, Size len)
{
	reserve(buffer, len);
	memcpy(buffer->data + buffer->len, data, len);
	buffer->len += len;
}

/* What begins here must be aligned. */
static void
append_padding(Buffer *buffer)
{
	Size		len = INTALIGN(buffer->len) - buffer->len;

	reserve(buffer, len);
	memset(buffer->data + buffer->len, 0, len);
	buffer->len += len;
}

static void append_container(Buffer *buffer, const JsonBuild *build);

/* A value; returns the type of its entry. */
static JEntry
append_part(Buffer *buffer, const JsonPart *part)
{
	if (part->made != NULL)
	{
		append_padding(buffer);
		append_container(buffer, part->made);
		return JENTRY_ISCONTAINER;
	}
	if (part->value.type == JENTRY_ISNUMERIC ||
		part->value.type == JENTRY_ISCONTAINER)
		append_padding(buffer);
	append(buffer, part->value.data, part->value.len);
	return part->value.type;
}

/* Keys and values have entries in one row, and every so many an offset. */
static void
set_entry(Buffer *buffer, Size entries, int i, JEntry type, Size data,
		  Size start)
{
	JEntry		entry = type;

	if (i % JB_OFFSET_STRIDE == 0)
		entry |= JENTRY_HAS_OFF | (JEntry) (buffer->len - data);
	else
		entry |= (JEntry) (buffer->len - start);
	memcpy(buffer->data + entries + i * sizeof(JEntry), &entry,
		   sizeof(JEntry));
}

static void
append_container(Buffer *buffer, const JsonBuild *build)
{
	uint32		header = (build->is_array ? JB_FARRAY : JB_FOBJECT) | build->count;
	int			keys = build->is_array ? 0 : build->count;
	Size		entries_len = ((Size) keys + build->count) * sizeof(JEntry);
	Size		entries;
	Size		data;

	check_stack_depth();
	append(buffer, (char *) &header, sizeof(header));
	entries = buffer->len;
	reserve(buffer, entries_len);
	buffer->len += entries_len;
	data = buffer->len;

	for (int i = 0; i < keys; i++)
	{
		Size		start = buffer->len;

		append(buffer, build->parts[i].key.name, build->parts[i].key.len);
		set_entry(buffer, entries, i, JENTRY_ISSTRING, data, start);
	}
	for (int i = 0; i < build->count; i++)
	{
		Size		start = buffer->len;
		JEntry		type = append_part(buffer, &build->parts[i]);

		set_entry(buffer, entries, keys + i, type, data, start);
	}
}

static void
buffer_init(Buffer *buffer, Size max)
{
	buffer->max = max;
	buffer->data = palloc(max);
	buffer->len = VARHDRSZ;
}

static Jsonb *
buffer_end(Buffer *buffer)
{
	SET_VARSIZE(buffer->data, buffer->len);
	return (Jsonb *) buffer->data;
}

/*
 * The document of an object or array in the making.  palloc'd; an error
 * (54000) where it would be too large, (54001) where it is nested too deep.
 */
Jsonb *
json_build_end(const JsonBuild *build)
{
	Buffer		buffer;

	buffer_init(&buffer, 512);
	append_container(&buffer, build);
	return buffer_end(&buffer);
}

/*
 * A value as a document of its own; NULL for one that does not exist.
 * palloc'd.
 */
Jsonb *
json_document(JsonValue value)
{
	Buffer		buffer;

	if (!json_exists(value))
		return NULL;
	buffer_init(&buffer, VARHDRSZ + 2 * sizeof(uint32) + value.len);
	if (value.type == JENTRY_ISCONTAINER)
		append(&buffer, value.data, value.len);
	else
	{
		/* A lone scalar is an array of one. */
		uint32		header = JB_FARRAY | JB_FSCALAR | 1;
		JEntry		entry = value.type | JENTRY_HAS_OFF | (JEntry) value.len;

		append(&buffer, (char *) &header, sizeof(header));
		append(&buffer, (char *) &entry, sizeof(entry));
		append(&buffer, value.data, value.len);
	}
	return buffer_end(&buffer);
}

/*
 * Step to the next member of an object.
 */
void
json_cursor_next(JsonCursor *cursor)
{
	cursor->more = json_next_member(&cursor->members, &cursor->key,
									&cursor->value);
}

/*
 * Step through the members of an object; none where it is something else.
 */
void
json_cursor_open(JsonCursor *cursor, JsonValue object)
{
	cursor->more = false;
	if (json_is_object(object))
	{
		json_members(&cursor->members, object);
		json_cursor_next(cursor);
	}
}

/* The value under a key, which comes next if it is there. */
JsonValue
json_cursor_take(JsonCursor *cursor, JsonKey key)
{
	JsonValue	value = {JENTRY_ISNULL, NULL, 0};

	if (cursor->more && json_compare_keys(cursor->key, key) == 0)
	{
		value = cursor->value;
		json_cursor_next(cursor);
	}
	return value;
}
