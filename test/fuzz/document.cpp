/*
 * document.cpp
 *	  Fuzzes what is done with the document of an entity but for merging: compared
 *	  and digested by value, given a new id, its references found and redirected.
 *
 * An input is up to four lines; the document is an object:
 *
 *	  document: {"id": "a", "from": "b"}
 *	  base: {"from": "a"}
 *	  other: {"from": ["b"]}
 *	  policy: {"references": ["/from"]}
 */
#include "harness/core.h"
#include "harness/jsonb.h"
#include "harness/lines.h"
#include "harness/random.h"
#include "harness/slow.h"

struct Input
{
	std::optional<Value> document, base, other, policy;
};

static std::vector<Line>
lines_of(Input &input)
{
	return {{"document", &input.document}, {"base", &input.base}, {"other", &input.other}, {"policy", &input.policy}};
}

/* In order of bytes; none of the new ids is an old one. */
static const char *const IDS[] = {"", "a", "b", "blue", "red", "\xc3\xa9"};
static const char *const NEW_IDS[] = {"empty-2", "a-2", "b-2", "blue-2", "red-2", "another"};

static const Value *
pointer_to(const std::optional<Value> &value)
{
	return value ? &*value : nullptr;
}

static std::string
new_id(const CoreEntity &given, const std::string &id)
{
	for (int i = 0; i < given.id_count; i++)
		if (id == given.ids[i])
			return given.new_ids[i];
	return id;
}

static bool
refers(const Value *document, const Path &place, const std::string &id)
{
	const Value *value = at(document, place);

	if (value && value->type == Type::array)
		for (auto &element : value->elements)
			if (element.type == Type::string && element.string == id)
				return true;
	return value && value->type == Type::string && value->string == id;
}

/* The document with the references at the place redirected, but for those that the
 * base or the other document has there */
static void
lead(Value &document, const Path &place, const Input &input, const CoreEntity &given)
{
	Value *value = &document;

	for (auto &key : place)
	{
		if (value->type != Type::object || !value->members.count(key))
			return;
		value = &value->members[key];
	}
	auto lead_one = [&](Value &id) {
		if (id.type == Type::string && !refers(pointer_to(input.base), place, id.string) &&
			!refers(pointer_to(input.other), place, id.string))
			id.string = new_id(given, id.string);
	};
	lead_one(*value);
	for (auto &element : value->elements)
		lead_one(element);
}

static std::vector<std::pair<std::string, const Value *>>
references(const Value &document, const std::vector<Path> &places)
{
	std::vector<std::pair<std::string, const Value *>> found;

	for (auto &place : places)
	{
		const Value *value = at(&document, place);

		if (value && value->type == Type::string)
			found.emplace_back(pointer_of(place), value);
		if (value && value->type == Type::array)
			for (auto &element : value->elements)
				if (element.type == Type::string)
					found.emplace_back(pointer_of(place), &element);
	}
	return found;
}

static void
compare(const CoreEntity &given, const Input &input, const slow::Policy &policy, const std::string &id)
{
	Value renamed = *input.document, redirected = *input.document;

	for (auto key : {"id", "_id"})
	{
		auto found = renamed.members.find(key);

		if (found != renamed.members.end() && found->second.type == Type::string && found->second.string == id)
			found->second.string = given.new_id;
	}
	if (!gives(given.renamed, &renamed))
		fail("given another new id");
	for (auto &place : policy.references)
		lead(redirected, place, input, given);
	if (!gives(given.redirected, &redirected))
		fail("redirected otherwise, expected " + text_of(redirected));
	count(equal(&redirected, &*input.document) ? "= nothing redirected" : "= redirected");

	auto expected = references(*input.document, policy.references);
	if (given.references != (int) expected.size())
		fail("another number of references");
	for (int i = 0; i < given.references; i++)
	{
		auto &reference = given.reference[i];

		if (std::string(reference.place.path, reference.place.path_len) != expected[i].first ||
			!gives(reference.id, expected[i].second))
			fail("another reference");
	}
	count(expected.empty() ? "= no references" : "= references");

	bool equals = equal(&*input.document, pointer_to(input.other));
	if (given.equals_other != equals)
		fail("equal, or not");
	if ((std::string(given.digest) == given.other_digest) != equals)
		fail("a digest that is equal, or not");
	count(equals ? "= equal documents" : "= other documents");
}

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input;

	if (!parse_lines({(const char *) data, size}, lines_of(input)) || !input.document ||
		input.document->type != Type::object)
		return 0;
	const Value *own_id = child(&*input.document, "id");
	/* Of the server's strings none has a zero byte in it, nor has any of parse_json(). */
	std::string id = own_id && own_id->type == Type::string ? own_id->string : "a";

	try
	{
		slow::Policy policy(pointer_to(input.policy));
		Jsonb document(&*input.document), base(pointer_to(input.base)), other(pointer_to(input.other)),
			policy_given(pointer_to(input.policy));
		CoreEntity given = {};

		given.document = document;
		given.base = base;
		given.other = other;
		given.policy = policy_given;
		given.id = id.c_str();
		given.new_id = "new";
		given.ids = IDS;
		given.new_ids = NEW_IDS;
		given.id_count = int(size % (std::size(IDS) + 1));
		if (const char *error = core_entity(&given))
			fail(std::string("an error: ") + error);
		compare(given, input, policy, id);
		if (!document.is_unchanged() || !base.is_unchanged() || !other.is_unchanged())
			fail("a document was written to");
	}
	catch (slow::Refused &)
	{
	}
	core_forget();
	return 0;
}

/* ---- Mutations ---------------------------------------------------------------- */

static void
mutate(Random &random, Input &input)
{
	auto &document = random.one_in(2) ? input.document : random.one_in(2) ? input.base : input.other;

	if (!input.policy || input.policy->type != Type::object)
		input.policy = Type::object;
	auto pointers = pointers_of(input.policy);
	switch (random.below(6))
	{
		case 0:
			document = random.document();
			break;
		case 1:
			document = input.document;
			break;
		case 2:
			input.policy->members["references"] = random.pointers(pointer_to(input.document), random.one_in(4));
			break;
		case 3:
			/* An id or an array of some, where the policy says that there are */
			if (document && document->type == Type::object && !pointers.empty())
			{
				Value *inside = &*document;

				for (auto &key : random.choice(pointers))
				{
					inside->type = Type::object;
					inside = &inside->members[key];
				}
				*inside = Value(random.choice(IDS));
				if (random.one_in(2))
				{
					Value array(Type::array);

					for (size_t i = random.below(4); i > 0; i--)
						array.elements.push_back(random.one_in(5) ? random.scalar() : Value(random.choice(IDS)));
					*inside = array;
				}
			}
			break;
		default:
			document = random.edited(document, pointers);
	}
	if (!input.document || input.document->type != Type::object)
		input.document = random.object();
}

extern "C" size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	Random random(seed);
	Input input;

	if (!parse_lines({(const char *) data, size}, lines_of(input)))
		input = {};
	for (size_t i = 1 + random.below(4); i > 0; i--)
		mutate(random, input);
	return replace_input(data, size, max_size, text_of_lines(lines_of(input)));
}
