/*
 * access.h
 *	  Who may do what with a diagram.
 */
#ifndef DIAGSYNC_ACCESS_H
#define DIAGSYNC_ACCESS_H

#include "utils/snapshot.h"

#include "server/compat.h"
#include "table/storage.h"

/* What a caller may do with a diagram; each includes those before it. */
typedef enum AccessLevel
{
	ACCESS_NONE,				/* for them it does not exist */
	ACCESS_READER,				/* look at it, pull from it */
	ACCESS_WRITER,				/* edit it, push to it */
	ACCESS_ADMIN,				/* rename, move and drop it, set its merge
								 * policy, manage members and tokens */
	ACCESS_OWNER,				/* give it to another owner */
} AccessLevel;

/* Who is asking, as far as access goes */
typedef struct Caller
{
	bool		unrestricted;	/* superuser, BYPASSRLS or tables' owner */
	char	   *principal;		/* NULL where unrestricted */
	MemoryContext context;		/* where all of this is */
	bool		token_read;		/* the two below are set */
	char	   *token_id;		/* of the token they present, or NULL */
	char	   *token_secret;
} Caller;

/* An access token is ID.SECRET; the secret is stored as its SHA-256. */
#define TOKEN_HASH_BYTES 32

extern const char *access_name(AccessLevel level);
extern bool access_parse(const char *name, AccessLevel *level);
extern bool access_is_unrestricted(Oid role);
extern void access_identify(Caller *caller);
extern AccessLevel access_level(Caller *caller, const char *diagram,
								StorageType storage, const char *owner,
								AccessLevel enough, Snapshot snapshot);
extern void access_hash_secret(const char *secret, uint8 *hash);
pg_noreturn extern void access_refuse(const char *diagram, AccessLevel has,
									  AccessLevel needs);

#endif							/* DIAGSYNC_ACCESS_H */
