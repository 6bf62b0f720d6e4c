#include "random.h"

#include <algorithm>

/* Of several lengths, in characters and in bytes.  Some need escapes in a pointer,
 * some look like escapes or like an index. */
static const char *const KEYS[] = {
	"a", "b", "c", "d", "x", "y", "id", "_id", "pos", "data", "", "~", "/", "~0", "a/b", "m~n", "0", "1", "01", "-",
	"é", "zz", "日本", "😀", " ", "\"", "\\", "a\nb", "%s", "a rather long key of many bytes"};
static const char *const STRINGS[] = {"", "a", "b", "red", "blue", "1", "null", "é", "日本語", "\t", "\\", "\"", "/a/b"};
static const char *const NUMBERS[] = {
	"0", "1", "1.0", "1.00", "2", "10", "-1", "-0.5", "0.1", "0.10", "0.3", "1.5", "99.999", "100", "1000000",
	"127", "128", "-128", "-129", "255", "256", "999999999999999999", "-999999999999999999", "0.000000000000000001",
	"123456789.123456789"};
static const char *const TOLERANCES[] = {"0", "0.5", "0.5", "1", "1.0", "0.0001", "2.5"};
static const char *const JITTERS[] = {"0.4", "-0.4", "0.5", "-0.5", "0.6", "1", "0.00005", "0", "0.0"};
static const char *const ELEMENT_KEYS[] = {"A", "B", "C", "D", "7", "-1", "\"", "a/b", "", "é", "E", "F"};
static const char *const ELEMENT_MEMBERS[] = {"x", "y", "z"};
static const char *const PRESETS[] = {"immersive", "excalidraw", "tldraw", "jsoncanvas", "reactflow", "grafana"};

static Decimal
decimal(const char *text)
{
	return parse_json(text)->number;
}

/* A xorshift generator: it need only be fast, and the same everywhere. */
uint64_t
Random::next()
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 11;
}

/* ---- Values ------------------------------------------------------------------- */

std::string
Random::key()
{
	/* Mostly of a few, or edits would never meet. */
	return KEYS[one_in(4) ? below(std::size(KEYS)) : below(6)];
}

Value
Random::number()
{
	return decimal(choice(NUMBERS));
}

Value
Random::scalar()
{
	static const Type others[] = {Type::yes, Type::no, Type::null};

	if (one_in(2))
		return number();
	if (one_in(2))
		return choice(STRINGS);
	return choice(others);
}

Value
Random::value(int depth)
{
	if (depth < 3 && below(10) < 4)
		return object(depth + 1);
	if (depth < 3 && one_in(7))
	{
		Value array(Type::array);

		for (size_t i = below(4); i > 0; i--)
			array.elements.push_back(value(depth + 1));
		return array;
	}
	return scalar();
}

Value
Random::object(int depth)
{
	Value result(Type::object);

	for (size_t i = below(5); i > 0; i--)
		result.members[key()] = value(depth);

	/* Every 32nd entry of an object or array is another one than the rest. */
	if (one_in(200))
		for (size_t i = 0; i < 40; i++)
			result.members["k" + std::to_string(i)] = scalar();
	return result;
}

std::optional<Value>
Random::document()
{
	if (one_in(20))
		return {};
	if (one_in(20))
		return value();
	Value result = object();
	while (result.members.size() < 2)
		result.members[key()] = value();
	if (one_in(3))
	{
		Value array(Type::array);

		for (size_t i = below(5); i > 0; i--)
			array.elements.push_back(element());
		result.members[key()] = array;
	}
	return result;
}

/* Of an array, with a key; rarely without */
Value
Random::element()
{
	Value result(Type::object);

	for (size_t i = below(3); i > 0; i--)
		result.members[choice(ELEMENT_MEMBERS)] = value(2);
	if (!one_in(50))
		result.members["id"] = one_in(3) ? number() : Value(choice(ELEMENT_KEYS));
	if (one_in(10))
	{
		result.members["in"] = Value(Type::array);
		result.members["in"].elements.push_back(element());
	}
	return result;
}

