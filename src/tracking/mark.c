/*
 * mark.c
 *	  Marks: how much of a shared diagram a reader has seen, as a text that
 *	  they keep and show again.
 *
 * A mark is a snapshot, like what a link has seen: what was not visible to it
 * is what comes next, so a transaction that commits late is not passed over.
 * Only what concerns the diagram's revisions so far is in it: it stays the
 * same while nobody writes there.  Clients are to take it for an opaque word;
 * it is made of characters that need no escaping in URLs and tags:
 *
 *	  EPOCH-COVERS		  of a reader who is through
 *	  EPOCH-COVERS-SINCE-AFTER	of one who is within the pages
 *	  ...-nSTREAM		  with a name for their stream of questions (by which a
 *						  web server lets each ask once a second)
 *
 * EPOCH is a digest of where the mark means something: the cluster and its
 * timeline, the diagram, and feed_start, which changes when rows of the
 * diagram came without a revision of their own.  A snapshot is its xmax, and
 * after "_" how far each transaction in progress is below it; AFTER is in
 * hexadecimal.
 *
 * A mark is also no longer valid where prune() has dropped a tombstone that it
 * had not seen (feed_pruned).
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "server/compat.h"
#include "statement/ownersql.h"
#include "tracking/candidate.h"
#include "tracking/mark.h"

#define REV(fxid) U64FromFullTransactionId(fxid)

static OwnerSql restart_feed =
OWNER_SQL("UPDATE diagsync.directory SET feed_start = $2, feed_pruned = NULL"
		  " WHERE id" EQ "$1",
		  2, TEXTOID, INT8OID);

/* Hexadecimal digits of an epoch and of a stream */
#define EPOCH_DIGITS 16
#define STREAM_DIGITS 16

/* No snapshot has more transactions in progress. */
#define MAX_IN_PROGRESS 1000000

static uint64
epoch_of(const Diagram *diagram)
{
	StringInfoData from;
	uint64		epoch;

	initStringInfo(&from);
	appendStringInfo(&from, "%s " INT64_FORMAT " %s", seen_here(),
					 diagram->feed_start, diagram->id);
	epoch = hash_bytes_extended((const unsigned char *) from.data, from.len,
								0);
	pfree(from.data);
	return epoch;
}

/*
 * Read a hexadecimal number; the text is moved behind it.  False if there is
 * none, or one that is no revision.
 */
static bool
read_number(const char **text, uint64 *number)
{
	const char *c = *text;

	*number = 0;
	for (; (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'f'); c++)
	{
		if (*number > (uint64) PG_INT64_MAX >> 4)
			return false;
		*number = *number * 16 + (*c <= '9' ? *c - '0' : *c - 'a' + 10);
	}
	if (c == *text)
		return false;
	*text = c;
	return true;
}

/*
 * Read a snapshot; NULL if it is none.
 */
static Seen *
read_seen(const char **text)
{
	uint64		xmax;
	uint64		below;
	uint64		last = PG_UINT64_MAX;
	uint32		n = 0;
	Seen	   *seen;

	for (const char *c = *text; *c != '\0' && *c != '-'; c++)
		n += *c == '_';
	if (n > MAX_IN_PROGRESS || !read_number(text, &xmax))
		return NULL;
	seen = palloc0(offsetof(Seen, xip) + n * sizeof(FullTransactionId));
	SET_VARSIZE(seen, offsetof(Seen, xip) + n * sizeof(FullTransactionId));
	seen->xmax = FullTransactionIdFromU64(xmax);
	while (**text == '_')
	{
		(*text) ++;
		if (!read_number(text, &below) || below == 0 || below > xmax ||
			below >= last)
			return NULL;
		last = below;
		seen->xip[seen->nxip++] = FullTransactionIdFromU64(xmax - below);
	}
	seen->xmin = seen->nxip > 0 ? seen->xip[0] : seen->xmax;
	return seen;
}

/*
 * Read the text that hexadecimal digits stand for, as mark_write() writes it;
 * NULL if it is none.
 */
static char *
read_text(const char **text)
{
	size_t		n = strspn(*text, "0123456789abcdef");
	char	   *bytes = palloc(n / 2 + 1);

	if (n == 0 || n % 2 != 0)
		return NULL;
	(void) hex_decode(*text, n, bytes);
	bytes[n / 2] = '\0';
	*text +=n;
	if (strlen(bytes) != n / 2 || !pg_verifymbstr(bytes, n / 2, true))
		return NULL;
	return bytes;
}

/* Is that the next character of a string?  If so, go past it. */
static bool
take(const char **string, char c)
{
	if (**string != c)
		return false;
	(*string)++;
	return true;
}

/*
 * Read what comes after the epoch; false if it is no mark.
 */
static bool
read_rest(const char *rest, Mark *mark)
{
	if (!take(&rest, '-'))
		return false;
	mark->covers = read_seen(&rest);
	if (mark->covers == NULL)
		return false;
	if (rest[0] == '-' && rest[1] != 'n')
	{
		rest++;
		mark->since = read_seen(&rest);
		if (mark->since == NULL || !take(&rest, '-'))
			return false;
		mark->after = read_text(&rest);
		if (mark->after == NULL)
			return false;
		if (REV(mark->since->xmax) == 0)
			mark->since = NULL;
	}
	if (rest[0] == '-' && rest[1] == 'n')
	{
		rest += 2;
		if (strspn(rest, "0123456789abcdef") < STREAM_DIGITS)
			return false;
		mark->stream = pnstrdup(rest, STREAM_DIGITS);
		rest += STREAM_DIGITS;
	}
	return *rest == '\0';
}

