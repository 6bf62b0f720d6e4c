/*
 * server.c
 *	  The few functions of the PostgreSQL server that the merge core calls, done
 *	  anew on the C library: memory by malloc(), so that the address sanitizer
 *	  sees each piece; errors by longjmp(); numbers that keep to what numeric
 *	  promises (see decimal.h).
 */
#include "postgres.h"

#include <setjmp.h>

#include "common/cryptohash.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "server/compat.h"
#include "core.h"
#include "decimal.h"

/* The library's own, not what port.h makes of them */
#undef sprintf
#undef vsnprintf
#undef strerror

#define STACK_DEPTH (4 * 1024 * 1024)	/* deeper than any input leads */
#define MESSAGE_LEN 65536

volatile sig_atomic_t InterruptPending = false;
MemoryContext CurrentMemoryContext = NULL;
static char *stack_base;

/* ---- Memory: given back all at once, as with a context ------------------------ */

/* Before each allocation, as large as keeps it aligned */
typedef union Head
{
	struct
	{
		union Head *next;
		union Head *previous;
		Size		size;
	};
	max_align_t align;
} Head;

static Head allocated = {{&allocated, &allocated, 0}};

static void *
allocate(Size size, Size limit)
{
	Head	   *head;

	if (size > limit)
		elog(ERROR, "invalid memory alloc request size %zu", size);
	head = malloc(sizeof(Head) + size);
	if (head == NULL)
		abort();
	head->next = allocated.next;
	head->previous = &allocated;
	head->size = size;
	head->next->previous = head;
	allocated.next = head;
	return memset(head + 1, 0x7f, size);
}

void *
palloc(Size size)
{
	return allocate(size, MaxAllocSize);
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void
pfree(void *pointer)
{
	Head	   *head = (Head *) pointer - 1;

	head->previous->next = head->next;
	head->next->previous = head->previous;
	free(head);
}

/* Always moves, so that what still looks at the old place is found out. */
static void *
reallocate(void *pointer, Size size, Size limit)
{
	void	   *result = allocate(size, limit);

	memcpy(result, pointer, Min(size, ((Head *) pointer - 1)->size));
	pfree(pointer);
	return result;
}

void *
repalloc(void *pointer, Size size)
{
	return reallocate(pointer, size, MaxAllocSize);
}

void *
MemoryContextAllocHuge(MemoryContext context, Size size)
{
	return palloc(size);
}

void *
repalloc_huge(void *pointer, Size size)
{
	return reallocate(pointer, size, MaxAllocHugeSize);
}

void
server_free_all(void)
{
	while (allocated.next != &allocated)
		pfree(allocated.next + 1);
}

char *
pnstrdup(const char *string, Size len)
{
	char	   *result = palloc(strnlen(string, len) + 1);

	len = strnlen(string, len);
	memcpy(result, string, len);
	result[len] = '\0';
	return result;
}

/* ---- Errors ------------------------------------------------------------------- */

static sigjmp_buf *catcher;
static char message[MESSAGE_LEN];

/*
 * Call something that may raise an error; returns its message, or NULL.
 */
const char *
server_catch(CoreCall call, void *argument)
{
	sigjmp_buf	here;
	const char *result = NULL;

	catcher = &here;
	stack_base = __builtin_frame_address(0);
	if (sigsetjmp(here, 0) == 0)
		call(argument);
	else
		result = message;
	catcher = NULL;
	return result;
}

bool
errstart(int elevel, const char *domain)
{
	if (elevel < ERROR || catcher == NULL)
		abort();
	message[0] = '\0';
	return true;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return errstart(elevel, domain);
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	siglongjmp(*catcher, 1);
}

int
errcode(int sqlerrcode)
{
	return 0;
}

/* Writes all parts of the message, for the sanitizers to look at what is in them. */
#define DEFINE_MESSAGE_PART(name) \
	int \
	name(const char *format, ...) \
	{ \
		size_t		len = strlen(message); \
		va_list		arguments; \
		\
		va_start(arguments, format); \
		vsnprintf(message + len, MESSAGE_LEN - len, format, arguments); \
		va_end(arguments); \
		return 0; \
	}

DEFINE_MESSAGE_PART(errmsg)
DEFINE_MESSAGE_PART(errmsg_internal)
DEFINE_MESSAGE_PART(errdetail)
DEFINE_MESSAGE_PART(errdetail_internal)
DEFINE_MESSAGE_PART(errhint)

/* kB, as PostgreSQL has it by default */
int			max_stack_depth = 2048;

void
check_stack_depth(void)
{
	/* (Variables are not on it where the sanitizer looks for their use after return.) */
	char	   *here = __builtin_frame_address(0);

	if (labs((long) (stack_base - here)) > STACK_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("stack depth limit exceeded")));
}

