#include "value.h"
#include "core.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

bool
PathOrder::operator()(const Path &a, const Path &b) const
{
	return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), KeyOrder());
}

bool
equal(const Value *a, const Value *b)
{
	if (a == b)
		return true;
	if (!a || !b || a->type != b->type)
		return false;
	switch (a->type)
	{
		case Type::number:
			return decimal_compare(a->number, b->number) == 0;
		case Type::string:
			return a->string == b->string;
		case Type::array:
			return a->elements.size() == b->elements.size() &&
				std::equal(a->elements.begin(), a->elements.end(), b->elements.begin(),
						   [](const Value &x, const Value &y) { return equal(&x, &y); });
		case Type::object:
			return a->members.size() == b->members.size() &&
				std::equal(a->members.begin(), a->members.end(), b->members.begin(),
						   [](auto &x, auto &y) { return x.first == y.first && equal(&x.second, &y.second); });
		default:
			return true;
	}
}

const Value *
child(const Value *value, const std::string &key)
{
	if (!value || value->type != Type::object)
		return nullptr;
	auto found = value->members.find(key);
	return found == value->members.end() ? nullptr : &found->second;
}

const Value *
at(const Value *value, const Path &path, size_t from)
{
	for (size_t i = from; i < path.size(); i++)
		value = child(value, path[i]);
	return value;
}

/* ---- JSON Pointers ---------------------------------------------------------- */

std::string
pointer_of(const Path &path)
{
	std::string text;

	for (auto &key : path)
	{
		text += '/';
		for (char c : key)
			text += c == '~' ? std::string("~0") : c == '/' ? std::string("~1") : std::string(1, c);
	}
	return text;
}

std::optional<Path>
parse_pointer(std::string_view text)
{
	Path path;

	if (!text.empty() && text[0] != '/')
		return {};
	for (size_t i = 0; i < text.size(); i++)
	{
		if (text[i] == '/')
			path.emplace_back();
		else if (text[i] != '~')
			path.back() += text[i];
		else if (text.substr(i, 2) == "~0" || text.substr(i, 2) == "~1")
			path.back() += text[++i] == '0' ? '~' : '/';
		else
			return {};
	}
	return path;
}

/* ---- Text ------------------------------------------------------------------- */

namespace
{

const int MAX_DEPTH = 300;

struct Wrong {};

struct Parser
{
	std::string_view text;
	size_t next = 0;
	int depth = 0;

	char peek() { return next < text.size() ? text[next] : '\0'; }

	void space()
	{
		while (next < text.size() && strchr(" \t\r\n", text[next]) && text[next])
			next++;
	}

	bool is(char c)
	{
		space();
		if (next >= text.size() || text[next] != c)
			return false;
		next++;
		return true;
	}

	void expect(char c)
	{
		if (!is(c))
			throw Wrong();
	}

	bool word(std::string_view expected)
	{
		if (text.substr(next, expected.size()) != expected)
			return false;
		next += expected.size();
		return true;
	}

	Value value()
	{
		space();
		if (++depth > MAX_DEPTH)
			throw Wrong();
		Value result = of_kind(peek());
		depth--;
		return result;
	}

	Value of_kind(char first)
	{
		if (first == '{')
			return object();
		if (first == '[')
			return array();
		if (first == '"')
			return string();
		if (word("true"))
			return Type::yes;
		if (word("false"))
			return Type::no;
		if (word("null"))
			return Type::null;
		return number();
	}

	Value object()
	{
		Value result(Type::object);

		expect('{');
		if (is('}'))
			return result;
		do
		{
			space();
			std::string key = string();
			expect(':');
			result.members[key] = value();
		} while (is(','));
		expect('}');
		return result;
	}

	Value array()
	{
		Value result(Type::array);

		expect('[');
		if (is(']'))
			return result;
		do
			result.elements.push_back(value());
		while (is(','));
		expect(']');
		return result;
	}

	std::string string()
	{
		std::string result;

		if (peek() != '"')
			throw Wrong();
		for (next++; peek() != '"'; next++)
		{
			if ((unsigned char) peek() < ' ')
				throw Wrong();
			if (peek() != '\\')
				result += peek();
			else
				escape(result);
		}
		next++;
		return result;
	}

