#include "target.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <unordered_map>

void
fail(const std::string &what)
{
	fprintf(stderr, "MISMATCH: %s\n", what.c_str());
	abort();
}

static std::unordered_map<const char *, unsigned long long> counts;

static void
print_counts()
{
	std::map<std::string, unsigned long long> by_name;

	for (auto &[what, number] : counts)
		by_name[what] += number;
	for (auto &[what, number] : by_name)
		printf("  %12llu  %s\n", number, what.c_str());
	fflush(stdout);
}

void
count(const char *what)
{
	if (counts.empty())
		atexit(print_counts);
	counts[what]++;
}

size_t
replace_input(uint8_t *data, size_t size, size_t max_size, const std::string &text)
{
	if (text.size() > max_size)
		return size;
	memcpy(data, text.data(), text.size());
	return text.size();
}