/* Mostly less than a tolerance away, exactly as far, or a little more */
Decimal
Random::close(Decimal number)
{
	Decimal distance = decimal(choice(JITTERS));
	distance.digits = -distance.digits;
	Decimal sum = decimal_difference(number, distance);

	/* What parse_json() would not read back */
	return sum.scale > 3 || decimal_is_too_large({sum.digits * 1000, sum.scale}) ? distance : sum;
}

Value
Random::jittered(const Value &value)
{
	Value result = value;

	if (value.type == Type::number)
		result.number = close(value.number);
	for (auto &element : result.elements)
		element = jittered(element);
	for (auto &member : result.members)
		member.second = jittered(member.second);
	return result;
}

void
Random::edit_array(Value &array)
{
	auto &elements = array.elements;
	size_t index = below(elements.size());

	if (!elements.empty() && child(&elements[0], "id") && !one_in(20))
	{
		size_t other = below(elements.size());

		if (one_in(4))
			elements.insert(elements.begin() + index, element());
		else if (one_in(5))
			elements.erase(elements.begin() + index);
		else if (one_in(4))
			std::swap(elements[index], elements[other]);
		else
			elements[index].members[choice(ELEMENT_MEMBERS)] = value(2);
		return;
	}
	if (elements.empty() || one_in(4))
		elements.insert(elements.begin() + index, value(2));
	else if (one_in(5))
		elements.erase(elements.begin() + index);
	else if (one_in(3))
		array = jittered(array);
	else if (elements[index].type == Type::object)
		edit_object(elements[index]);
	else
		elements[index] = scalar();
}

static std::vector<std::string>
keys_of(const Value &object)
{
	std::vector<std::string> keys;

	for (auto &member : object.members)
		keys.push_back(member.first);
	return keys;
}

void
Random::edit_object(Value &object)
{
	auto keys = keys_of(object);

	if (keys.empty() || one_in(5))
		object.members[key()] = value(1);
	else if (one_in(4))
		object.members.erase(choice(keys));
	else
	{
		Value &inner = object.members[choice(keys)];

		if (inner.type == Type::array && !one_in(5))
			edit_array(inner);
		else if (inner.type == Type::object && !one_in(6))
			edit_object(inner);
		else if (inner.type == Type::number && !one_in(3))
			inner.number = close(inner.number);
		else
			inner = one_in(2) ? scalar() : value(1);
	}
}

std::optional<Value>
Random::edited(const std::optional<Value> &document, const std::vector<Path> &pointers)
{
	if (one_in(40))
		return {};
	if (!document || one_in(40))
		return this->document();
	Value result = *document;
	if (result.type == Type::array)
		edit_array(result);
	else if (result.type != Type::object)
		result = value();
	else if (one_in(20))
		result = jittered(result);
	else if (pointers.empty() || one_in(2))
		edit_object(result);
	else
	{
		Value *inside = &result;
		Path path = pointers[below(pointers.size())];

		if (path.size() > 0 && one_in(4))
			path.resize(below(path.size()) + 1);
		for (auto &key : path)
		{
			if (inside->type == Type::array)
				edit_array(*inside);
			if (inside->type != Type::object)
				return result;
			inside = &inside->members[key];
		}
		if (inside->type == Type::object && !path.empty() && one_in(2))
			edit_object(*inside);
		else if (inside->type == Type::number && one_in(2))
			inside->number = close(inside->number);
		else if (!path.empty())
			*inside = value(1);
		if (!path.empty() && one_in(5))
		{
			inside = &result;
			for (size_t i = 0; i + 1 < path.size(); i++)
				inside = &inside->members[path[i]];
			inside->members.erase(path.back());
		}
	}
	return result;
}

/* ---- Policies ----------------------------------------------------------------- */

Path
Random::path_in(const Value *document, bool through_arrays)
{
	Path path;

	while (document)
	{
		if (document->type == Type::object && !document->members.empty() && !one_in(10))
		{
			auto keys = keys_of(*document);

			path.push_back(choice(keys));
			document = child(document, path.back());
		}
		else if (document->type == Type::array && !document->elements.empty() && through_arrays)
		{
			size_t index = below(document->elements.size());

			path.push_back(std::to_string(index));
			document = &document->elements[index];
		}
		else
			break;
		if (one_in(2))
			break;
	}
	if (path.empty() || one_in(6))
		path.push_back(key());
	return path;
}

