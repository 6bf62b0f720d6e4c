/*
 * pointer.c
 *	  JSON Pointers (RFC 6901): read, written, followed.
 *
 * May call jsonvalue.c.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "pointer.h"

/*
 * Read a pointer; false if the text is none.  The keys are palloc'd.
 */
bool
pointer_parse(JsonPointer *pointer, const char *text, int len)
{
	const char *end = text + len;
	int			slashes = 0;
	char	   *names;

	pointer->count = 0;
	pointer->keys = NULL;
	if (len == 0)
		return true;
	if (*text != '/')
		return false;
	for (const char *c = text; c < end; c++)
		slashes += *c == '/';
	pointer->keys = palloc(slashes * sizeof(JsonKey));
	names = palloc(len);

	while (text < end)
	{
		char	   *name = names;
		int			n = 0;

		for (text++; text < end && *text != '/'; text++)
		{
			if (*text != '~')
				name[n++] = *text;
			else if (++text < end && (*text == '0' || *text == '1'))
				name[n++] = *text == '0' ? '~' : '/';
			else
				return false;
		}
		pointer->keys[pointer->count].name = name;
		pointer->keys[pointer->count].len = n;
		pointer->count++;
		names += n;
	}
	return true;
}

/*
 * The text of a pointer, palloc'd.
 */
text *
pointer_text(const JsonPointer *pointer)
{
	StringInfoData buffer;

	initStringInfo(&buffer);
	for (int i = 0; i < pointer->count; i++)
	{
		const JsonKey *key = &pointer->keys[i];

		appendStringInfoChar(&buffer, '/');
		for (const char *c = key->name; c < key->name + key->len; c++)
		{
			if (*c == '~')
				appendStringInfoString(&buffer, "~0");
			else if (*c == '/')
				appendStringInfoString(&buffer, "~1");
			else
				appendStringInfoChar(&buffer, *c);
		}
	}
	return cstring_to_text_with_len(buffer.data, buffer.len);
}

/*
 * The value that a pointer leads to, through objects; one that does not exist
 * where it leads nowhere.
 */
JsonValue
pointer_value(const JsonPointer *pointer, JsonValue document)
{
	for (int i = 0; i < pointer->count; i++)
		document = json_member(document, pointer->keys[i]);
	return document;
}
