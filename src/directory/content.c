/*
 * content.c
 *	  What may be in a document that is written, by whatever way: how deep it
 *	  is nested (diagsync.max_depth), how long it is when it is printed
 *	  (max_entity_size), and that it repeats no other id than its entity's.  In
 *	  a request the first two also hold for what is only looked at.
 *
 * The depth is checked for everybody, so that all that is stored can be
 * compared and merged: what a merge makes is no deeper than what it is made
 * of.  What a sync, share or clone moves has been checked when it was written,
 * or is older than the limit, and is not checked again.  What it merges may be
 * larger than what that is made of (refused.c).
 *
 * What is printed counts, not what is stored: 1e131071 takes ten bytes in
 * jsonb, and 131,072 in every answer.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/jsonb.h"

#include "directory/content.h"
#include "directory/quota.h"
#include "json/document.h"
#include "json/jsonvalue.h"
#include "server/settings.h"

/* Of another id so many bytes are shown. */
#define SHOWN_BYTES 100

/*
 * A number on disk, as numeric.c lays it out: a header that holds scale and
 * weight if they are small; else the weight comes after it.  Digits are those
 * of base 10,000.
 */
#define NUMERIC_IS_SHORT 0x8000
#define NUMERIC_LONG_SIGN 0xC000
#define NUMERIC_LONG_NEGATIVE 0x4000
#define NUMERIC_LONG_SCALE 0x3FFF
#define NUMERIC_SHORT_NEGATIVE 0x2000
#define NUMERIC_SHORT_SCALE 0x1F80
#define NUMERIC_SHORT_SCALE_SHIFT 7
#define NUMERIC_SHORT_WEIGHT_SIGN 0x0040
#define NUMERIC_SHORT_WEIGHT 0x003F

/* How many bytes a number has when it is printed */
static Size
number_length(JsonValue number)
{
	const int16 *data = (const int16 *) VARDATA(number.data);
	int			size = VARSIZE(number.data) - VARHDRSZ;
	uint16		header = (uint16) data[0];
	bool		negative;
	int			scale;
	int			weight;
	int			first;			/* of the digits */
	Size		length = 1;

	if (header & NUMERIC_IS_SHORT)
	{
		negative = (header & NUMERIC_SHORT_NEGATIVE) != 0;
		scale = (header & NUMERIC_SHORT_SCALE) >> NUMERIC_SHORT_SCALE_SHIFT;
		weight = header & NUMERIC_SHORT_WEIGHT;
		if (header & NUMERIC_SHORT_WEIGHT_SIGN)
			weight -= NUMERIC_SHORT_WEIGHT + 1;
		first = 1;
	}
	else
	{
		negative = (header & NUMERIC_LONG_SIGN) == NUMERIC_LONG_NEGATIVE;
		scale = header & NUMERIC_LONG_SCALE;
		weight = data[1];
		first = 2;
	}

	/* Before the point there is at least one digit. */
	if (weight >= 0 && size > first * (int) sizeof(int16))
		length = (Size) weight * 4 + (data[first] >= 1000 ? 4 :
									  data[first] >= 100 ? 3 :
									  data[first] >= 10 ? 2 : 1);
	return length + (negative ? 1 : 0) + (scale > 0 ? scale + 1 : 0);
}

/* How many bytes a string has when it is printed, with its quotation marks */
static Size
string_length(const char *string, uint32 len)
{
	Size		length = (Size) len + 2;

	for (uint32 i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) string[i];

		if (c == '"' || c == '\\')
			length++;
		else if (c < ' ')
			length += c == '\b' || c == '\f' || c == '\n' || c == '\r' ||
				c == '\t' ? 1 : 5;
	}
	return length;
}

/*
 * How many bytes a value has when jsonb_out() prints it.  It is known not to
 * be nested deep.
 */
static Size
printed_length(JsonValue value)
{
	JsonMembers members;
	JsonKey		key;
	JsonValue	inside;
	Size		length = 2;		/* brackets */

	if (json_is_string(value))
		return string_length(value.data, value.len);
	if (json_is_number(value))
		return number_length(value);
	if (!json_is_container(value))
		return value.type == JENTRY_ISBOOL_FALSE ? 5 : 4;

	CHECK_FOR_INTERRUPTS();
	json_members(&members, value);
	if (members.count > 1)
		length += (Size) (members.count - 1) * 2;	/* commas */
	if (json_is_object(value))
	{
		while (json_next_member(&members, &key, &inside))
			length += string_length(key.name, key.len) + 2 +
				printed_length(inside);
	}
	else
	{
		while (json_next_element(&members, &inside))
			length += printed_length(inside);
	}
	return length;
}

/* Does a document have another id than its entity's? */
static void
check_id(const char *diagram, const char *entity, const Jsonb *doc)
{
	for (int i = 0; i < DOCUMENT_IDS; i++)
	{
		const char *name = document_ids[i];
		JsonValue	id = json_member(json_root(doc), json_key(name));

		if (json_is_string(id) && !json_identical(id, json_string(entity)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the document of entity \"%s\" of diagram \"%s\" has another \"%s\"",
							entity, diagram, name),
					 errdetail("It is \"%.*s\".",
							   pg_mbcliplen(id.data, id.len, SHOWN_BYTES),
							   id.data),
					 errhint("A document may repeat the id of its entity as \"id\" or \"_id\"; give it that, or none.")));
	}
}

/*
 * Check the document (a jsonb datum) of an entity that somebody writes;
 * "limited": the limits of users apply to them.  54000 where it is nested too
 * deep or too large, 22023 where it has the id of another entity.  What is no
 * object is left to the table's constraint.
 */
void
content_check(const char *diagram, const char *entity, Datum doc, bool limited)
{
	Jsonb	   *jsonb = DatumGetJsonbP(doc);
	JsonValue	root = json_root(jsonb);

	if (json_nests_deeper(root, settings_max_depth))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("entity \"%s\" of diagram \"%s\" is nested too deep",
						entity, diagram),
				 errdetail("It has objects or arrays within each other on more than %d levels.",
						   settings_max_depth),
				 errhint("An administrator can raise diagsync.max_depth.")));
	if (JB_ROOT_IS_OBJECT(jsonb))
	{
		check_id(diagram, entity, jsonb);
		if (limited && settings_max_entity_size > 0)
			quota_check_size(diagram, entity, printed_length(root));
	}
	if ((Pointer) jsonb != DatumGetPointer(doc))
		pfree(jsonb);
}

/*
 * Is a document larger than what users may store, and how large is it printed?
 */
bool
content_is_too_large(const Jsonb *doc, Size *size)
{
	if (settings_max_entity_size == 0)
		return false;
	*size = printed_length(json_root(doc));
	return *size > (Size) settings_max_entity_size * 1024;
}

/*
 * Check a document that somebody gives to look at, not to store: an argument,
 * or NULL.  54000 where it is nested too deep, or what is printed of it would
 * be larger than an entity may be.
 */
void
content_check_given(const char *name, const Jsonb *doc)
{
	Size		size;

	if (doc == NULL || settings_max_entity_size == 0)
		return;
	if (json_nests_deeper(json_root(doc), settings_max_depth))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("argument \"%s\" is nested too deep", name),
				 errdetail("It has objects or arrays within each other on more than %d levels.",
						   settings_max_depth)));
	size = printed_length(json_root(doc));
	if (size > (Size) settings_max_entity_size * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("argument \"%s\" is too large", name),
				 errdetail("It has %zu bytes as text; %d kB are allowed.", size,
						   settings_max_entity_size)));
}
