/* SPDX-License-Identifier: MIT */
/*
 * Lua patterns with a bound on the steps of one call: Lua's own matcher runs in C for as long as the pattern likes, where
 * no hook reaches it. Same language as §6.4.1 of the Lua 5.4 manual, after lstrlib.c (MIT, Lua.org, PUC-Rio).
 */
#include "lua/internal.h"

#include <ctype.h>
#include <string.h>

#define CAPTURES_MAX 32
#define DEPTH_MAX 200
#define CAPTURE_OPEN (-1)
#define CAPTURE_POSITION (-2)

struct match {
	const char *text, *text_end, *pattern_end;
	lua_State *L;
	uint32_t steps;
	int depth;
	int level;
	struct {
		const char *at;
		ptrdiff_t len;
	} capture[CAPTURES_MAX];
};

LUA_RAISES static const char *do_match(struct match *m, const char *s, const char *p);

LUA_RAISES static void count_step(struct match *m)
{
	if (HD_UNLIKELY(++m->steps > HD_LUA_MATCH_STEPS))
		(void)luaL_error(m->L, "pattern takes too long: more than %d steps", (int)HD_LUA_MATCH_STEPS);
}

LUA_RAISES static const char *class_end(struct match *m, const char *p)
{
	if (p == m->pattern_end)
		(void)luaL_error(m->L, "malformed pattern (ends early)");
	switch (*p++) {
	case '%':
		if (p == m->pattern_end)
			(void)luaL_error(m->L, "malformed pattern (ends with '%%')");
		return p + 1;
	case '[':
		if (*p == '^')
			p++;
		do {
			if (p == m->pattern_end)
				(void)luaL_error(m->L, "malformed pattern (missing ']')");
			count_step(m);
			char c = *p++;
			if (c == '%') {
				if (p == m->pattern_end)
					(void)luaL_error(m->L, "malformed pattern (missing ']')");
				p++;
			}
		} while (p == m->pattern_end || *p != ']');
		return p + 1;
	default:
		return p;
	}
}

static bool is_class(int c, int class)
{
	bool result;
	switch (tolower(class)) {
	case 'a': result = isalpha(c) != 0; break;
	case 'c': result = iscntrl(c) != 0; break;
	case 'd': result = isdigit(c) != 0; break;
	case 'g': result = isgraph(c) != 0; break;
	case 'l': result = islower(c) != 0; break;
	case 'p': result = ispunct(c) != 0; break;
	case 's': result = isspace(c) != 0; break;
	case 'u': result = isupper(c) != 0; break;
	case 'w': result = isalnum(c) != 0; break;
	case 'x': result = isxdigit(c) != 0; break;
	default: return class == c;
	}
	return isupper(class) ? !result : result;
}

/* Whether c is in the set [p … end], `end` at its ']'. */
LUA_RAISES static bool in_set(struct match *m, int c, const char *p, const char *end)
{
	bool found = true;
	if (p[1] == '^') {
		found = false;
		p++;
	}
	while (++p < end) {
		count_step(m);
		if (*p == '%') {
			p++;
			if (is_class(c, (unsigned char)*p))
				return found;
		} else if (p[1] == '-' && p + 2 < end) {
			p += 2;
			if ((unsigned char)p[-2] <= c && c <= (unsigned char)*p)
				return found;
		} else if ((unsigned char)*p == c) {
			return found;
		}
	}
	return !found;
}

LUA_RAISES static bool single_match(struct match *m, const char *s, const char *p, const char *ep)
{
	count_step(m);
	if (s >= m->text_end)
		return false;
	int c = (unsigned char)*s;
	switch (*p) {
	case '.': return true;
	case '%': return is_class(c, (unsigned char)p[1]);
	case '[': return in_set(m, c, p, ep - 1);
	default: return (unsigned char)*p == c;
	}
}

LUA_RAISES static const char *match_balance(struct match *m, const char *s, const char *p)
{
	if (p + 1 >= m->pattern_end)
		(void)luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
	if (s >= m->text_end || *s != *p)
		return NULL;
	int open = *p, close = p[1], nesting = 1;
	while (++s < m->text_end) {
		count_step(m);
		if (*s == close) {
			if (--nesting == 0)
				return s + 1;
		} else if (*s == open) {
			nesting++;
		}
	}
	return NULL;
}

