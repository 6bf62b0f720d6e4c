/*
 * document.c
 *	  Documents compared by value, and digests that are equal where documents
 *	  are.
 *
 * By value means: key order, white space and the way a number is written (1,
 * 1.0, 10e-1) make no difference.
 *
 * The id of an entity is that of its row.  Its document may repeat it, as many
 * formats do: as a string in "id" or "_id" (content.c refuses another string
 * there; what is no string is a property like any other).  Whether it does is
 * no difference between versions of an entity.
 */
#include "postgres.h"

#include "common/sha2.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "json/document.h"
#include "json/jsonvalue.h"
#include "server/settings.h"

const char *const document_ids[DOCUMENT_IDS] = {"id", "_id"};

/* What comparing and merging take of the stack for a level, at most */
#define LEVEL_KB 2

/*
 * Is a document nested too deep to be gone into?  None is that is written
 * within diagsync.max_depth; others may be older, or the stack smaller.
 */
bool
document_is_too_deep(const Jsonb *doc)
{
	return json_nests_deeper(json_root(doc),
							 Min(SETTINGS_MAX_DEPTH,
								 max_stack_depth / LEVEL_KB));
}

/*
 * Are two documents the same to the byte?  NULL is a document that does not
 * exist.
 */
bool
document_identical(const Jsonb *a, const Jsonb *b)
{
	return json_identical(json_root(a), json_root(b));
}

/*
 * Are two documents equal by value?  NULL is a document that does not exist,
 * and equals only another such.  One that is too deep equals what is the same
 * to the byte.
 */
bool
document_equal(const Jsonb *a, const Jsonb *b)
{
	return document_identical(a, b) ||
		(!document_is_too_deep(a) && !document_is_too_deep(b) &&
		 json_equal(json_root(a), json_root(b)));
}

static bool
is_id(JsonKey key)
{
	for (int i = 0; i < DOCUMENT_IDS; i++)
	{
		if (json_compare_keys(key, json_key(document_ids[i])) == 0)
			return true;
	}
	return false;
}

/* How a document stands to a property that may repeat an id */
typedef enum Repeats
{
	REPEATS_NOT,				/* there is none */
	REPEATS_ID,
	REPEATS_OTHER,				/* a value that is not the id */
} Repeats;

static Repeats
repeats(const Jsonb *doc, JsonKey key, JsonValue id)
{
	JsonValue	value = json_member(json_root(doc), key);

	return !json_exists(value) ? REPEATS_NOT :
		json_identical(value, id) ? REPEATS_ID : REPEATS_OTHER;
}

/* A copy of a document with or without a property.  palloc'd. */
static Jsonb *
with_member(const Jsonb *doc, JsonKey key, JsonValue value)
{
	JsonBuild	build = {0};
	JsonMembers members;
	JsonKey		next;
	JsonValue	inside;
	bool		done = !json_exists(value);

	json_members(&members, json_root(doc));
	while (json_next_member(&members, &next, &inside))
	{
		int			order = json_compare_keys(next, key);

		if (!done && order > 0)
		{
			json_build_value(&build, key, value);
			done = true;
		}
		if (order != 0)
			json_build_value(&build, next, inside);
	}
	if (!done)
		json_build_value(&build, key, value);
	return json_build_end(&build);
}

/*
 * A version of an entity that repeats the entity's id where another one does,
 * and not where that has no such property.  The document itself where it does
 * already, else palloc'd.
 */
Jsonb *
document_with_ids_as(Jsonb *doc, const Jsonb *other, const text *id)
{
	JsonValue	own = {JENTRY_ISSTRING, VARDATA_ANY(id),
	VARSIZE_ANY_EXHDR(id)};
	JsonValue	none = {JENTRY_ISNULL, NULL, 0};

	if (doc == NULL || other == NULL)
		return doc;
	for (int i = 0; i < DOCUMENT_IDS; i++)
	{
		JsonKey		key = json_key(document_ids[i]);
		Repeats		here = repeats(doc, key, own);
		Repeats		there = repeats(other, key, own);

		if (here == REPEATS_NOT && there == REPEATS_ID)
			doc = with_member(doc, key, own);
		else if (here == REPEATS_ID && there == REPEATS_NOT)
			doc = with_member(doc, key, none);
	}
	return doc;
}