	void escape(std::string &result)
	{
		static const char *const letters = "bfnrt\"\\/";
		const char *letter = strchr(letters, text[++next < text.size() ? next : 0]);

		if (next >= text.size())
			throw Wrong();
		if (text[next] == 'u')
			character(result);
		else if (letter && *letter)
			result += "\b\f\n\r\t\"\\/"[letter - letters];
		else
			throw Wrong();
	}

	unsigned hexadecimal()
	{
		unsigned code = 0;

		for (int i = 0; i < 4; i++)
		{
			char c = ++next < text.size() ? text[next] : '\0';

			code = code * 16 + (c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
								c >= 'A' && c <= 'F' ? c - 'A' + 10 : throw Wrong());
		}
		return code;
	}

	void character(std::string &result)
	{
		unsigned code = hexadecimal();

		if (code >= 0xD800 && code < 0xDC00)
		{
			if (text.substr(next + 1, 2) != "\\u")
				throw Wrong();
			next += 2;
			unsigned low = hexadecimal();
			if (low < 0xDC00 || low > 0xDFFF)
				throw Wrong();
			code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
		}
		else if (code == 0 || (code >= 0xDC00 && code <= 0xDFFF))
			throw Wrong();
		if (code < 0x80)
			result += char(code);
		else if (code < 0x800)
			result += {char(0xC0 | code >> 6), char(0x80 | (code & 63))};
		else if (code < 0x10000)
			result += {char(0xE0 | code >> 12), char(0x80 | (code >> 6 & 63)), char(0x80 | (code & 63))};
		else
			result += {char(0xF0 | code >> 18), char(0x80 | (code >> 12 & 63)), char(0x80 | (code >> 6 & 63)),
				char(0x80 | (code & 63))};
	}

	bool is_digit() { return peek() >= '0' && peek() <= '9'; }

	/* At least one; all of them together are not too many. */
	void digits(Decimal &number, int &count, bool behind_point)
	{
		if (!is_digit())
			throw Wrong();
		for (; is_digit(); next++)
		{
			number.digits = number.digits * 10 + (peek() - '0');
			number.scale += behind_point;
			if (++count > DECIMAL_DIGITS)
				throw Wrong();
		}
	}

	Value number()
	{
		Decimal result = {0, 0};
		int count = 0;
		bool negative = peek() == '-';

		next += negative;
		if (peek() == '0')
			next++;
		else
			digits(result, count, false);
		if (peek() == '.')
		{
			next++;
			digits(result, count, true);
		}
		if (peek() == 'e' || peek() == 'E')
			exponent(result, count);
		if (negative)
			result.digits = -result.digits;
		return result;
	}

	void exponent(Decimal &number, int count)
	{
		Decimal exponent = {0, 0};
		int its_count = 0;

		next++;
		bool negative = peek() == '-';
		next += negative || peek() == '+';
		digits(exponent, its_count, false);
		if (exponent.digits > DECIMAL_DIGITS)
			throw Wrong();
		number.scale += negative ? int(exponent.digits) : -int(exponent.digits);
		for (; number.scale < 0; number.scale++, count++)
			number.digits *= 10;
		if (count > DECIMAL_DIGITS || number.scale > DECIMAL_DIGITS)
			throw Wrong();
	}
};

void
write_string(std::string &out, const std::string &string)
{
	out += '"';
	for (char c : string)
	{
		if (c == '"' || c == '\\')
			out += '\\';
		if ((unsigned char) c >= ' ')
			out += c;
		else
		{
			out += "\\u00";
			out += c < 16 ? '0' : '1';
			out += "0123456789abcdef"[c & 15];
		}
	}
	out += '"';
}

void
write_number(std::string &out, Decimal number)
{
	bool negative = number.digits < 0;
	std::string digits;

	if (negative)
		number.digits = -number.digits;
	for (; number.digits > 0; number.digits /= 10)
		digits.insert(digits.begin(), char('0' + int(number.digits % 10)));
	if (int(digits.size()) <= number.scale)
		digits.insert(0, number.scale + 1 - digits.size(), '0');
	if (number.scale > 0)
		digits.insert(digits.size() - number.scale, ".");
	out += (negative ? "-" : "") + digits;
}

void
write(std::string &out, const Value &value)
{
	const char *before = "";

	switch (value.type)
	{
		case Type::null:
			out += "null";
			break;
		case Type::yes:
			out += "true";
			break;
		case Type::no:
			out += "false";
			break;
		case Type::number:
			write_number(out, value.number);
			break;
		case Type::string:
			write_string(out, value.string);
			break;
		case Type::array:
			out += '[';
			for (auto &element : value.elements)
			{
				out += before;
				write(out, element);
				before = ", ";
			}
			out += ']';
			break;
		case Type::object:
			out += '{';
			for (auto &[key, member] : value.members)
			{
				out += before;
				write_string(out, key);
				out += ": ";
				write(out, member);
				before = ", ";
			}
			out += '}';
			break;
	}
}

}

