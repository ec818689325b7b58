/* SPDX-License-Identifier: MIT */
#include "json.h"

#include "number.h"

#include <string.h>

bool json_fail(struct json *j, const char *why)
{
	if (!j->error)
		j->error = why;
	return false;
}

size_t json_offset(const struct json *j)
{
	return (size_t)(j->p - j->begin);
}

static inline void skip_blanks(struct json *j)
{
	while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\r' || *j->p == '\t'))
		j->p++;
}

void json_begin(struct json *j, const char *text, size_t len)
{
	*j = (struct json){.begin = text, .p = text, .end = text + len};
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		j->p += 3;
}

bool json_end(struct json *j)
{
	if (j->error)
		return false;
	skip_blanks(j);
	return j->p == j->end || json_fail(j, "something follows the end");
}

enum json_kind json_peek(struct json *j)
{
	if (j->error)
		return JSON_NONE;
	skip_blanks(j);
	if (j->p == j->end) {
		(void)json_fail(j, "the text ends too early");
		return JSON_NONE;
	}
	switch (*j->p) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	default:
		if (*j->p == '-' || (*j->p >= '0' && *j->p <= '9'))
			return JSON_NUMBER;
		(void)json_fail(j, "not the beginning of a value");
		return JSON_NONE;
	}
}

static bool enter(struct json *j, enum json_kind kind)
{
	if (json_peek(j) != kind)
		return json_fail(j, kind == JSON_OBJECT ? "an object was expected" : "an array was expected");
	if (j->depth == JSON_DEPTH_MAX)
		return json_fail(j, "nested too deeply");
	j->p++;
	j->depth++;
	j->fresh = true;
	return true;
}

bool json_enter_object(struct json *j)
{
	return enter(j, JSON_OBJECT);
}

bool json_enter_array(struct json *j)
{
	return enter(j, JSON_ARRAY);
}

/* Takes the comma before the next entry; false at the closing bracket, which is taken, and on errors. */
static inline bool next_entry(struct json *j, char close)
{
	if (j->error)
		return false;
	skip_blanks(j);
	if (j->p == j->end)
		return json_fail(j, "the text ends too early");
	bool fresh = j->fresh;
	j->fresh = false;
	if (*j->p == close) {
		j->p++;
		j->depth--;
		return false;
	}
	if (fresh)
		return true;
	if (*j->p != ',')
		return json_fail(j, "a comma was expected");
	j->p++;
	return true;
}

bool json_element(struct json *j)
{
	return next_entry(j, ']');
}