LUA_RAISES static const char *match_most(struct match *m, const char *s, const char *p, const char *ep)
{
	ptrdiff_t i = 0;
	while (single_match(m, s + i, p, ep))
		i++;
	for (; i >= 0; i--) {
		const char *result = do_match(m, s + i, ep + 1);
		if (result)
			return result;
	}
	return NULL;
}

LUA_RAISES static const char *match_least(struct match *m, const char *s, const char *p, const char *ep)
{
	for (;;) {
		const char *result = do_match(m, s, ep + 1);
		if (result)
			return result;
		if (!single_match(m, s, p, ep))
			return NULL;
		s++;
	}
}

LUA_RAISES static const char *start_capture(struct match *m, const char *s, const char *p, ptrdiff_t what)
{
	if (m->level >= CAPTURES_MAX)
		(void)luaL_error(m->L, "too many captures");
	m->capture[m->level].at = s;
	m->capture[m->level].len = what;
	m->level++;
	const char *result = do_match(m, s, p);
	if (!result)
		m->level--;
	return result;
}

LUA_RAISES static const char *end_capture(struct match *m, const char *s, const char *p)
{
	int level = m->level - 1;
	while (level >= 0 && m->capture[level].len != CAPTURE_OPEN)
		level--;
	if (level < 0)
		(void)luaL_error(m->L, "invalid pattern capture");
	m->capture[level].len = s - m->capture[level].at;
	const char *result = do_match(m, s, p);
	if (!result)
		m->capture[level].len = CAPTURE_OPEN;
	return result;
}

LUA_RAISES static const char *match_capture(struct match *m, const char *s, int digit)
{
	int level = digit - '1';
	if (level < 0 || level >= m->level || m->capture[level].len < 0) {
		(void)luaL_error(m->L, "invalid capture index %%%d", level + 1);
		return NULL;
	}
	size_t len = (size_t)m->capture[level].len;
	m->steps += (uint32_t)(len / 16);
	count_step(m);
	if ((size_t)(m->text_end - s) >= len && memcmp(m->capture[level].at, s, len) == 0)
		return s + len;
	return NULL;
}

LUA_RAISES static const char *match_frontier(struct match *m, const char *s, const char **p)
{
	if (*p >= m->pattern_end || **p != '[')
		(void)luaL_error(m->L, "missing '[' after '%%f' in pattern");
	const char *ep = class_end(m, *p);
	int before = s == m->text ? '\0' : (unsigned char)s[-1];
	int now = s < m->text_end ? (unsigned char)*s : '\0';
	if (in_set(m, before, *p, ep - 1) || !in_set(m, now, *p, ep - 1))
		return NULL;
	*p = ep;
	return s;
}

/* One item and its suffix; sets *ret_next to go on in the same loop, or gives the result of the rest. */
LUA_RAISES static const char *match_item(struct match *m, const char *s, const char *p, const char **ret_next_p)
{
	const char *ep = class_end(m, p);
	char suffix = ep < m->pattern_end ? *ep : '\0';
	*ret_next_p = NULL;
	switch (suffix) {
	case '?': {
		const char *result;
		if (single_match(m, s, p, ep) && (result = do_match(m, s + 1, ep + 1)) != NULL)
			return result;
		*ret_next_p = ep + 1;
		return s;
	}
	case '+':
		return single_match(m, s, p, ep) ? match_most(m, s + 1, p, ep) : NULL;
	case '*':
		return match_most(m, s, p, ep);
	case '-':
		return match_least(m, s, p, ep);
	default:
		if (!single_match(m, s, p, ep))
			return NULL;
		*ret_next_p = ep;
		return s + 1;
	}
}

LUA_RAISES static const char *match_escape(struct match *m, const char *s, const char *p, const char **ret_next_p)
{
	*ret_next_p = NULL;
	switch (p + 1 < m->pattern_end ? p[1] : '\0') {
	case 'b':
		s = match_balance(m, s, p + 2);
		*ret_next_p = p + 4;
		return s;
	case 'f':
		p += 2;
		s = match_frontier(m, s, &p);
		*ret_next_p = p;
		return s;
	case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
		s = match_capture(m, s, (unsigned char)p[1]);
		*ret_next_p = p + 2;
		return s;
	default:
		return match_item(m, s, p, ret_next_p);
	}
}

