/*
 * pointer.c
 *	  JSON Pointers (RFC 6901): read, written, followed.
 */
#include "postgres.h"

#include "json/pointer.h"

/*
 * Read a pointer; false if the text is none.  The keys are palloc'd.
 */
bool
pointer_parse(JsonPointer *pointer, const char *string, int len)
{
	const char *end = string + len;
	int			slashes = 0;
	char	   *names;

	pointer->count = 0;
	pointer->keys = NULL;
	if (len == 0)
		return true;
	if (*string != '/')
		return false;
	for (const char *c = string; c < end; c++)
		slashes += *c == '/';
	pointer->keys = palloc(slashes * sizeof(JsonKey));
	names = palloc(len);

	while (string < end)
	{
		char	   *name = names;
		int			n = 0;

		for (string++; string < end && *string != '/'; string++)
		{
			if (*string != '~')
			{
				name[n++] = *string;
				continue;
			}
			string++;
			if (string == end || (*string != '0' && *string != '1'))
				return false;
			name[n++] = *string == '0' ? '~' : '/';
		}
		pointer->keys[pointer->count].name = name;
		pointer->keys[pointer->count].len = n;
		pointer->count++;
		names += n;
	}
	return true;
}

/*
 * Free what pointer_parse() allocated.
 */
void
pointer_free(JsonPointer *pointer)
{
	if (pointer->count > 0)
	{
		/* The names are in one piece, which the first one begins. */
		pfree(unconstify(char *, pointer->keys[0].name));
		pfree(pointer->keys);
	}
	pointer->count = 0;
	pointer->keys = NULL;
}

/*
 * A pointer as a text, palloc'd.
 */
text *
pointer_text(const JsonPointer *pointer)
{
	Size		len = VARHDRSZ;
	text	   *result;
	char	   *end;

	for (int i = 0; i < pointer->count; i++)
	{
		const JsonKey *key = &pointer->keys[i];

		len += 1 + key->len;
		for (int n = 0; n < key->len; n++)
			len += key->name[n] == '~' || key->name[n] == '/';
	}
	result = palloc(len);
	SET_VARSIZE(result, len);
	end = VARDATA(result);
	for (int i = 0; i < pointer->count; i++)
	{
		const JsonKey *key = &pointer->keys[i];

		*end++ = '/';
		for (int n = 0; n < key->len; n++)
		{
			char		c = key->name[n];

			if (c == '~' || c == '/')
			{
				*end++ = '~';
				*end++ = c == '~' ? '0' : '1';
			}
			else
				*end++ = c;
		}
	}
	return result;
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

/*
 * Are two pointers the same?
 */
bool
pointer_equal(const JsonPointer *a, const JsonPointer *b)
{
	if (a == b)
		return true;
	if (a->count != b->count)
		return false;
	for (int i = 0; i < a->count; i++)
	{
		if (json_compare_keys(a->keys[i], b->keys[i]) != 0)
			return false;
	}
	return true;
}
