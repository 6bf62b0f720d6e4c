/*
 * merge.cpp
 *	  Fuzzes the merge of a document, and holds it against slow.cpp.
 *
 * An input is five lines, of which those of what does not exist may be missing:
 *
 *	  base: {"x": 1}
 *	  local: {"x": 2}
 *	  public: {"x": 3}
 *	  policy: {"granularity": "property", "latest": ["/x"]}
 *	  newer: "local"
 */
#include <algorithm>

#include "harness/core.h"
#include "harness/jsonb.h"
#include "harness/lines.h"
#include "harness/random.h"
#include "harness/slow.h"
#include "harness/target.h"

enum Document { BASE, LOCAL, REMOTE };

struct Input
{
	std::optional<Value> documents[3];
	std::optional<Value> policy;
	bool local_is_newer = false;

	const Value *document(Document which) const { return documents[which] ? &*documents[which] : nullptr; }
};

static std::vector<Line>
lines_of(Input &input, std::optional<Value> &newer)
{
	return {{"base", &input.documents[BASE]}, {"local", &input.documents[LOCAL]}, {"public", &input.documents[REMOTE]},
		{"policy", &input.policy}, {"newer", &newer}};
}

static std::optional<Input>
parse_input(std::string_view text)
{
	Input input;
	std::optional<Value> newer;

	if (!parse_lines(text, lines_of(input, newer)))
		return {};
	input.local_is_newer = newer && newer->string == "local";
	return input;
}

static std::string
text_of_input(Input &input)
{
	std::optional<Value> newer = Value(input.local_is_newer ? "local" : "public");

	return text_of_lines(lines_of(input, newer));
}

/* ---- The merge ---------------------------------------------------------------- */

static std::string
text_or_none(const std::optional<Value> &value)
{
	return value ? text_of(*value) : "-";
}

static void
describe(std::string &text, const char *name, const std::string &value)
{
	text += std::string("\n  ") + name + ": " + value;
}

[[noreturn]] static void
fail_merge(const char *what, Input &input, const CoreMerge &given, const slow::Answer &expected)
{
	std::string text = what;

	text += "\n" + text_of_input(input) + "given:";
	for (int i = 0; i < given.conflicts; i++)
		describe(text, "conflict", std::string(given.conflict[i].path, given.conflict[i].path_len));
	if (given.conflicts == 0)
	{
		auto merged = value_given(given.merged);

		describe(text, "merged", text_or_none(merged));
	}
	text += "\nexpected:";
	for (auto &conflict : expected.conflicts)
		describe(text, "conflict", pointer_of(conflict.path));
	if (!expected.conflict)
		describe(text, "merged", text_or_none(expected.merged));
	fail(text);
}

/* What it is where a side wins */
static void
compare_won(Input &input, const CoreMerge &given, slow::Side side, const slow::Policy &policy)
{
	bool swapped = input.local_is_newer;
	bool local_wins = (side == slow::Side::local) != swapped;
	auto expected = slow::merge(input.document(BASE), input.document(swapped ? REMOTE : LOCAL),
								input.document(swapped ? LOCAL : REMOTE), policy, swapped, side);
	auto won = value_given(local_wins ? given.local_wins : given.remote_wins);
	const Value *expected_won = expected.merged ? &*expected.merged : nullptr;

	if (equal(won ? &*won : nullptr, expected_won))
		count("a side wins");
	else if (expected.open && slow::same(won ? &*won : nullptr, expected_won, policy))
		count("= left open by the documentation which of the same values, and the same");
	else
		fail(std::string(local_wins ? "local" : "public") + " wins otherwise\n" + text_of_input(input) + "given: " +
			 text_or_none(won) + "\nexpected: " + text_or_none(expected.merged));
}

static void
compare(Input &input, const CoreMerge &given, const slow::Answer &expected, const slow::Policy &policy)
{
	auto differs = [&](const char *what) { fail_merge(what, input, given, expected); };
	auto local_newer = input.local_is_newer;

	if (given.local_changed != (local_newer ? expected.remote_changed : expected.local_changed) ||
		given.remote_changed != (local_newer ? expected.local_changed : expected.remote_changed))
		differs("another side changed");
	if (given.differ != expected.differ || given.are_same == expected.differ)
		differs("the ends differ, or do not");
	if (given.conflicts != (int) expected.conflicts.size() || given.paths != given.conflicts)
		differs("another number of conflicts");
	/* With keys, paths come in the order of these, not of their names. */
	std::vector<const CoreConflict *> conflicts;
	for (int i = 0; i < given.conflicts; i++)
		conflicts.push_back(&given.conflict[i]);
	if (!policy.keys.empty())
		std::sort(conflicts.begin(), conflicts.end(), [](auto a, auto b) {
			return PathOrder()(*parse_pointer({a->path, (size_t) a->path_len}),
							   *parse_pointer({b->path, (size_t) b->path_len}));
		});
	for (int i = 0; i < given.conflicts; i++)
	{
		auto &mine = *conflicts[i];
		auto &its = expected.conflicts[i];

		if (std::string(mine.path, mine.path_len) != pointer_of(its.path))
			differs("another conflict");
		if (!gives(mine.base, its.base) || !gives(mine.local, local_newer ? its.remote : its.local) ||
			!gives(mine.remote, local_newer ? its.local : its.remote))
			differs("other values in conflict");
	}
	if (expected.conflict)
	{
		if (given.merged)
			differs("merged in spite of a conflict");
		count("= conflict");
		for (auto side : {slow::Side::local, slow::Side::remote})
			compare_won(input, given, side, policy);
		return;
	}

	auto merged = value_given(given.merged);
	const Value *expected_merged = expected.merged ? &*expected.merged : nullptr;
	if (equal(merged ? &*merged : nullptr, expected_merged))
		count(!expected_merged ? "= deleted" :
			  !expected.local_changed && !expected.remote_changed ? "= changed by nobody" :
			  !expected.local_changed || !expected.remote_changed ? "= changed by one side" : "= merged from both");
	else if (expected.open && slow::same(merged ? &*merged : nullptr, expected_merged, policy))
		count("= left open by the documentation which of the same values, and the same");
	else
		differs("merged otherwise");
}

