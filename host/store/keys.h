/* SPDX-License-Identifier: MIT */
/* Rows of API keys (hashes only) and of answers kept under an Idempotency-Key. */
#ifndef HD_STORE_KEYS_H
#define HD_STORE_KEYS_H

#include "store/store.h"

#define HD_STORE_KEY_HASH_BYTES 32u
#define HD_STORE_KEPT_BODY_BYTES_MAX (64u << 10) /* larger answers are not kept */
#define HD_STORE_KEPT_MS (24 * 3600 * INT64_C(1000))

struct hd_store_key {
	int64_t id; /* never reused */
	const char *name;
	uint32_t role;
	uint8_t hash[HD_STORE_KEY_HASH_BYTES];
	int64_t created_ms, last_used_ms, revoked_ms; /* 0 = never */
};

/* Sets id and created_ms. With `only_first`: HYDRO_E_EXISTS, and nothing done, when there is any key. [as hd_store_write] */
int hd_store_key_create(struct hd_store *store, struct hd_store_key *key, bool only_first, struct hydro_error *err);
/* HYDRO_E_NOTFOUND also when it is revoked already. [as hd_store_write] */
int hd_store_key_revoke(struct hd_store *store, int64_t id, struct hydro_error *err);
/* Notes when keys were last used: pairs of (id, ms). [as hd_store_write] */
int hd_store_keys_touch(struct hd_store *store, const int64_t (*pairs)[2], size_t count, struct hydro_error *err);
/* All keys by id, revoked ones too. [as hd_store_read] */
int hd_store_keys_list(struct hd_store *store, void (*fn)(void *arg, const struct hd_store_key *key), void *arg, struct hydro_error *err);

struct hd_store_kept {
	int64_t principal;
	const char *key;
	uint8_t fingerprint[HD_STORE_KEY_HASH_BYTES];
	uint32_t status;
	const char *etag, *location;
	const char *body;
	size_t body_len;
};

/* In a write: keeps an answer, and lets go of old ones. HYDRO_E_EXISTS when the key was used meanwhile. [store] */
int hd_store_kept_insert(struct hd_db *db, const struct hd_store_kept *kept, struct hydro_error *err);
/* The kept answer, not older than HD_STORE_KEPT_MS; HYDRO_E_NOTFOUND. [as hd_store_read] */
int hd_store_kept_get(struct hd_store *store, int64_t principal, const char *key, void (*fn)(void *arg, const struct hd_store_kept *kept), void *arg,
		      struct hydro_error *err);

#endif
