/*
 * lines.h
 *	  Inputs of several JSON values, each in a line of its own with its name before
 *	  it.  The line of one that does not exist is missing.
 */
#ifndef FUZZ_LINES_H
#define FUZZ_LINES_H

#include "value.h"

struct Line
{
	const char *name;
	std::optional<Value> *value;
};

/* False where the text is something else. */
bool parse_lines(std::string_view text, const std::vector<Line> &lines);
std::string text_of_lines(const std::vector<Line> &lines);

#endif							/* FUZZ_LINES_H */
