/*
 * jsonvalue.h
 *	  Values inside binary jsonb documents, read where they are.
 */
#ifndef DIAGSYNC_JSONVALUE_H
#define DIAGSYNC_JSONVALUE_H

#include "utils/jsonb.h"
#include "utils/numeric.h"

/* A value inside a document, which must outlive it; nothing is copied. */
typedef struct JsonValue
{
	JEntry		type;			/* one of JENTRY_IS... */
	const char *data;			/* NULL: there is no value */
	uint32		len;			/* without padding */
} JsonValue;

/* A key of an object; not terminated by a zero byte. */
typedef struct JsonKey
{
	const char *name;
	int			len;
} JsonKey;

/* The members of an object one after the other, or the elements of an array */
typedef struct JsonMembers
{
	const JsonbContainer *container;
	const char *base;			/* where the data begin */
	int			count;
	int			next;
	uint32		key_end;		/* offsets of what was read last */
	uint32		value_end;
} JsonMembers;

/*
 * An object or array in the making, and what it is to hold: values of some
 * document, or others in the making.
 */
typedef struct JsonPart JsonPart;

typedef struct JsonBuild
{
	bool		is_array;
	int			count;
	int			max;
	JsonPart   *parts;			/* of an object in the order of their keys */
} JsonBuild;

struct JsonPart
{
	JsonKey		key;			/* not of an array */
	JsonValue	value;
	JsonBuild  *made;			/* that instead of the value, if not NULL */
};

static inline bool
json_exists(JsonValue value)
{
	return value.data != NULL;
}

static inline bool
json_is_container(JsonValue value)
{
	return value.data != NULL && value.type == JENTRY_ISCONTAINER;
}

static inline bool
json_is_object(JsonValue value)
{
	return json_is_container(value) &&
		JsonContainerIsObject((const JsonbContainer *) value.data);
}

static inline bool
json_is_array(JsonValue value)
{
	return json_is_container(value) &&
		JsonContainerIsArray((const JsonbContainer *) value.data);
}

static inline JsonValue
json_string(const char *string)
{
	JsonValue	value = {JENTRY_ISSTRING, string, (uint32) strlen(string)};

	return value;
}

/* A string that ends with a zero byte as a key */
static inline JsonKey
json_key(const char *name)
{
	JsonKey		key = {name, (int) strlen(name)};

	return key;
}

static inline bool
json_is_string(JsonValue value)
{
	return value.data != NULL && value.type == JENTRY_ISSTRING;
}

static inline bool
json_is_number(JsonValue value)
{
	return value.data != NULL && value.type == JENTRY_ISNUMERIC;
}

/* The same bytes?  Then they are equal, else they may be. */
static inline bool
json_identical(JsonValue a, JsonValue b)
{
	if (a.data == NULL || b.data == NULL)
		return a.data == b.data;
	return a.type == b.type && a.len == b.len &&
		(a.data == b.data || memcmp(a.data, b.data, a.len) == 0);
}

extern JsonValue json_root(const Jsonb *doc);
extern JsonValue json_content(const Jsonb *doc);
extern void json_members(JsonMembers *members, JsonValue container);
extern bool json_next_member(JsonMembers *members, JsonKey *key,
							 JsonValue *value);
extern void json_take_element(JsonMembers *members, JsonValue *value);
extern bool json_next_element(JsonMembers *members, JsonValue *value);
extern JsonValue json_member(JsonValue object, JsonKey key);
extern JsonValue json_element(JsonValue array, int64 number);
extern bool json_nests_deeper(JsonValue value, int levels);
extern int	json_compare_keys(JsonKey a, JsonKey b);
extern bool json_equal(JsonValue a, JsonValue b);
extern bool json_identical_within(JsonValue a, JsonValue b, uint32 outer);
extern bool json_equal_numbers(JsonValue a, JsonValue b);

extern void json_build_reserve(JsonBuild *build, int count);
extern void json_build_value(JsonBuild *build, JsonKey key, JsonValue value);
extern void json_build_made(JsonBuild *build, JsonKey key, JsonBuild *made);
extern Jsonb *json_build_end(const JsonBuild *build);
extern Jsonb *json_document(JsonValue value);

/* The members of an object in one version, as they are stepped through */
typedef struct JsonCursor
{
	JsonMembers members;
	JsonKey		key;
	JsonValue	value;
	bool		more;
} JsonCursor;

extern void json_cursor_open(JsonCursor *cursor, JsonValue object);
extern void json_cursor_next(JsonCursor *cursor);
extern JsonValue json_cursor_take(JsonCursor *cursor, JsonKey key);

#endif							/* DIAGSYNC_JSONVALUE_H */