LUA_RAISES static const char *do_match(struct match *m, const char *s, const char *p)
{
	if (m->depth++ == DEPTH_MAX)
		(void)luaL_error(m->L, "pattern too complex");
	while (s && p && p != m->pattern_end) {
		const char *next = NULL;
		count_step(m);
		switch (*p) {
		case '(':
			s = p[1] == ')' ? start_capture(m, s, p + 2, CAPTURE_POSITION) : start_capture(m, s, p + 1, CAPTURE_OPEN);
			break;
		case ')':
			s = end_capture(m, s, p + 1);
			break;
		case '$':
			if (p + 1 == m->pattern_end) {
				s = s == m->text_end ? s : NULL;
				break;
			}
			s = match_item(m, s, p, &next);
			break;
		case '%':
			s = match_escape(m, s, p, &next);
			break;
		default:
			s = match_item(m, s, p, &next);
			break;
		}
		p = next;
	}
	m->depth--;
	return s;
}

LUA_RAISES static void push_capture(struct match *m, int i, const char *s, const char *e)
{
	if (i >= m->level) {
		if (i != 0)
			(void)luaL_error(m->L, "invalid capture index %%%d", i + 1);
		lua_pushlstring(m->L, s, (size_t)(e - s));
		return;
	}
	ptrdiff_t len = m->capture[i].len;
	if (len == CAPTURE_OPEN)
		(void)luaL_error(m->L, "unfinished capture");
	if (len == CAPTURE_POSITION)
		lua_pushinteger(m->L, m->capture[i].at - m->text + 1);
	else
		lua_pushlstring(m->L, m->capture[i].at, (size_t)len);
}

LUA_RAISES static int push_captures(struct match *m, const char *s, const char *e)
{
	int n = m->level == 0 && s ? 1 : m->level;
	luaL_checkstack(m->L, n, "too many captures");
	for (int i = 0; i < n; i++)
		push_capture(m, i, s, e);
	return n;
}

LUA_RAISES static void prepare(lua_State *L, struct match *m, const char **ret_pattern)
{
	size_t len, pattern_len;
	m->text = luaL_checklstring(L, 1, &len);
	luaL_argcheck(L, len <= HD_LUA_STRING_MAX, 1, "string too long");
	*ret_pattern = luaL_checklstring(L, 2, &pattern_len);
	luaL_argcheck(L, pattern_len <= 1024, 2, "pattern too long");
	m->text_end = m->text + len;
	m->pattern_end = *ret_pattern + pattern_len;
	m->L = L;
	m->steps = 0;
	m->depth = 0;
	m->level = 0;
}

static size_t start_of(lua_Integer init, size_t len)
{
	if (init > 0)
		return (size_t)init - 1;
	if (init == 0 || init < -(lua_Integer)len)
		return 0;
	return len + (size_t)init;
}

LUA_RAISES static int find_or_match(lua_State *L, bool find)
{
	struct match m;
	const char *pattern;
	prepare(L, &m, &pattern);
	size_t init = start_of(luaL_optinteger(L, 3, 1), (size_t)(m.text_end - m.text));
	if (init > (size_t)(m.text_end - m.text)) {
		luaL_pushfail(L);
		return 1;
	}
	const char *s = m.text + init;
	if (find && lua_toboolean(L, 4)) {
		const char *at = memmem(s, (size_t)(m.text_end - s), pattern, (size_t)(m.pattern_end - pattern)); /* linear */
		if (!at) {
			luaL_pushfail(L);
			return 1;
		}
		lua_pushinteger(L, at - m.text + 1);
		lua_pushinteger(L, at - m.text + (m.pattern_end - pattern));
		return 2;
	}
	bool anchor = pattern < m.pattern_end && *pattern == '^';
	pattern += anchor;
	do {
		m.level = 0;
		m.depth = 0;
		const char *e = do_match(&m, s, pattern);
		if (e && find) {
			lua_pushinteger(L, s - m.text + 1);
			lua_pushinteger(L, e - m.text);
			return push_captures(&m, NULL, NULL) + 2;
		}
		if (e)
			return push_captures(&m, s, e);
	} while (s++ < m.text_end && !anchor);
	luaL_pushfail(L);
	return 1;
}

LUA_RAISES static int string_find(lua_State *L)
{
	return find_or_match(L, true);
}

LUA_RAISES static int string_match(lua_State *L)
{
	return find_or_match(L, false);
}

