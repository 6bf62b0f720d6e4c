/*
 * memory.cpp
 *	  C++'s memory, from free lists of its own: under the address sanitizer half of
 *	  the time would go into small pieces of what the core is held against.  The
 *	  core's memory comes from malloc().
 */
#include <cstddef>
#include <cstdlib>
#include <new>

static const size_t UNIT = 16, CLASSES = 64, SLAB = 1 << 20;

/* Before each piece, as large as keeps it aligned: of which list it is */
union Head
{
	Head *next;
	size_t size_class;
	std::max_align_t align;
};

static Head *free_lists[CLASSES];
static char *slab;
static size_t left;

void *
operator new(size_t size)
{
	size_t size_class = (size + UNIT - 1) / UNIT;
	size_t whole = sizeof(Head) + size_class * UNIT;
	Head *head;

	if (size_class >= CLASSES)
		head = (Head *) malloc(whole);
	else if (free_lists[size_class])
	{
		head = free_lists[size_class];
		free_lists[size_class] = head->next;
	}
	else
	{
		if (left < whole)
		{
			left = SLAB;
			slab = (char *) malloc(left);
		}
		head = (Head *) slab;
		slab += whole;
		left -= whole;
	}
	head->size_class = size_class;
	return head + 1;
}

void *
operator new(size_t size, const std::nothrow_t &) noexcept
{
	return operator new(size);
}

void
operator delete(void *piece) noexcept
{
	if (!piece)
		return;
	Head *head = (Head *) piece - 1;
	size_t size_class = head->size_class;
	if (size_class >= CLASSES)
		return free(head);
	head->next = free_lists[size_class];
	free_lists[size_class] = head;
}

void
operator delete(void *piece, size_t) noexcept
{
	operator delete(piece);
}

void
operator delete(void *piece, const std::nothrow_t &) noexcept
{
	operator delete(piece);
}