void
ProcessInterrupts(void)
{
}

/* ---- Strings and lists -------------------------------------------------------- */

static char *
format_string(const char *format, va_list arguments)
{
	va_list		again;
	int			len;
	char	   *result;

	va_copy(again, arguments);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	result = palloc(len + 1);
	vsnprintf(result, len + 1, format, arguments);
	return result;
}

char *
psprintf(const char *format, ...)
{
	va_list		arguments;
	char	   *result;

	va_start(arguments, format);
	result = format_string(format, arguments);
	va_end(arguments);
	return result;
}

int
pg_snprintf(char *buffer, size_t room, const char *format, ...)
{
	va_list		arguments;
	int			len;

	va_start(arguments, format);
	len = vsnprintf(buffer, room, format, arguments);
	va_end(arguments);
	return len;
}

void
pg_qsort(void *base, size_t count, size_t size, int (*compare) (const void *, const void *))
{
	if (count > 1)
		(qsort) (base, count, size, compare);
}

void
initStringInfo(StringInfo string)
{
	string->data = palloc0(1);
	string->len = 0;
}

void
appendStringInfo(StringInfo string, const char *format, ...)
{
	va_list		arguments;
	char	   *more;

	va_start(arguments, format);
	more = format_string(format, arguments);
	va_end(arguments);
	string->data = repalloc(string->data, string->len + strlen(more) + 1);
	strcpy(string->data + string->len, more);
	string->len += strlen(more);
}

int
pg_ltoa(int32 number, char *digits)
{
	return sprintf(digits, "%d", number);
}

List *
list_insert_nth(List *list, int place, void *datum)
{
	list = lappend(list, NULL);
	memmove(&list->elements[place + 1], &list->elements[place], (list->length - 1 - place) * sizeof(ListCell));
	list->elements[place].ptr_value = datum;
	return list;
}

List *
list_append_unique_int(List *list, int datum)
{
	for (int i = 0; i < list_length(list); i++)
	{
		if (list->elements[i].int_value == datum)
			return list;
	}
	list = lappend(list, NULL);
	list->type = T_IntList;
	list->elements[list->length - 1].int_value = datum;
	return list;
}

/* Grows by one, so that the sanitizer sees who looks behind the end. */
List *
lappend(List *list, void *datum)
{
	List	   *result = palloc(sizeof(List));

	result->type = T_List;
	result->length = list_length(list) + 1;
	result->max_length = result->length;
	result->elements = palloc(result->length * sizeof(ListCell));
	if (list != NIL)
	{
		memcpy(result->elements, list->elements, list->length * sizeof(ListCell));
		pfree(list->elements);
		pfree(list);
	}
	result->elements[result->length - 1].ptr_value = datum;
	return result;
}

/* Only how many there are; their bytes are looked at. */
ArrayType *
construct_array(Datum *elements, int count, Oid type, int len, bool by_value,
				char align)
{
	ArrayType  *result = palloc0(sizeof(ArrayType));

	for (int i = 0; i < count; i++)
		(void) datumCopy(elements[i], by_value, len);
	result->ndim = count;
	result->elemtype = type;
	return result;
}

/* ---- Values ------------------------------------------------------------------- */

struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	return datum;
}

Datum
datumCopy(Datum value, bool by_value, int len)
{
	const void *datum = DatumGetPointer(value);
	void	   *copy;

	Assert(!by_value && len == -1);
	copy = palloc(VARSIZE_ANY(datum));
	memcpy(copy, datum, VARSIZE_ANY(datum));
	return PointerGetDatum(copy);
}

Datum
DirectFunctionCall1Coll(PGFunction function, Oid collation, Datum argument)
{
	LOCAL_FCINFO(fcinfo, 1);

	InitFunctionCallInfoData(*fcinfo, NULL, 1, collation, NULL, NULL);
	fcinfo->args[0].value = argument;
	fcinfo->args[0].isnull = false;
	return function(fcinfo);
}