Value
Random::pointers(const Value *document, bool through_arrays)
{
	Value result(Type::array);
	Path path;

	for (size_t i = 1 + below(3); i > 0; i--)
	{
		/* Another one, or of what is beside the last one */
		if (path.empty() || !one_in(3))
			path = path_in(document, through_arrays);
		else
		{
			path.pop_back();
			auto beside = at(document, path);
			auto keys = beside ? keys_of(*beside) : std::vector<std::string>();

			path.push_back(keys.empty() ? key() : choice(keys));
		}
		result.elements.push_back(pointer_of(path));
	}
	return result;
}

/* Arrays whose elements have keys, and what is said of their elements */
void
Random::edit_keys(Value &policy, const Value *document)
{
	auto &members = policy.members;

	members["keys"].type = Type::object;
	if (document && document->type == Type::object)
		for (auto &[key, value] : document->members)
			if (value.type == Type::array && !one_in(5))
			{
				std::string array = pointer_of({key});

				members["keys"].members[array] = "id";
				if (one_in(3))
					members["keys"].members[array + "/*/in"] = "id";
				if (one_in(4))
				{
					members["groups"].type = Type::array;
					members["groups"].elements.push_back(Type::array);
					members["groups"].elements.back().elements = {Value(array + "/*/x"), Value(array + "/*/y")};
				}
				else if (one_in(4))
				{
					auto &marks = members[one_in(2) ? "ignore" : "latest"];

					marks.type = Type::array;
					marks.elements.push_back(array + "/*/x");
				}
			}
	if (one_in(10))
		members["keys"].members[pointer_of(path_in(document, false))] = "id";
}

void
Random::edit_policy(Value &policy, const Value *document)
{
	auto &members = policy.members;

	switch (below(10))
	{
		case 8:
			edit_keys(policy, document);
			break;
		case 9:
			members["null"] = one_in(4) ? "value" : "absent";
			break;
		case 0:
			members["granularity"] = one_in(4) ? "entity" : "property";
			break;
		case 1:
			members["ignore"] = pointers(document, true);
			break;
		case 2:
			members["latest"] = pointers(document, false);
			if (one_in(20))
				members["latest"].elements.push_back("");
			break;
		case 3:
			members["tolerance"] = decimal(choice(TOLERANCES));
			break;
		case 4:
		case 5:
			members["groups"].type = Type::array;
			if (one_in(3))
				members["groups"].elements.clear();
			members["groups"].elements.push_back(pointers(document, false));
			if (one_in(20))
				members["groups"].elements.push_back(Type::array);
			if (one_in(20))
				members["groups"].elements[0].elements.push_back("");
			break;
		case 6:
			members["references"] = pointers(document, false);
			if (one_in(3))
			{
				members["match"] = pointers(document, one_in(10));
				members["match"].elements.push_back(pointers(document, false));
			}
			break;
		case 7:
			if (one_in(5))
				members["preset"] = choice(PRESETS);
			else
			{
				auto keys = keys_of(policy);

				if (!keys.empty())
					members.erase(choice(keys));
			}
			break;
	}
}

Value
Random::policy(const Value *document)
{
	Value policy(Type::object);

	if (!one_in(20))
		policy.members["granularity"] = one_in(5) ? "entity" : "property";
	for (size_t i = below(5); i > 0; i--)
		edit_policy(policy, document);
	return policy;
}

static void
collect_pointers(std::vector<Path> &found, const Value &value)
{
	if (value.type == Type::string)
		/* Members called "*" are nobody's business. */
		if (auto path = parse_pointer(value.string); path && std::find(path->begin(), path->end(), "*") == path->end())
			found.push_back(*path);
	for (auto &element : value.elements)
		collect_pointers(found, element);
	for (auto &member : value.members)
		collect_pointers(found, member.second);
}

std::vector<Path>
pointers_of(const std::optional<Value> &policy)
{
	std::vector<Path> found;

	if (policy)
		collect_pointers(found, *policy);
	return found;
}