/*
 * A copy of an entity for its new id: where its property "id" or "_id" is the
 * old id, it becomes the new one.  palloc'd.
 */
Jsonb *
document_rename(const Jsonb *doc, const char *from, const char *to)
{
	JsonBuild	build = {0};
	JsonMembers members;
	JsonKey		key;
	JsonValue	value;

	json_members(&members, json_root(doc));
	while (json_next_member(&members, &key, &value))
		json_build_value(&build, key,
						 is_id(key) && json_identical(value,
													  json_string(from)) ?
						 json_string(to) : value);
	return json_build_end(&build);
}

/*
 * Begin a digest (SHA-256).  It belongs to the current resource owner.
 */
Digest *
digest_begin(void)
{
	Digest	   *digest = pg_cryptohash_create(PG_SHA256);

	if (digest == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (pg_cryptohash_init(digest) < 0)
		elog(ERROR, "could not initialize a digest");
	return digest;
}

static void
digest_bytes(Digest *digest, const void *bytes, size_t len)
{
	if (pg_cryptohash_update(digest, bytes, len) < 0)
		elog(ERROR, "could not compute a digest");
}

/* Each piece goes in with its kind and length, so that no two sequences of
 * pieces look alike. */
static void
digest_piece(Digest *digest, char kind, const void *bytes, uint32 len)
{
	uint8		head[5];
	uint32		netlen = pg_hton32(len);

	head[0] = (uint8) kind;
	memcpy(head + 1, &netlen, 4);
	digest_bytes(digest, head, sizeof(head));
	if (len > 0)
		digest_bytes(digest, bytes, len);
}

/*
 * Add a string (NULL is different from every string).
 */
void
digest_string(Digest *digest, const char *string)
{
	if (string == NULL)
		digest_piece(digest, 'z', NULL, 0);
	else
		digest_piece(digest, 't', string, strlen(string));
}

/*
 * Add a document by value (NULL is different from every document).
 */
void
digest_document(Digest *digest, const Jsonb *doc)
{
	JsonbIterator *it;
	JsonbValue	value;
	JsonbIteratorToken token;

	if (doc == NULL)
	{
		digest_piece(digest, 'z', NULL, 0);
		return;
	}

	/* jsonb keeps keys in one order, so equal documents come the same way. */
	it = JsonbIteratorInit((JsonbContainer *) &doc->root);
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		switch (token)
		{
			case WJB_BEGIN_OBJECT:
				digest_piece(digest, '{', NULL, 0);
				break;
			case WJB_END_OBJECT:
				digest_piece(digest, '}', NULL, 0);
				break;
			case WJB_BEGIN_ARRAY:
				digest_piece(digest, '[', NULL, 0);
				break;
			case WJB_END_ARRAY:
				digest_piece(digest, ']', NULL, 0);
				break;
			default:
				switch (value.type)
				{
					case jbvNull:
						digest_piece(digest, 'n', NULL, 0);
						break;
					case jbvString:
						digest_piece(digest, 's', value.val.string.val,
									 value.val.string.len);
						break;
					case jbvNumeric:
						{
							char	   *number = numeric_normalize(value.val.numeric);

							digest_piece(digest, '#', number, strlen(number));
							pfree(number);
							break;
						}
					case jbvBool:
						digest_piece(digest, value.val.boolean ? '1' : '0',
									 NULL, 0);
						break;
					default:
						elog(ERROR, "unexpected jsonb value type %d",
							 (int) value.type);
				}
		}
	}
}

/*
 * End a digest and free it.  Returns 64 hexadecimal digits, palloc'd.
 */
char *
digest_end(Digest *digest)
{
	uint8		bytes[PG_SHA256_DIGEST_LENGTH];
	char	   *hex = palloc(PG_SHA256_DIGEST_LENGTH * 2 + 1);

	if (pg_cryptohash_final(digest, bytes, sizeof(bytes)) < 0)
		elog(ERROR, "could not compute a digest");
	pg_cryptohash_free(digest);
	(void) hex_encode((const char *) bytes, sizeof(bytes), hex);
	hex[PG_SHA256_DIGEST_LENGTH * 2] = '\0';
	return hex;
}
