/*
 * value.h
 *	  JSON values of the fuzzers' own: read from text, written as text and as
 *	  binary jsonb, read back from there.  Nothing of it is PostgreSQL's or
 *	  diagsync's code, so that a mistake of theirs is not made twice.
 */
#ifndef FUZZ_VALUE_H
#define FUZZ_VALUE_H

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "decimal.h"

/* The order of keys in a jsonb object: by length, then by bytes */
struct KeyOrder
{
	bool operator()(const std::string &a, const std::string &b) const
	{
		return a.size() != b.size() ? a.size() < b.size() : a < b;
	}
};

enum class Type { null, yes, no, number, string, array, object };

struct Value
{
	Type type = Type::null;
	Decimal number = {0, 0};
	std::string string;
	std::vector<Value> elements;
	std::map<std::string, Value, KeyOrder> members;

	Value() = default;
	Value(Type of_type) : type(of_type) {}
	Value(std::string text) : type(Type::string), string(std::move(text)) {}
	Value(const char *text) : Value(std::string(text)) {}
	Value(Decimal decimal) : type(Type::number), number(decimal) {}
};

using Path = std::vector<std::string>;

struct PathOrder
{
	bool operator()(const Path &a, const Path &b) const;
};

/* By value: 1 is 1.0, but not true.  NULL is a value that does not exist. */
bool equal(const Value *a, const Value *b);

/* What an object has at a key, NULL where there is none or it is no object */
const Value *child(const Value *value, const std::string &key);
const Value *at(const Value *value, const Path &path, size_t from = 0);

std::string pointer_of(const Path &path);
std::optional<Path> parse_pointer(std::string_view text);

/* Text; nothing for what is no JSON, or has numbers that Decimal has no room for */
std::optional<Value> parse_json(std::string_view text);
std::string text_of(const Value &value);

/* Binary jsonb, with its varlena header */
std::string jsonb_of(const Value &value);

/* Throws std::string where it is not laid out as jsonb must be. */
Value value_of_jsonb(const void *jsonb);

#endif							/* FUZZ_VALUE_H */
