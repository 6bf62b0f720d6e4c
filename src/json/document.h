/*
 * document.h
 *	  Documents compared by value.
 */
#ifndef DIAGSYNC_DOCUMENT_H
#define DIAGSYNC_DOCUMENT_H

#include "common/cryptohash.h"
#include "utils/jsonb.h"

/* A digest of documents and strings in the making. */
typedef pg_cryptohash_ctx Digest;

/* The properties in which a document may repeat the id of its entity */
#define DOCUMENT_IDS 2
extern const char *const document_ids[DOCUMENT_IDS];

extern bool document_is_too_deep(const Jsonb *doc);
extern bool document_identical(const Jsonb *a, const Jsonb *b);
extern Jsonb *document_with_ids_as(Jsonb *doc, const Jsonb *other,
								   const text *id);
extern bool document_equal(const Jsonb *a, const Jsonb *b);
extern Jsonb *document_rename(const Jsonb *doc, const char *from,
							  const char *to);

extern Digest *digest_begin(void);
extern void digest_string(Digest *digest, const char *string);
extern void digest_document(Digest *digest, const Jsonb *doc);
extern char *digest_end(Digest *digest);

#endif							/* DIAGSYNC_DOCUMENT_H */
