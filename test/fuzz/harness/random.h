/*
 * random.h
 *	  Random documents, edits of documents and policies, such that edits meet and
 *	  policies speak of what is edited.
 */
#ifndef FUZZ_RANDOM_H
#define FUZZ_RANDOM_H

#include <cstdint>

#include "value.h"

class Random
{
public:
	explicit Random(uint64_t seed) : state(seed * 2 + 1) { next(); next(); }

	/* ---- Dice ------------------------------------------------------------------ */

	/* Less than that many */
	size_t below(size_t limit) { return limit == 0 ? 0 : next() % limit; }
	bool one_in(size_t n) { return below(n) == 0; }
	template <class Choices> auto &choice(Choices &choices) { return choices[below(std::size(choices))]; }

	/* ---- Values ---------------------------------------------------------------- */

	std::string key();
	Value number();
	Value scalar();
	Value element();
	Value value(int depth = 0);
	Value object(int depth = 0);
	std::optional<Value> document();

	/* With one edit; nothing where it is deleted.  Half of them are where one of
	 * the pointers leads. */
	std::optional<Value> edited(const std::optional<Value> &document, const std::vector<Path> &pointers);
	Value jittered(const Value &value);

	/* ---- Policies -------------------------------------------------------------- */

	/* Mostly of a property that is there, or beside one */
	Path path_in(const Value *document, bool through_arrays);
	Value pointers(const Value *document, bool through_arrays);
	Value policy(const Value *document);
	void edit_policy(Value &policy, const Value *document);
	void edit_keys(Value &policy, const Value *document);

private:
	uint64_t state;

	uint64_t next();
	void edit_object(Value &object);
	void edit_array(Value &array);
	Decimal close(Decimal number);
};

/* All pointers that a policy has, whatever it says of them */
std::vector<Path> pointers_of(const std::optional<Value> &policy);

#endif							/* FUZZ_RANDOM_H */
