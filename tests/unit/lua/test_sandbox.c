/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

/* Each runs in build and must fail, with the text in its message where one is given. */
static const struct {
	const char *body, *message;
} escapes[] = {
	{"io.open('/etc/passwd')", "unknown step or name 'io'"},
	{"os.execute('true')", "'os'"},
	{"debug.getregistry()", "'debug'"},
	{"require 'os'", "'require'"},
	{"package.loadlib('x', 'y')", "'package'"},
	{"load('return 1')()", "'load'"},
	{"loadstring('return 1')()", "'loadstring'"},
	{"loadfile('/etc/passwd')", "'loadfile'"},
	{"dofile('/etc/passwd')", "'dofile'"},
	{"coroutine.wrap(function () end)()", "'coroutine'"},
	{"xpcall(function () end, print)", "'xpcall'"},
	{"collectgarbage('stop')", "'collectgarbage'"},
	{"print('x')", "'print'"},
	{"rawset(_ENV, 'x', 1)", "'rawset'"},
	{"_G.x = 1", "'_G'"},
	{"x = 1", "global 'x' cannot be set"},
	{"_ENV.x = 1", "global 'x' cannot be set"},
	{"string.x = 1", "'string' is frozen"},
	{"math.pi = 3", "'math' is frozen"},
	{"table.insert(string, 1)", "table expected"},
	{"table.insert(_ENV, 1)", "table expected"},
	{"table.sort(math)", "table expected"},
	{"table.move({1, 2}, 1, 2, 1, string)", "table expected"},
	{"setmetatable(string, {})", "table expected"},
	{"setmetatable(_ENV, {})", "table expected"},
	{"setmetatable('', {})", "table expected"},
	{"getmetatable('').__index = nil", "table expected"},
	{"getmetatable(point).__index = nil", "table expected"},
	{"next(string)", "table expected"},
	{"rawget(_ENV, 'pcall')", "table expected"},
	{"('x').rep = 1", NULL},
	{"setmetatable({}, {__gc = function () end})", "__gc"},
	{"setmetatable({}, {__mode = 'k'})", "__mode"},
	{"local t = setmetatable({}, {__metatable = 'no'}) setmetatable(t, {})", "protected"},
	{"string.dump(function () end)", NULL},
	{"string.pack('z', 'x')", NULL},
	{"math.random()", NULL},
	{"math.randomseed(1)", NULL},
	{"string.rep('x', 1e9)", "too long"},
	{"string.rep('x', 1 << 62)", "too long"},
	{"string.rep('', 1 << 62, 'xx')", "too long"},
	{"string.format('%99999d', 1)", "invalid conversion"},
	{"string.format('%n', 1)", "invalid conversion"},
	{"string.format('%p', {})", "invalid conversion"},
	{"string.format('%s')", "no value"},
	{"table.unpack({}, 1, 1e8)", "too many"},
	{"table.concat({}, 'x', 1, 1e8)", "too long"},
	{"table.move({}, 1, 1e8, 2)", "too many"},
	{"table.move({}, math.mininteger, math.maxinteger, 2)", "too many"},
	{"local t = setmetatable({1}, {__len = function () return 1e9 end}) table.insert(t, 1e9, 1)", "out of bounds"},
	{"local t = setmetatable({}, {__len = function () return 1e9 end}) table.remove(t, 1e9)", "out of bounds"},
	{"local t = {} for i = 1, 70000 do t[i] = i end table.sort(t)", "at most"},
	{"string.find(string.rep('a', 30), string.rep('a?', 30) .. string.rep('a', 30))", "takes too long"},
	{"string.match(string.rep('a', 5000), '(.-)(.-)(.-)(.-)b')", "takes too long"},
	{"string.gsub(string.rep('a', 60000), '.-b', '')", "takes too long"},
	{"string.find('x', string.rep('(', 40))", NULL},
	{"string.find('x', '[')", "malformed"},
	{"string.find('x', '%')", "malformed"},
	{"string.find('x', '%b')", "malformed"},
	{"string.find('x', '%1')", "invalid capture"},
	{"point.x = 1", "'point' is frozen"},
	{"local p = pipeline { name = 't', build = function () end }", "made once"},
	{"use 'os'", NULL},
	{"local a = '10' + 1", "arithmetic"},
	{"error()", NULL},
	{"error({})", NULL},
	{"error(nil)", NULL},
};

