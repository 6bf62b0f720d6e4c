/*
 * decimal.h
 *	  Decimal numbers that stand for PostgreSQL's numeric, kept in the same way
 *	  as far as diagsync can see: as a varlena of a length that depends on the
 *	  digits, with 1 and 1.0 equal but of different bytes.
 */
#ifndef FUZZ_DECIMAL_H
#define FUZZ_DECIMAL_H

#include <stdbool.h>
#include <string.h>

/* Digits before and behind the point: sums of two in 128 bits are exact. */
#define DECIMAL_DIGITS 18
#define DECIMAL_MAX_BYTES 17

typedef struct Decimal
{
	__int128	digits;
	int			scale;			/* how many of them are behind the point */
} Decimal;

static inline __int128
decimal_scaled(Decimal number, int scale)
{
	for (; number.scale < scale; number.scale++)
		number.digits *= 10;
	return number.digits;
}

static inline Decimal
decimal_difference(Decimal a, Decimal b)
{
	int			scale = a.scale > b.scale ? a.scale : b.scale;
	Decimal		result = {decimal_scaled(a, scale) - decimal_scaled(b, scale), scale};

	return result;
}

/* Less than 0 where a is less than b, 0 where they are equal */
static inline int
decimal_compare(Decimal a, Decimal b)
{
	__int128	difference = decimal_difference(a, b).digits;

	return difference < 0 ? -1 : difference > 0;
}

/* Has it more digits before the point than a number in a document may have? */
static inline bool
decimal_is_too_large(Decimal number)
{
	__int128	limit = 1;

	for (int i = 0; i < DECIMAL_DIGITS + number.scale; i++)
		limit *= 10;
	return number.digits >= limit || number.digits <= -limit;
}

/* As bytes: the scale, then the digits, no more bytes than they need */
static inline int
decimal_pack(Decimal number, char *bytes)
{
	int			len = 0;

	bytes[len++] = (char) number.scale;
	do
	{
		bytes[len++] = (char) number.digits;
		number.digits >>= 8;
	} while (number.digits != (bytes[len - 1] < 0 ? -1 : 0));
	return len;
}

static inline Decimal
decimal_unpack(const char *bytes, int len)
{
	Decimal		number = {bytes[len - 1] < 0 ? -1 : 0, bytes[0]};

	for (int i = len - 1; i > 0; i--)
		number.digits = number.digits * 256 + (unsigned char) bytes[i];
	return number;
}

#endif							/* FUZZ_DECIMAL_H */
