/*
 * jsonb.h
 *	  Documents on their way to the core and back.
 */
#ifndef FUZZ_JSONB_H
#define FUZZ_JSONB_H

#include <cstdlib>
#include <cstring>

#include "target.h"
#include "value.h"

/* A document as binary jsonb, in memory of exactly its size */
class Jsonb
{
public:
	explicit Jsonb(const Value *value)
	{
		if (!value)
			return;
		original = jsonb_of(*value);
		bytes = (char *) malloc(original.size());
		memcpy(bytes, original.data(), original.size());
	}
	~Jsonb() { free(bytes); }
	Jsonb(const Jsonb &) = delete;

	operator const void *() const { return bytes; }
	bool is_as(const Jsonb &other) const { return original == other.original; }
	bool is_unchanged() const { return !bytes || memcmp(bytes, original.data(), original.size()) == 0; }

private:
	char *bytes = nullptr;
	std::string original;
};

/* What the core gave, which must be laid out exactly as jsonb_in() would have done it */
inline std::optional<Value>
value_given(const void *jsonb)
{
	if (!jsonb)
		return {};
	try
	{
		Value value = value_of_jsonb(jsonb);
		std::string canonical = jsonb_of(value);

		if (memcmp(jsonb, canonical.data(), canonical.size()) != 0)
			fail("laid out otherwise than usual: " + text_of(value));
		return value;
	}
	catch (std::string &what)
	{
		fail(what);
	}
}

inline bool
gives(const void *jsonb, const Value *expected)
{
	auto value = value_given(jsonb);

	return equal(value ? &*value : nullptr, expected);
}

#endif							/* FUZZ_JSONB_H */
