/*
 * slow.h
 *	  The merge of one document, once more: slow and plain, from docs/merging.md
 *	  and test/laws/reference.py, which was written from that page alone.  That one
 *	  is held against the server, this one, in a faster language, against the core
 *	  by itself.
 *
 * A policy marks properties: those that are ignored, those that are `latest`, and
 * the members of groups.  A mark owns what is below it up to the next mark.  The
 * ordinary rules hold for what no mark owns.
 *
 * An element of an array with keys is merged as a document of its own: a mark whose
 * pointer leads into it belongs to that element alone.
 */
#ifndef FUZZ_SLOW_H
#define FUZZ_SLOW_H

#include <list>
#include <set>

#include "value.h"

namespace slow
{

enum class Kind { plain, ignore, latest, group };

/* One ignored property, one `latest` value, one group, or what nobody owns */
struct Owner
{
	Kind kind;
	std::vector<Path> paths;
};

/* A property that is marked, or leads to one that is */
struct Node
{
	std::map<std::string, Node> children;
	const Owner *owner = nullptr;
	std::set<const Owner *> owners_below;	/* of marks strictly below */
	std::string element_key;
	std::vector<const Owner *> groups;		/* of the document, or of an element */
};

enum class Side { neither, local, remote };

/* Thrown where a value is no policy */
struct Refused { const char *why; };

struct Policy
{
	Decimal tolerance = {0, 0};
	Node root;
	std::list<Owner> owners;
	std::vector<const Owner *> groups;
	std::vector<Path> references;
	std::map<Path, const Owner *, PathOrder> marks;
	std::map<Path, std::string, PathOrder> keys;
	bool null_is_absent = false;
	bool by_property = false;

	explicit Policy(const Value *policy);
	Policy(const Policy &) = delete;
};

struct Conflict
{
	Path path;
	const Value *base, *local, *remote;
};

struct Answer
{
	bool conflict = false;
	std::vector<Conflict> conflicts;
	std::optional<Value> merged;
	/* The documentation leaves open which of several values that are the same is taken. */
	bool open = false;
	bool local_changed, remote_changed, differ;
	std::set<const char *> seen;	/* which rules were applied */
};

/* The remote (public) side is the newer one; if they are swapped it is the local one.  With a
 * winner `merged` has that side's values where it conflicts. */
Answer merge(const Value *base, const Value *local, const Value *remote, const Policy &policy,
			 bool swapped = false, Side winner = Side::neither);

/* As the policy sees it, the same, or both the same as a third value? */
bool same(const Value *a, const Value *b, const Policy &policy);

}

#endif							/* FUZZ_SLOW_H */
