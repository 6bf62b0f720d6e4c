/*
 * policy.cpp
 *	  Fuzzes the reading of merge policies: which are none, and what those that are
 *	  mark.  An input is a JSON text.
 */
#include "harness/core.h"
#include "harness/jsonb.h"
#include "harness/random.h"
#include "harness/slow.h"

/* What a policy is with its preset written out; throws Refused where it has none
 * of the presets. */
static Value
expanded(const Value &policy)
{
	const Value *preset = child(&policy, "preset");

	if (!preset)
		return policy;
	const char *json = preset->type == Type::string ? core_preset(preset->string.c_str()) : nullptr;
	if (!json)
		throw slow::Refused{"= refused: no such preset"};
	Value result = *parse_json(json);
	for (auto &[key, value] : policy.members)
		if (key != "preset")
			result.members[key] = value;
	return result;
}

static std::string
path_of(const CoreMark &mark)
{
	return std::string(mark.path, mark.path_len);
}

static void
compare_marks(const CorePolicy &given, const slow::Policy &expected)
{
	std::map<std::string, const CoreMark *> marks;
	std::map<int, const slow::Owner *> groups;

	for (int i = 0; i < given.marks; i++)
		marks[path_of(given.mark[i])] = &given.mark[i];
	if (marks.size() != expected.marks.size())
		fail("another number of marks");
	for (auto &[path, owner] : expected.marks)
	{
		auto found = marks.find(pointer_of(path));

		if (found == marks.end())
			fail("no mark at " + pointer_of(path));
		auto &mark = *found->second;
		if (mark.ignore != (owner->kind == slow::Kind::ignore) ||
			mark.latest != (owner->kind == slow::Kind::latest) ||
			(mark.group >= 0) != (owner->kind == slow::Kind::group))
			fail("marked as something else: " + pointer_of(path));
		if (mark.group >= 0 && groups.emplace(mark.group, owner).first->second != owner)
			fail("one group with another: " + pointer_of(path));
	}
	if (groups.size() != expected.groups.size())
		fail("one group is several");
}

static void
compare(const CorePolicy &given, const Value &policy, const slow::Policy &expected)
{
	compare_marks(given, expected);
	Value tolerance = expected.tolerance;
	if (!gives(given.tolerance, tolerance.number.digits == 0 ? nullptr : &tolerance))
		fail("another tolerance");
	if (given.references != (int) expected.references.size())
		fail("another number of references");
	for (int i = 0; i < given.references; i++)
		if (path_of(given.reference[i]) != pointer_of(expected.references[i]))
			fail("another reference");
	if (!gives(given.expanded, &policy))
		fail("written out otherwise");
}

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto input = parse_json({(const char *) data, size});

	if (!input)
		return 0;

	Jsonb jsonb(&*input);
	CorePolicy given = {};
	given.is_expanded = size % 4 < 2;
	const char *error = core_policy(jsonb, size % 2 == 0 ? "a diagram" : nullptr, &given);
	try
	{
		Value policy = given.is_expanded ? *input : expanded(*input);
		slow::Policy expected(&policy);

		if (error)
			fail(std::string("an error: ") + error);
		compare(given, policy, expected);
		count("= a policy");
	}
	catch (slow::Refused &refused)
	{
		if (!error)
			fail(std::string("taken for a policy: ") + refused.why);
		if (std::string(error).find("invalid merge policy") != 0)
			fail(std::string("another error: ") + error);
		count(refused.why);
	}
	if (!jsonb.is_unchanged())
		fail("the policy was written to");
	core_forget();
	return 0;
}

/* Something in it becomes something else. */
static void
spoil(Random &random, Value &value)
{
	if (!value.elements.empty() && !random.one_in(3))
		spoil(random, random.choice(value.elements));
	else if (!value.members.empty() && !random.one_in(4))
		spoil(random, std::next(value.members.begin(), random.below(value.members.size()))->second);
	else if (value.type == Type::string && random.one_in(2))
	{
		uint8_t bytes[64];
		size_t len = std::min(value.string.size(), sizeof(bytes) / 2);

		memcpy(bytes, value.string.data(), len);
		value.string.assign((char *) bytes, LLVMFuzzerMutate(bytes, len, sizeof(bytes)));
		for (char &c : value.string)
			if (c == '\0')
				c = '/';
	}
	else
		value = random.value();
}

extern "C" size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	Random random(seed);
	auto policy = parse_json({(const char *) data, size});

	if (!policy || random.one_in(10))
	{
		if (random.one_in(2))
			return LLVMFuzzerMutate(data, size, max_size);
		auto document = random.document();
		policy = random.policy(document ? &*document : nullptr);
	}
	for (size_t i = 1 + random.below(3); i > 0; i--)
	{
		auto document = random.document();

		if (policy->type == Type::object && !random.one_in(3))
			random.edit_policy(*policy, document ? &*document : nullptr);
		else
			spoil(random, *policy);
	}
	return replace_input(data, size, max_size, text_of(*policy));
}