bool json_member(struct json *j, struct json_text *ret_name)
{
	if (!next_entry(j, '}'))
		return false;
	skip_blanks(j);
	if (j->p == j->end || *j->p != '"')
		return json_fail(j, "a member's name was expected");
	if (!json_string(j, ret_name))
		return false;
	skip_blanks(j);
	if (j->p == j->end || *j->p != ':')
		return json_fail(j, "a colon was expected");
	j->p++;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* p is behind the backslash; the position behind the escape, or NULL. */
static const char *check_escape(const char *p, const char *end)
{
	if (p == end)
		return NULL;
	if (*p != 'u')
		return *p && strchr("\"\\/bfnrt", *p) ? p + 1 : NULL;
	if (end - p < 5)
		return NULL;
	for (int i = 1; i < 5; i++)
		if (hex_digit(p[i]) < 0)
			return NULL;
	return p + 5;
}

/* One character beyond ASCII by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
static const char *check_utf8(const char *text, const char *end)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t left = (size_t)(end - text), more;
	unsigned low = 0x80, high = 0xbf;
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		more = 1;
	} else if ((p[0] & 0xf0) == 0xe0) {
		more = 2;
		low = p[0] == 0xe0 ? 0xa0 : 0x80;
		high = p[0] == 0xed ? 0x9f : 0xbf;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		more = 3;
		low = p[0] == 0xf0 ? 0x90 : 0x80;
		high = p[0] == 0xf4 ? 0x8f : 0xbf;
	} else {
		return NULL;
	}
	if (left <= more || p[1] < low || p[1] > high)
		return NULL;
	for (size_t i = 2; i <= more; i++)
		if ((p[i] & 0xc0) != 0x80)
			return NULL;
	return text + more + 1;
}

bool json_string(struct json *j, struct json_text *ret)
{
	if (json_peek(j) != JSON_STRING)
		return json_fail(j, "a string was expected");
	const char *p = j->p + 1, *end = j->end, *at = p;
	bool escaped = false;
	for (;;) {
		while (p < end && (unsigned char)(*p - 0x20) < 0x60 && *p != '"' && *p != '\\')
			p++;
		if (p == end) {
			j->p = p;
			return json_fail(j, "a string does not end");
		}
		if (*p == '"')
			break;
		const char *next = NULL;
		if (*p == '\\') {
			escaped = true;
			next = check_escape(p + 1, end);
		} else if ((unsigned char)*p >= 0x80) {
			next = check_utf8(p, end);
		}
		if (!next) {
			j->p = p;
			return json_fail(j, *p == '\\' ? "a wrong escape in a string" : "a byte that may not stand in a string");
		}
		p = next;
	}
	*ret = (struct json_text){.at = at, .len = (size_t)(p - at), .escaped = escaped};
	j->p = p + 1;
	return true;
}

static bool take_number(struct json *j, struct number *ret)
{
	if (json_peek(j) != JSON_NUMBER)
		return json_fail(j, "a number was expected");
	const char *p = number_scan(j->p, j->end, ret);
	if (!p)
		return json_fail(j, "a wrong number");
	j->p = p;
	return true;
}

bool json_number(struct json *j, double *ret, bool *ret_fits)
{
	struct number number;
	if (!take_number(j, &number))
		return false;
	*ret_fits = number_value(&number, ret);
	return true;
}

static bool take_word(struct json *j, const char *word)
{
	size_t len = strlen(word);
	if ((size_t)(j->end - j->p) < len || memcmp(j->p, word, len) != 0)
		return json_fail(j, "not the beginning of a value");
	j->p += len;
	return true;
}

bool json_bool(struct json *j, bool *ret)
{
	if (json_peek(j) != JSON_BOOL)
		return json_fail(j, "true or false was expected");
	bool value = *j->p == 't';
	if (!take_word(j, value ? "true" : "false"))
		return false;
	*ret = value;
	return true;
}

/* Takes a value that holds no others, or enters one that does. */
static bool skip_one(struct json *j)
{
	struct json_text text;
	struct number number;
	bool flag;
	switch (json_peek(j)) {
	case JSON_OBJECT:
		return json_enter_object(j);
	case JSON_ARRAY:
		return json_enter_array(j);
	case JSON_STRING:
		return json_string(j, &text);
	case JSON_NUMBER:
		return take_number(j, &number);
	case JSON_BOOL:
		return json_bool(j, &flag);
	case JSON_NULL:
		return take_word(j, "null");
	case JSON_NONE:
		break;
	}
	return false;
}

bool json_skip(struct json *j)
{
	uint32_t floor = j->depth;
	uint64_t objects = 0; /* bit d: the value open at depth floor + d + 1 is an object */
	do {
		uint32_t depth = j->depth;
		bool object = json_peek(j) == JSON_OBJECT;
		if (!skip_one(j))
			return false;
		if (j->depth > depth) {
			uint64_t bit = UINT64_C(1) << (depth - floor);
			objects = object ? objects | bit : objects & ~bit;
		}
		/* Close what ends here; stop at the next value. */
		while (j->depth > floor) {
			struct json_text name;
			bool more = objects >> (j->depth - floor - 1) & 1 ? json_member(j, &name) : json_element(j);
			if (j->error)
				return false;
			if (more)
				break;
		}
	} while (j->depth > floor);
	return true;
}

static size_t put_utf8(uint32_t c, char ret[4])
{
	if (c < 0x80) {
		ret[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		ret[0] = (char)(0xc0 | c >> 6);
		ret[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		ret[0] = (char)(0xe0 | c >> 12);
		ret[1] = (char)(0x80 | (c >> 6 & 0x3f));
		ret[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	ret[0] = (char)(0xf0 | c >> 18);
	ret[1] = (char)(0x80 | (c >> 12 & 0x3f));
	ret[2] = (char)(0x80 | (c >> 6 & 0x3f));
	ret[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static uint32_t hex4(const char *p)
{
	uint32_t v = 0;
	for (int i = 0; i < 4; i++)
		v = v << 4 | (uint32_t)hex_digit(p[i]);
	return v;
}

/* Decodes the escape at *p (behind the backslash) of a checked string; 0 bytes for NUL and half a pair. */
static size_t decode_escape(const char **p, const char *end, char ret[4])
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	char c = *(*p)++;
	if (c != 'u') {
		ret[0] = to[strchr(from, c) - from];
		return 1;
	}
	uint32_t unit = hex4(*p);
	*p += 4;
	if (unit >= 0xd800 && unit <= 0xdbff) {
		if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
			return 0;
		uint32_t low = hex4(*p + 2);
		if (low < 0xdc00 || low > 0xdfff)
			return 0;
		*p += 6;
		unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
	} else if (unit == 0 || (unit >= 0xdc00 && unit <= 0xdfff)) {
		return 0;
	}
	return put_utf8(unit, ret);
}

size_t json_text_copy(const struct json_text *text, char *ret, size_t size)
{
	size_t len = 0;
	for (const char *p = text->at, *end = p + text->len; p < end;) {
		char bytes[4];
		size_t n = 1;
		if (*p == '\\') {
			p++;
			n = decode_escape(&p, end, bytes);
		} else {
			bytes[0] = *p++;
		}
		if (n == 0 || n >= size - len)
			return SIZE_MAX;
		memcpy(ret + len, bytes, n);
		len += n;
	}
	if (len >= size)
		return SIZE_MAX;
	ret[len] = 0;
	return len;
}

bool json_text_equal(const struct json_text *text, const char *other, size_t len)
{
	char decoded[JSON_ESCAPED_MAX];
	if (!text->escaped)
		return text->len == len && memcmp(text->at, other, len) == 0;
	return json_text_copy(text, decoded, sizeof decoded) == len && memcmp(decoded, other, len) == 0;
}