/*
 * Read a text as a mark, valid or not; NULL if it is none.
 */
static Mark *
parse(const char *text)
{
	Mark	   *mark = palloc0(sizeof(Mark));

	if (strspn(text, "0123456789abcdef") != EPOCH_DIGITS ||
		!read_rest(text +EPOCH_DIGITS, mark))
		return NULL;
	mark->epoch = strtou64(pnstrdup(text, EPOCH_DIGITS), NULL, 16);
	return mark;
}

/*
 * Does a mark say something of a diagram (any more)?
 */
static bool
is_valid(const Mark *mark, const Diagram *diagram)
{
	const Seen *seen = mark->since != NULL ? mark->since : mark->covers;

	return mark->epoch == epoch_of(diagram) &&
		REV(mark->covers->xmax) <= REV(ReadNextFullTransactionId()) &&
		(uint64) diagram->feed_pruned < REV(seen->xmin);
}

/*
 * Read a mark of a diagram.  NULL if it says nothing there (any more): it is
 * of another diagram or cluster, or from before what prune() has dropped.  An
 * error (22023) if it is no mark at all.
 */
Mark *
mark_read(const char *text, const Diagram *diagram)
{
	Mark	   *mark = parse(text);

	if (mark == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no mark of diagram \"%s\"", text, diagram->id),
				 errhint("Give a mark back as it came, or none to begin anew.")));
	return is_valid(mark, diagram) ? mark : NULL;
}

/*
 * Has a reader whose mark that may be seen all that there is in a shared
 * diagram under a registered snapshot?  Reads no entity that they have seen.
 */
bool
mark_is_current(const char *text, const Diagram *diagram, Snapshot snapshot)
{
	Mark	   *mark = parse(text);
	Candidates *candidates;
	bool		is_current;

	if (mark == NULL || mark->after != NULL || !is_valid(mark, diagram))
		return false;
	candidates = candidates_collect_unseen(diagram, mark->covers, 1, snapshot);
	is_current = candidates->added == 0;
	candidates_end(candidates);
	return is_current;
}

static void
write_seen(StringInfo to, const Seen *seen)
{
	uint64		xmax = seen != NULL ? REV(seen->xmax) : 0;

	appendStringInfo(to, "%llx", (unsigned long long) xmax);
	for (uint32 i = 0; seen != NULL && i < seen->nxip; i++)
		appendStringInfo(to, "_%llx",
						 (unsigned long long) (xmax - REV(seen->xip[i])));
}

/*
 * A mark of a diagram as text.  palloc'd.
 */
char *
mark_write(const Mark *mark, const Diagram *diagram)
{
	StringInfoData to;

	initStringInfo(&to);
	appendStringInfo(&to, "%016llx-", (unsigned long long) epoch_of(diagram));
	write_seen(&to, mark->covers);
	if (mark->after != NULL)
	{
		int			length = strlen(mark->after);
		char	   *hex = palloc(length * 2 + 1);

		hex[hex_encode(mark->after, length, hex)] = '\0';
		appendStringInfoChar(&to, '-');
		write_seen(&to, mark->since);
		appendStringInfo(&to, "-%s", hex);
	}
	if (mark->stream != NULL)
		appendStringInfo(&to, "-n%s", mark->stream);
	return to.data;
}

/*
 * What whoever reads all of a shared diagram under a registered snapshot has
 * seen then.  palloc'd.
 */
Seen *
mark_now(const Diagram *diagram, Snapshot snapshot)
{
	int64		last = directory_public_version(diagram, snapshot);
	Seen	   *seen;

	PushActiveSnapshot(snapshot);
	seen = seen_below((uint64) Max(last, diagram->feed_pruned) + 1);
	PopActiveSnapshot();
	return seen;
}

/*
 * A name for a stream of questions that nobody else has.  palloc'd.
 */
char *
mark_new_stream(void)
{
	uint64		number;

	if (!pg_strong_random(&number, sizeof(number)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	return psprintf("%016llx", (unsigned long long) number);
}

/*
 * A shared diagram, whose entry is locked FOR UPDATE, gets rows whose
 * revisions are those of other transactions: the marks that readers have,
 * which would miss those rows, are no longer valid.  And whoever locks the
 * entry with an older transaction snapshot gets 40001.  Once is enough in a
 * transaction, unless that is rolled back.  The caller is connected to SPI.
 */
void
mark_restart(const char *diagram)
{
	static char *restarted = NULL;
	static TransactionId restarted_by = InvalidTransactionId;
	Datum		values[2];

	if (restarted != NULL && strcmp(restarted, diagram) == 0 &&
		TransactionIdIsCurrentTransactionId(restarted_by))
		return;
	values[0] = CStringGetTextDatum(diagram);
	values[1] = Int64GetDatum((int64) REV(GetTopFullTransactionId()));
	(void) ownersql_run(&restart_feed, STORAGE_LOCAL, values, NULL,
						OWNER_SQL_EXEMPT | OWNER_SQL_FRESH);
	if (restarted != NULL)
		pfree(restarted);
	restarted = NULL;
	restarted = MemoryContextStrdup(TopMemoryContext, diagram);
	restarted_by = GetCurrentTransactionId();
}