Test(sandbox, every_known_way_out_is_refused)
{
	struct bench b;
	bench_open(&b);
	for (size_t i = 0; i < HD_ARRAY_LEN(escapes); i++) {
		int rc = bench_run_in_build(&b, escapes[i].body);
		cr_assert_eq(rc, HYDRO_E_CONFIG, "%s gave %d", escapes[i].body, rc);
		if (escapes[i].message)
			cr_assert(strstr(b.err.text, escapes[i].message), "%s gave: %s", escapes[i].body, b.err.text);
	}
	cr_assert_eq(bench_run_in_build(&b, ""), HYDRO_OK);
	bench_close(&b);
}

/* Each runs in build and must pass. */
static const char *const allowed[] = {
	"assert(('abc'):upper() == 'ABC' and #'abc' == 3 and ('abc'):sub(-2) == 'bc')",
	"assert(string.format('%5.2f|%-4d|%s|%%|%x', 3.14159, 7, true, 255) == ' 3.14|7   |true|%|ff')",
	"assert(string.format('%q' == nil and '' or '%s', {}) == 'table')",
	"assert(tostring(setmetatable({}, {__tostring = function () return 'me' end})) == 'me')",
	"local t = {3, 1, 2} table.sort(t) assert(t[1] == 1 and t[2] == 2 and t[3] == 3)",
	"local t = {3, 1, 2} table.sort(t, function (a, b) return a > b end) assert(table.concat(t, ',') == '3,2,1')",
	"local t = {} for i = 1, 1000 do t[i] = i * 7919 % 1009 end table.sort(t) for i = 2, 1000 do assert(t[i - 1] <= t[i]) end",
	"local t = table.move({1, 2, 3}, 1, 3, 2) assert(table.concat(t) == '1123')",
	"local t = {1, 2} table.insert(t, 1, 0) table.insert(t, 3) assert(table.concat(t) == '0123' and table.remove(t) == 3 and table.remove(t, 1) == 0 and #t == 2)",
	"assert(select('#', table.unpack({1, 2, nil, 4}, 1, 4)) == 4 and table.pack(1, nil).n == 2)",
	"assert(string.rep('ab', 3, '-') == 'ab-ab-ab' and string.rep('', 1 << 40) == '' and string.rep('x', 0) == '')",
	"local ok, e = pcall(error, {code = 1}) assert(not ok and e.code == 1)",
	"local c = {} c.__index = c function c.f() return 1 end local o = setmetatable({}, c) assert(o.f() == 1 and getmetatable(o) == c)",
	"local mt = {} local o = setmetatable({}, mt) mt.__gc = function () error('never') end mt.__mode = 'k' o = nil",
	"do local x <close> = setmetatable({}, {__close = function () end}) end",
	"local n = 0 for k, v in pairs({a = 1, b = 2}) do n = n + v end assert(n == 3)",
	"assert(math.floor(2.5) == 2 and math.type(1) == 'integer' and math.tointeger(3.0) == 3 and math.max(1, 5, 2) == 5)",
	"assert(tonumber('0x10') == 16 and tonumber('z', 36) == 35 and type(nil) == 'nil' and rawequal(1, 1) and rawlen({1, 2}) == 2)",
	"assert(('x'):byte() == 120 and string.char(104, 105) == 'hi' and ('abc'):reverse() == 'cba' and ('ABC'):lower() == 'abc')",
};

Test(sandbox, what_scripts_need_is_there)
{
	struct bench b;
	bench_open(&b);
	for (size_t i = 0; i < HD_ARRAY_LEN(allowed); i++)
		cr_assert_eq(bench_run_in_build(&b, allowed[i]), HYDRO_OK, "%s gave: %s", allowed[i], b.err.text);
	bench_close(&b);
}

