/*
 * pointer.cpp
 *	  Fuzzes JSON Pointers: read, written, followed.
 *
 * An input is a pointer, a line feed, and a document.  The pointer may be any
 * bytes but a line feed.
 */
#include <memory>

#include "harness/core.h"
#include "harness/jsonb.h"
#include "harness/random.h"

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	std::string_view input((const char *) data, size);
	std::string_view text = input.substr(0, input.find('\n'));
	auto document = parse_json(input.substr(std::min(text.size() + 1, size)));
	Jsonb jsonb(document ? &*document : nullptr);
	auto expected = parse_pointer(text);
	CorePointer given;

	/* In memory of exactly its size, not terminated by anything */
	std::unique_ptr<char, decltype(&free)> copy((char *) malloc(text.size()), free);
	memcpy(copy.get(), text.data(), text.size());
	if (const char *error = core_pointer(copy.get(), int(text.size()), jsonb, &given))
		fail(std::string("an error: ") + error);
	if (!expected)
	{
		if (given.count != -1)
			fail("what is no pointer was taken for one");
		count("= no pointer");
		core_forget();
		return 0;
	}
	if (given.count != (int) expected->size())
		fail("another number of keys");
	for (int i = 0; i < given.count; i++)
		if (std::string(given.keys[i].name, given.keys[i].len) != (*expected)[i])
			fail("another key");
	if (std::string_view(given.text, given.text_len) != text)
		fail("written otherwise than read: " + std::string(given.text, given.text_len));
	const Value *value = at(document ? &*document : nullptr, *expected);
	if (!gives(given.value, value))
		fail("leads elsewhere");
	if (!jsonb.is_unchanged())
		fail("the document was written to");
	count(value ? "= leads to a value" : "= leads nowhere");
	core_forget();
	return 0;
}

extern "C" size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	Random random(seed);
	std::string input((const char *) data, size);
	std::string text = input.substr(0, input.find('\n'));
	auto document = parse_json(std::string_view(input).substr(std::min(text.size() + 1, size)));

	if (random.one_in(2))
	{
		/* The bytes of the pointer alone, or nothing would be left of the document. */
		size_t old_size = text.size();

		text.resize(old_size + 32);
		text.resize(LLVMFuzzerMutate((uint8_t *) text.data(), old_size, text.size()));
		for (char &c : text)
			if (c == '\n')
				c = '~';
	}
	else if (!document || random.one_in(2))
		document = random.edited(document, {});
	else
		text = pointer_of(random.path_in(&*document, random.one_in(4)));
	return replace_input(data, size, max_size, text + "\n" + (document ? text_of(*document) : ""));
}
