#include "lines.h"

static bool
parse_line(std::string_view text, const std::vector<Line> &lines)
{
	size_t colon = text.find(':');

	for (auto &line : lines)
		if (colon != text.npos && text.substr(0, colon) == line.name)
		{
			*line.value = parse_json(text.substr(colon + 1));
			return line.value->has_value();
		}
	return false;
}

bool
parse_lines(std::string_view text, const std::vector<Line> &lines)
{
	while (!text.empty())
	{
		size_t end = std::min(text.find('\n'), text.size());

		if (!parse_line(text.substr(0, end), lines))
			return false;
		text.remove_prefix(std::min(end + 1, text.size()));
	}
	return true;
}

std::string
text_of_lines(const std::vector<Line> &lines)
{
	std::string text;

	for (auto &line : lines)
		if (*line.value)
			text += std::string(line.name) + ": " + text_of(**line.value) + "\n";
	return text;
}