/* As in the manual of Lua 5.4 and its test suite. */
static const char *const patterns[] = {
	"assert(('hello world'):find('wor') == 7 and ('hello'):find('l', 1, true) == 3 and ('a.b'):find('.', 2, true) == 2)",
	"assert(('hello'):match('^(h)(.-)(o)$') == 'h' and select(2, ('hello'):match('^(h)(.-)(o)$')) == 'ell')",
	"assert(('key = value'):match('^(%w+)%s*=%s*(%w+)$') == 'key')",
	"assert(('  trim  '):match('^%s*(.-)%s*$') == 'trim')",
	"assert(('THE (quick) fox'):find('%((%a+)%)') == 5)",
	"assert(('f(a(b)c)d'):match('%b()') == '(a(b)c)')",
	"assert(('THE (quick) fox'):gsub('%f[%a]%a+', 'w') == 'w (w) w')",
	"assert(('abc'):gsub('%w', '%0%0') == 'aabbcc' and ('hello'):gsub('', '-') == '-h-e-l-l-o-')",
	"assert(('hello world'):gsub('o', {o = '0'}) == 'hell0 w0rld')",
	"assert(('4+5'):gsub('%d', function (d) return tonumber(d) * 2 end) == '8+10')",
	"assert(('abc abc'):gsub('abc', 'x', 1) == 'x abc' and select(2, ('aaa'):gsub('a', 'b')) == 3)",
	"local n = 0 for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do n = n + tonumber(v) end assert(n == 3)",
	"local s = '' for w in ('one two'):gmatch('%a+') do s = s .. w .. ';' end assert(s == 'one;two;')",
	"assert(('abc'):find('b', -2) == 2 and ('abc'):find('b', 10) == nil and ('abc'):match('()b()') == 2)",
	"assert(('[x]'):match('[]]') == ']' and ('a-b'):match('[a%-]+') == 'a-' and ('x^y'):match('[^x]') == '^')",
	"assert(('aab'):match('a*b') == 'aab' and ('aab'):match('a-b') == 'aab' and ('ac'):match('ab?c') == 'ac' and ('b'):match('a+') == nil)",
	"assert(('\\0x'):find('\\0') == 1 and ('a$'):match('a$') == nil and ('a$'):match('a%$$') == 'a$')",
	"assert(('abcabc'):match('(abc)%1') == 'abc' and ('x'):rep(10):match('x+$') == 'xxxxxxxxxx')",
	"assert(string.find('', '') == 1 and ('a'):gsub('^a', 'b') == 'b')",
};

Test(sandbox, patterns_are_those_of_the_manual)
{
	struct bench b;
	bench_open(&b);
	for (size_t i = 0; i < HD_ARRAY_LEN(patterns); i++)
		cr_assert_eq(bench_run_in_build(&b, patterns[i]), HYDRO_OK, "%s gave: %s", patterns[i], b.err.text);
	bench_close(&b);
}

Test(sandbox, scripts_are_text_and_of_bounded_size)
{
	struct bench b;
	bench_open(&b);
	static char big[HD_SCRIPT_BYTES_MAX + 2];
	memset(big, ' ', sizeof big - 1);
	cr_assert_eq(hd_script_new("t", "t.lua", big, sizeof big - 1, NULL, 0, &b.script, &b.err), HYDRO_E_LIMIT);
	cr_assert_eq(hd_script_new("t", "t.lua", "\x1bLua", 4, NULL, 0, &b.script, &b.err), HYDRO_E_INVALID);
	cr_assert_eq(hd_script_new("t", "t.lua", "return\0x", 8, NULL, 0, &b.script, &b.err), HYDRO_E_INVALID);
	cr_assert_eq(hd_script_new("T/..", "t.lua", "", 0, NULL, 0, &b.script, &b.err), HYDRO_E_INVALID);
	cr_assert_eq(bench_load(&b, " \x1bLua"), HYDRO_E_CONFIG);
	bench_close(&b);
}

Test(sandbox, one_script_does_not_see_another)
{
	struct bench b;
	bench_open(&b);
	cr_assert_eq(bench_load(&b, "local secret = 42 return pipeline { name = 't', build = function () return {} end }"), HYDRO_OK);
	struct hd_script *other;
	const char *text = "return pipeline { name = 'u', build = function () return { free { x = secret } } end }";
	cr_assert_eq(hd_script_new("u", "u.lua", text, strlen(text), NULL, 0, &other, &b.err), HYDRO_OK);
	cr_assert_eq(hd_lua_attach(b.lua, other, &b.diag, &b.err), HYDRO_OK);
	const struct hd_point *point = bench_point(&b, "{}");
	cr_assert_eq(hd_script_build(b.lua, other, point, &b.spec, &b.diag, &b.err), HYDRO_E_CONFIG);
	cr_assert(strstr(b.diag.message, "unknown step or name 'secret'"));
	hd_point_unref(point);
	hd_lua_detach(b.lua, other);
	hd_script_unref(&other);
	bench_close(&b);
}