std::optional<Value>
parse_json(std::string_view text)
{
	try
	{
		Parser parser = {text};
		Value value = parser.value();

		parser.space();
		if (parser.next < text.size())
			return {};
		return value;
	}
	catch (Wrong &)
	{
		return {};
	}
}

std::string
text_of(const Value &value)
{
	std::string out;

	write(out, value);
	return out;
}

/* ---- Binary jsonb, as the comments of utils/jsonb.h describe it -------------- */

namespace
{

const uint32_t ENTRY_STRING = 0x00000000, ENTRY_NUMBER = 0x10000000, ENTRY_FALSE = 0x20000000,
	ENTRY_TRUE = 0x30000000, ENTRY_NULL = 0x40000000, ENTRY_CONTAINER = 0x50000000,
	ENTRY_TYPE = 0x70000000, ENTRY_HAS_OFFSET = 0x80000000, ENTRY_LENGTH = 0x0FFFFFFF;
const uint32_t IS_SCALAR = 0x10000000, IS_OBJECT = 0x20000000, IS_ARRAY = 0x40000000, COUNT = 0x0FFFFFFF;
const size_t STRIDE = 32;

void
append_number(std::string &out, uint32_t number)
{
	out.append((const char *) &number, sizeof(number));
}

uint32_t
number_at(const char *data)
{
	uint32_t number;

	memcpy(&number, data, sizeof(number));
	return number;
}

/* A varlena's header of four bytes has the length, shifted by two bits where
 * the machine has the least byte first. */
uint32_t
header_of_length(uint32_t len)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? len << 2 : len;
}

uint32_t
length_of_header(uint32_t header)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? header >> 2 : header;
}

void
pad(std::string &out)
{
	out.resize((out.size() + 3) / 4 * 4);
}

void append_container(std::string &out, const std::vector<const Value *> &values,
					  const std::vector<std::string> &keys, uint32_t flags);

/* All is aligned relative to where the document begins. */
uint32_t
append_value(std::string &out, const Value &value)
{
	switch (value.type)
	{
		case Type::null:
			return ENTRY_NULL;
		case Type::yes:
			return ENTRY_TRUE;
		case Type::no:
			return ENTRY_FALSE;
		case Type::string:
			out += value.string;
			return ENTRY_STRING;
		case Type::number:
			{
				char bytes[DECIMAL_MAX_BYTES];
				int len = decimal_pack(value.number, bytes);

				pad(out);
				append_number(out, header_of_length(4 + len));
				out.append(bytes, len);
				return ENTRY_NUMBER;
			}
		default:
			{
				std::vector<const Value *> values;
				std::vector<std::string> keys;

				for (auto &element : value.elements)
					values.push_back(&element);
				for (auto &[key, member] : value.members)
				{
					keys.push_back(key);
					values.push_back(&member);
				}
				pad(out);
				append_container(out, values, keys, value.type == Type::object ? IS_OBJECT : IS_ARRAY);
				return ENTRY_CONTAINER;
			}
	}
}

void
append_container(std::string &out, const std::vector<const Value *> &values, const std::vector<std::string> &keys,
				 uint32_t flags)
{
	append_number(out, flags | values.size());
	size_t entries = out.size();
	out.resize(entries + 4 * (keys.size() + values.size()));
	size_t data = out.size();

	for (size_t i = 0; i < keys.size() + values.size(); i++)
	{
		size_t start = out.size();
		uint32_t entry = ENTRY_STRING;

		if (i < keys.size())
			out += keys[i];
		else
			entry = append_value(out, *values[i - keys.size()]);
		entry |= i % STRIDE == 0 ? ENTRY_HAS_OFFSET | (out.size() - data) : out.size() - start;
		memcpy(&out[entries + 4 * i], &entry, sizeof(entry));
	}
}

