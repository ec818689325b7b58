/* SPDX-License-Identifier: MIT */
/*
 * Who asks: API keys. A key is "hydro_<id>_<43 characters>": 256 random bits, of which only a BLAKE2b hash is stored (a hash
 * of so much randomness needs no slow function). All keys are held in memory, so that a request costs no look-up on disk.
 */
#ifndef HD_AUTH_AUTH_H
#define HD_AUTH_AUTH_H

#include "auth/role.h"
#include "store/store.h"

#define HD_AUTH_KEY_BYTES 96u /* of a key's text with its NUL */
#define HD_AUTH_KEYS_MAX 4096u

struct hd_auth;

struct hd_auth_key {
	int64_t id;
	char name[HD_PRINCIPAL_NAME_BYTES];
	uint32_t role;
	int64_t created_ms, last_used_ms, revoked_ms;
};

/* Reads the keys. [control] */
int hd_auth_open(struct hd_store *store, struct hd_auth **ret, struct hydro_error *err);
/* Writes when keys were last used, then frees. The store must still be open. [control] */
void hd_auth_close(struct hd_auth **auth);
/* When there is no key at all, makes an admin's and writes it to ret_key, to be shown once; else *ret_made is false. [control] */
int hd_auth_first_key(struct hd_auth *auth, char ret_key[HD_AUTH_KEY_BYTES], bool *ret_made, struct hydro_error *err);
/* A new key; its text is given this once. HYDRO_E_INVALID for a name (1–63 bytes) or role, HYDRO_E_LIMIT. [as hd_store_write] */
int hd_auth_key_create(struct hd_auth *auth, const char *name, uint32_t role, char ret_key[HD_AUTH_KEY_BYTES], struct hd_auth_key *ret,
		       struct hydro_error *err);
/* From now on refused. HYDRO_E_NOTFOUND; HYDRO_E_CONFLICT for the last admin's key. [as hd_store_write] */
int hd_auth_key_revoke(struct hd_auth *auth, int64_t id, struct hydro_error *err);
/* All keys by id, revoked ones too. [any] */
void hd_auth_keys_list(struct hd_auth *auth, void (*fn)(void *arg, const struct hd_auth_key *key), void *arg);
/*
 * Whose credentials these are: "Bearer <key>" in authorization, or the key in api_key; either may be NULL.
 * HYDRO_E_UNAUTHORIZED tells nothing of what was wrong but for a missing or malformed header. [any, no disk]
 */
int hd_auth_check(struct hd_auth *auth, const char *authorization, const char *api_key, struct hd_principal *ret, struct hydro_error *err);

#endif
