/* SPDX-License-Identifier: MIT */
/*
 * A pipeline script: its text, read once, immutable and reference-counted. Each lua_State compiles the text for itself
 * (hd_lua_attach); a Lua step has the same number in all of them. Text chunks only.
 */
#ifndef HD_LUA_SCRIPT_H
#define HD_LUA_SCRIPT_H

#include "base/error.h"
#include "lua/diag.h"

#define HD_SCRIPT_BYTES_MAX (1u << 20)
#define HD_SCRIPT_NAME_BYTES_MAX 64u
#define HD_SCRIPT_HASH_TEXT 17u
#define HD_SCRIPT_FUNCTIONS_MAX 256u /* different Lua steps of one script */
#define HD_SCRIPT_LIBS_MAX 64u

struct hd_script;

/* A text that scripts get by use("name"), at their top level only. Its text takes part in the script's hash. */
struct hd_script_lib {
	const char *name;
	const char *text;
	size_t len;
};

/*
 * A script from text; name is [a-z][a-z0-9_]*, `file` what messages call it. Texts are copied. Checks form only: no NUL,
 * no binary chunk, no larger than HD_SCRIPT_BYTES_MAX (HYDRO_E_INVALID, HYDRO_E_LIMIT); syntax is checked by attaching.
 * [any]
 */
int hd_script_new(const char *name, const char *file, const char *text, size_t len, const struct hd_script_lib *libs, uint32_t lib_count,
		  struct hd_script **ret, struct hydro_error *err);
/*
 * A script from a file "dir/<name>.lua"; libs_dir (may be NULL): the folder whose *.lua files use() gives.
 * HYDRO_E_NOTFOUND, HYDRO_E_IO and as above. [any, may block]
 */
int hd_script_load(const char *path, const char *libs_dir, struct hd_script **ret, struct hydro_error *err);
/* As hd_script_load, with this text in place of the file's. */
int hd_script_from_text(const char *path, const char *libs_dir, const char *text, size_t len, struct hd_script **ret, struct hydro_error *err);
struct hd_script *hd_script_ref(struct hd_script *script);
/* NULL is fine; sets the pointer to NULL. Every hd_lua it is attached to must have detached it before the last one. [any] */
void hd_script_unref(struct hd_script **script);

const char *hd_script_name(const struct hd_script *script);
const char *hd_script_file(const struct hd_script *script);
const char *hd_script_text(const struct hd_script *script);
size_t hd_script_len(const struct hd_script *script);
/* BLAKE2b-64 of text and libs, 16 hex digits. */
const char *hd_script_hash(const struct hd_script *script);
/* "well@3f2a91c0": the name and the first 8 digits, for provenance and generations. */
const char *hd_script_version(const struct hd_script *script);
/* The text of a library that it can use, NULL when there is none of that name. */
const char *hd_script_lib_text(const struct hd_script *script, const char *name);
/* Different Lua steps met so far, in any state: they are numbered 0 … count-1. [any, locks] */
uint32_t hd_script_function_count(struct hd_script *script);

#endif