/* A document that is read, and checked */
struct Reader
{
	const char *document;

	static void check(bool right, const char *what)
	{
		if (!right)
			throw std::string("malformed jsonb: ") + what;
	}

	/* From the offset on, which it moves; nothing may be left over. */
	Value container(size_t &offset, size_t end, bool is_root)
	{
		check(offset + 4 <= end, "no room for the header");
		uint32_t header = number_at(document + offset);
		size_t count = header & COUNT;
		bool is_object = header & IS_OBJECT;
		check(bool(header & IS_ARRAY) != is_object, "neither array nor object");
		bool is_scalar = header & IS_SCALAR;
		check(!is_scalar || (is_root && !is_object && count == 1), "lone scalar");
		size_t entries = offset + 4;
		size_t rows = is_object ? 2 * count : count;
		check(rows <= (end - entries) / 4, "no room for the entries");
		size_t data = entries + 4 * rows;

		Value result(is_object ? Type::object : Type::array);
		std::vector<std::string> keys;
		offset = data;
		for (size_t i = 0; i < rows; i++)
		{
			uint32_t entry = number_at(document + entries + 4 * i);
			bool has_offset = entry & ENTRY_HAS_OFFSET;
			check(has_offset == (i % STRIDE == 0), "offsets at other entries");
			size_t its_end = (has_offset ? data : offset) + (entry & ENTRY_LENGTH);
			check(its_end >= offset && its_end <= end, "value outside");

			if (is_object && i < count)
			{
				check((entry & ENTRY_TYPE) == ENTRY_STRING, "key that is no string");
				keys.emplace_back(document + offset, its_end - offset);
				check(i == 0 || KeyOrder()(keys[i - 1], keys[i]), "keys out of order");
				offset = its_end;
			}
			else
			{
				Value inner = value(offset, its_end, entry & ENTRY_TYPE);

				if (is_object)
					result.members[keys[i - count]] = std::move(inner);
				else
					result.elements.push_back(std::move(inner));
			}
		}
		check(offset == end, "something left over");
		if (!is_scalar)
			return result;
		Value scalar = result.elements[0];
		check(scalar.type != Type::array && scalar.type != Type::object, "lone scalar that is none");
		return scalar;
	}

	void skip_padding(size_t &offset, size_t end)
	{
		for (; offset % 4 != 0; offset++)
			check(offset < end && document[offset] == 0, "padding");
	}

	Value value(size_t &offset, size_t end, uint32_t type)
	{
		size_t start = offset;

		switch (type)
		{
			case ENTRY_STRING:
				offset = end;
				return std::string(document + start, end - start);
			case ENTRY_NUMBER:
				skip_padding(offset, end);
				start = offset;
				check(end - start >= 6, "no room for a number");
				check(length_of_header(number_at(document + start)) == end - start, "length of a number");
				offset = end;
				return decimal_unpack(document + start + 4, int(end - start - 4));
			case ENTRY_CONTAINER:
				skip_padding(offset, end);
				return container(offset, end, false);
			default:
				check(start == end, "value where there is none");
				return type == ENTRY_NULL ? Type::null : type == ENTRY_TRUE ? Type::yes :
					type == ENTRY_FALSE ? Type::no : throw std::string("malformed jsonb: unknown type");
		}
	}
};

}

std::string
jsonb_of(const Value &value)
{
	std::string out(4, '\0');

	if (value.type == Type::array || value.type == Type::object)
		(void) append_value(out, value);
	else
		append_container(out, {&value}, {}, IS_ARRAY | IS_SCALAR);
	uint32_t header = header_of_length(out.size());
	memcpy(&out[0], &header, sizeof(header));
	return out;
}

Value
value_of_jsonb(const void *jsonb)
{
	Reader reader = {(const char *) jsonb};
	size_t offset = 4;

	return reader.container(offset, length_of_header(number_at(reader.document)), true);
}

extern "C" void *
jsonb_of_text(const char *text)
{
	auto value = parse_json(text);

	if (!value)
		return nullptr;
	std::string jsonb = jsonb_of(*value);
	return memcpy(malloc(jsonb.size()), jsonb.data(), jsonb.size());
}