/* The policy with its preset, if it has one, written out */
static std::optional<Value>
with_preset(const std::optional<Value> &policy)
{
	const Value *preset = policy ? child(&*policy, "preset") : nullptr;
	const char *json = preset && preset->type == Type::string ? core_preset(preset->string.c_str()) : nullptr;

	if (!json)
		return policy;
	Value result = *parse_json(json);
	for (auto &[key, value] : policy->members)
		if (key != "preset")
			result.members[key] = value;
	return result;
}

/* Returns whether there are conflicts. */
static bool
look_at(Input &input, const slow::Policy &policy)
{
	Jsonb documents[] = {Jsonb(input.document(BASE)), Jsonb(input.document(LOCAL)), Jsonb(input.document(REMOTE))};
	Jsonb policy_given(input.policy ? &*input.policy : nullptr);
	CoreMerge given = {};

	given.base = documents[BASE];
	/* A side that is as the base may be the same document in memory, too. */
	given.local = documents[input.local_is_newer && documents[LOCAL].is_as(documents[BASE]) ? BASE : LOCAL];
	given.remote = documents[REMOTE];
	given.policy = policy_given;
	given.local_is_newer = input.local_is_newer;
	if (const char *error = core_merge(&given))
		fail(std::string("an error: ") + error + "\n" + text_of_input(input));
	for (auto &document : documents)
		if (!document.is_unchanged())
			fail("a document was written to");

	/* Where the local side is the newer one, the sides are swapped. */
	auto expected = slow::merge(input.document(BASE), input.document(input.local_is_newer ? REMOTE : LOCAL),
									 input.document(input.local_is_newer ? LOCAL : REMOTE), policy,
									 input.local_is_newer);
	compare(input, given, expected, policy);
	core_forget();
	for (auto what : expected.seen)
		count(what);
	return expected.conflict;
}

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto input = parse_input({(const char *) data, size});

	if (!input)
		return 0;

	/* As it is and with the other side the newer, then both with the other granularity */
	bool conflict[2] = {false, false};
	for (int round = 0; round < 4; round++)
	{
		auto expanded = with_preset(input->policy);

		try
		{
			slow::Policy policy(expanded ? &*expanded : nullptr);
			bool by_property = !(policy.marks.count({}) && policy.marks.at({})->kind == slow::Kind::group);

			conflict[by_property] |= look_at(*input, policy);
			input->local_is_newer = !input->local_is_newer;
		}
		catch (slow::Refused &)
		{
			return 0;			/* no policy; policy.cpp looks at these */
		}
		if (round == 1)
		{
			if (!input->policy)
				input->policy = Type::object;
			const Value *granularity = expanded ? child(&*expanded, "granularity") : nullptr;
			bool is_property = granularity && granularity->string == "property";
			input->policy->members["granularity"] = is_property ? "entity" : "property";
		}
	}
	if (conflict[true] && !conflict[false])
		fail("granularity \"property\" conflicts where \"entity\" does not\n" + text_of_input(*input));
	return 0;
}

/* ---- Mutations ---------------------------------------------------------------- */

static void
make_sides(Random &random, Input &input)
{
	auto pointers = pointers_of(input.policy);
	auto common = random.one_in(3) ? random.edited(input.documents[BASE], pointers) : input.documents[BASE];

	for (auto which : {LOCAL, REMOTE})
	{
		input.documents[which] = common;
		for (size_t i = random.below(4); i > 0; i--)
			input.documents[which] = random.edited(input.documents[which], pointers);
	}
}

static void
mutate(Random &random, Input &input)
{
	auto &document = input.documents[random.below(3)];
	const Value *base = input.document(BASE);

	switch (random.below(16))
	{
		case 0:
			input.documents[BASE] = random.document();
			input.policy = random.policy(input.document(BASE));
			make_sides(random, input);
			break;
		case 1:
			input.policy = random.policy(base);
			make_sides(random, input);
			break;
		case 2:
			make_sides(random, input);
			break;
		case 3:
			input.policy.reset();
			break;
		case 4:
			document = input.documents[random.below(3)];
			break;
		case 5:
			input.local_is_newer = !input.local_is_newer;
			break;
		case 6:
			/* All inside another object */
			{
				std::string key = random.key();

				for (auto &inside : input.documents)
					if (inside)
					{
						Value outside(Type::object);

						outside.members[key] = *inside;
						inside = outside;
					}
			}
			break;
		case 7:
		case 8:
		case 9:
			if (!input.policy)
				input.policy = Type::object;
			random.edit_policy(*input.policy, base);
			break;
		case 10:
			if (document)
				document = random.jittered(*document);
			break;
		default:
			document = random.edited(document, pointers_of(input.policy));
	}
}

extern "C" size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	Random random(seed);
	auto input = parse_input({(const char *) data, size});

	if (random.one_in(50))
		return LLVMFuzzerMutate(data, size, max_size);
	if (!input || (input->policy && input->policy->type != Type::object))
		input.emplace();
	for (size_t i = 1 + random.below(3); i > 0; i--)
		mutate(random, *input);
	return replace_input(data, size, max_size, text_of_input(*input));
}