/* Upvalues: text, pattern, where to go on, end of the last match. */
LUA_RAISES static int gmatch_next(lua_State *L)
{
	struct match m;
	const char *pattern;
	lua_settop(L, 0);
	lua_pushvalue(L, lua_upvalueindex(1));
	lua_pushvalue(L, lua_upvalueindex(2));
	prepare(L, &m, &pattern);
	lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
	for (const char *s = m.text + lua_tointeger(L, lua_upvalueindex(3)); s <= m.text_end; s++) {
		m.level = 0;
		m.depth = 0;
		const char *e = do_match(&m, s, pattern);
		if (e && e - m.text != last) {
			lua_pushinteger(L, e - m.text);
			lua_copy(L, -1, lua_upvalueindex(3));
			lua_replace(L, lua_upvalueindex(4));
			return push_captures(&m, s, e);
		}
	}
	return 0;
}

LUA_RAISES static int string_gmatch(lua_State *L)
{
	struct match m;
	const char *pattern;
	prepare(L, &m, &pattern);
	lua_settop(L, 2);
	lua_pushinteger(L, 0);
	lua_pushinteger(L, -1);
	lua_pushcclosure(L, gmatch_next, 4);
	return 1;
}

/* The replacement text with its %0 … %9. */
LUA_RAISES static void add_template(struct match *m, luaL_Buffer *buffer, const char *s, const char *e)
{
	size_t len;
	const char *news = lua_tolstring(m->L, 3, &len);
	for (size_t i = 0; i < len; i++) {
		count_step(m);
		if (news[i] != '%') {
			luaL_addchar(buffer, news[i]);
			continue;
		}
		i++;
		if (i < len && news[i] == '%') {
			luaL_addchar(buffer, '%');
		} else if (i < len && news[i] == '0') {
			luaL_addlstring(buffer, s, (size_t)(e - s));
		} else if (i < len && isdigit((unsigned char)news[i])) {
			push_capture(m, news[i] - '1', s, e);
			(void)luaL_tolstring(m->L, -1, NULL);
			lua_remove(m->L, -2);
			luaL_addvalue(buffer);
		} else {
			(void)luaL_error(m->L, "invalid use of '%%' in replacement string");
		}
	}
}

LUA_RAISES static void add_replacement(struct match *m, luaL_Buffer *buffer, const char *s, const char *e)
{
	lua_State *L = m->L;
	switch (lua_type(L, 3)) {
	case LUA_TFUNCTION:
		lua_pushvalue(L, 3);
		lua_call(L, push_captures(m, s, e), 1);
		break;
	case LUA_TTABLE:
		push_capture(m, 0, s, e);
		(void)lua_gettable(L, 3);
		break;
	default:
		add_template(m, buffer, s, e);
		return;
	}
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		luaL_addlstring(buffer, s, (size_t)(e - s));
		return;
	}
	if (!lua_isstring(L, -1))
		(void)luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
	luaL_addvalue(buffer);
}

LUA_RAISES static int string_gsub(lua_State *L)
{
	struct match m;
	const char *pattern;
	prepare(L, &m, &pattern);
	int type = lua_type(L, 3);
	luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
			 "string/function/table");
	lua_Integer max = luaL_optinteger(L, 4, m.text_end - m.text + 1), count = 0;
	lua_settop(L, 4);
	if (type == LUA_TNUMBER)
		(void)lua_tostring(L, 3);
	bool anchor = pattern < m.pattern_end && *pattern == '^';
	pattern += anchor;
	const char *s = m.text, *last = NULL;
	luaL_Buffer buffer;
	luaL_buffinit(L, &buffer);
	while (count < max) {
		m.level = 0;
		m.depth = 0;
		const char *e = do_match(&m, s, pattern);
		if (e && e != last) {
			count++;
			add_replacement(&m, &buffer, s, e);
			s = last = e;
		} else if (s < m.text_end) {
			luaL_addchar(&buffer, *s++);
		} else {
			break;
		}
		if (anchor)
			break;
	}
	luaL_addlstring(&buffer, s, (size_t)(m.text_end - s));
	luaL_pushresult(&buffer);
	lua_pushinteger(L, count);
	return 2;
}

LUA_RAISES void hd_sandbox_open_match(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"find", string_find}, {"match", string_match}, {"gmatch", string_gmatch}, {"gsub", string_gsub}, {NULL, NULL},
	};
	luaL_setfuncs(L, functions, 0);
}