Datum
DirectFunctionCall2Coll(PGFunction function, Oid collation, Datum first,
						Datum second)
{
	LOCAL_FCINFO(fcinfo, 2);

	InitFunctionCallInfoData(*fcinfo, NULL, 2, collation, NULL, NULL);
	fcinfo->args[0].value = first;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = second;
	fcinfo->args[1].isnull = false;
	return function(fcinfo);
}

Datum
jsonb_in(PG_FUNCTION_ARGS)
{
	void	   *jsonb = jsonb_of_text(PG_GETARG_CSTRING(0));
	Datum		result;

	if (jsonb == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type json")));
	result = datumCopy(PointerGetDatum(jsonb), false, -1);
	free(jsonb);
	PG_RETURN_DATUM(result);
}

/*
 * Where a number's offsets and lengths are, as utils/jsonb.h describes it
 */
uint32
getJsonbOffset(const JsonbContainer *container, int index)
{
	uint32		offset = 0;
	int			start = index;

	/* Back to where there is an offset, then the lengths from there on */
	while (start > 0 && !JBE_HAS_OFF(container->children[start - 1]))
		start--;
	if (start > 0)
		offset = JBE_OFFLENFLD(container->children[start - 1]);
	for (int i = start; i < index; i++)
		offset += JBE_OFFLENFLD(container->children[i]);
	return offset;
}

uint32
getJsonbLength(const JsonbContainer *container, int index)
{
	JEntry		entry = container->children[index];

	return JBE_HAS_OFF(entry) ?
		JBE_OFFLENFLD(entry) - getJsonbOffset(container, index) :
		JBE_OFFLENFLD(entry);
}

/* ---- Documents as a row of tokens --------------------------------------------- */

JsonbIterator *
JsonbIteratorInit(JsonbContainer *container)
{
	JsonbIterator *it = palloc0(sizeof(JsonbIterator));

	it->container = container;
	it->nElems = JsonContainerSize(container);
	it->isScalar = JsonContainerIsScalar(container);
	it->dataProper = (char *) &container->children[JsonContainerIsObject(container) ?
												   it->nElems * 2 : it->nElems];
	it->curIndex = -1;
	return it;
}

/* The value of an entry; a container as binary */
static void
read_entry(JsonbIterator *it, int entry, JsonbValue *value)
{
	uint32		offset = getJsonbOffset(it->container, entry);
	uint32		len = getJsonbLength(it->container, entry);
	char	   *data = it->dataProper + offset;

	switch (it->container->children[entry] & JENTRY_TYPEMASK)
	{
		case JENTRY_ISSTRING:
			value->type = jbvString;
			value->val.string.val = data;
			value->val.string.len = len;
			break;
		case JENTRY_ISNUMERIC:
			value->type = jbvNumeric;
			value->val.numeric = (Numeric) (it->dataProper + INTALIGN(offset));
			break;
		case JENTRY_ISBOOL_TRUE:
		case JENTRY_ISBOOL_FALSE:
			value->type = jbvBool;
			value->val.boolean = (it->container->children[entry] & JENTRY_TYPEMASK) == JENTRY_ISBOOL_TRUE;
			break;
		case JENTRY_ISNULL:
			value->type = jbvNull;
			break;
		default:
			value->type = jbvBinary;
			value->val.binary.data = (JsonbContainer *) (it->dataProper + INTALIGN(offset));
	}
}

/* Keys are counted with the values that follow them. */
JsonbIteratorToken
JsonbIteratorNext(JsonbIterator **current, JsonbValue *value, bool skip_nested)
{
	JsonbIterator *it = *current;
	bool		is_object;
	int			index;

	if (it == NULL)
		return WJB_DONE;
	is_object = JsonContainerIsObject(it->container);
	index = it->curIndex++;
	if (index < 0)
		return is_object ? WJB_BEGIN_OBJECT : WJB_BEGIN_ARRAY;
	if (index >= (int) it->nElems * (is_object ? 2 : 1))
	{
		*current = it->parent;
		pfree(it);
		return is_object ? WJB_END_OBJECT : WJB_END_ARRAY;
	}
	read_entry(it, !is_object ? index : index % 2 == 0 ? index / 2 : it->nElems + index / 2, value);
	if (is_object && index % 2 == 0)
		return WJB_KEY;
	if (value->type == jbvBinary)
	{
		*current = JsonbIteratorInit(value->val.binary.data);
		(*current)->parent = it;
		return JsonbIteratorNext(current, value, skip_nested);
	}
	return is_object ? WJB_VALUE : WJB_ELEM;
}

/* ---- Digests: not SHA-256, but as good against chance -------------------------- */

struct pg_cryptohash_ctx
{
	uint64		lanes[4];
};

pg_cryptohash_ctx *
pg_cryptohash_create(pg_cryptohash_type type)
{
	return palloc(sizeof(pg_cryptohash_ctx));
}

int
pg_cryptohash_init(pg_cryptohash_ctx *ctx)
{
	for (int i = 0; i < 4; i++)
		ctx->lanes[i] = UINT64CONST(0xcbf29ce484222325) + i;
	return 0;
}

/* FNV-1a, four times from different beginnings */
int
pg_cryptohash_update(pg_cryptohash_ctx *ctx, const uint8 *data, size_t len)
{
	for (size_t n = 0; n < len; n++)
	{
		for (int i = 0; i < 4; i++)
			ctx->lanes[i] = (ctx->lanes[i] ^ data[n]) * UINT64CONST(0x100000001b3);
	}
	return 0;
}

int
pg_cryptohash_final(pg_cryptohash_ctx *ctx, uint8 *dest, size_t len)
{
	memcpy(dest, ctx->lanes, Min(len, sizeof(ctx->lanes)));
	return 0;
}

void
pg_cryptohash_free(pg_cryptohash_ctx *ctx)
{
	pfree(ctx);
}

uint64
hex_encode(const char *bytes, size_t len, char *hex)
{
	for (size_t i = 0; i < len; i++)
	{
		hex[2 * i] = "0123456789abcdef"[(unsigned char) bytes[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	return 2 * len;
}

/* ---- Numbers ------------------------------------------------------------------ */

static Decimal
decimal_of(Numeric number)
{
	return decimal_unpack(VARDATA_ANY(number), VARSIZE_ANY_EXHDR(number));
}

static Numeric
numeric_of(Decimal number)
{
	char		bytes[DECIMAL_MAX_BYTES];
	int			len = decimal_pack(number, bytes);
	struct varlena *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), bytes, len);
	return (Numeric) result;
}

static int
compare_arguments(FunctionCallInfo fcinfo)
{
	return decimal_compare(decimal_of(PG_GETARG_NUMERIC(0)),
						   decimal_of(PG_GETARG_NUMERIC(1)));
}

Datum
numeric_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

Datum
numeric_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

Datum
numeric_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

Datum
numeric_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

Datum
int8_numeric(PG_FUNCTION_ARGS)
{
	Decimal		number = {PG_GETARG_INT64(0), 0};

	PG_RETURN_NUMERIC(numeric_of(number));
}

/* Without what is behind the point, which PostgreSQL rounds */
Datum
numeric_int8(PG_FUNCTION_ARGS)
{
	Decimal		number = decimal_of(PG_GETARG_NUMERIC(0));

	for (; number.scale > 0; number.scale--)
		number.digits /= 10;
	PG_RETURN_INT64(number.digits);
}

Datum
numeric_abs(PG_FUNCTION_ARGS)
{
	Decimal		number = decimal_of(PG_GETARG_NUMERIC(0));

	if (number.digits < 0)
		number.digits = -number.digits;
	PG_RETURN_NUMERIC(numeric_of(number));
}

Datum
int4_numeric(PG_FUNCTION_ARGS)
{
	Decimal		number = {PG_GETARG_INT32(0), 0};

	PG_RETURN_NUMERIC(numeric_of(number));
}

/* The digits, and how many are behind the point where these are no zeros; no text
 * for people, but equal where the numbers are. */
char *
numeric_normalize(Numeric number)
{
	Decimal		normal = decimal_of(number);

	while (normal.scale > 0 && normal.digits % 10 == 0)
	{
		normal.digits /= 10;
		normal.scale--;
	}
	return psprintf("%lld/%d", (long long) normal.digits, normal.scale);
}

/* Says what is too large much earlier than PostgreSQL, but by the same means. */
#ifdef COMPAT_NUMERIC_SAFE
Numeric
numeric_sub_safe(Numeric a, Numeric b, Node *context)
{
	bool	   *have_error = &((ErrorSaveContext *) context)->error_occurred;
#else
Numeric
numeric_sub_opt_error(Numeric a, Numeric b, bool *have_error)
{
#endif
	Decimal		difference = decimal_difference(decimal_of(a), decimal_of(b));

	if (decimal_is_too_large(difference))
	{
		*have_error = true;
		return NULL;
	}
	return numeric_of(difference);
}
