/* SPDX-License-Identifier: MIT */
/*
 * Sealing: XChaCha20-Poly1305 (libsodium) with a key from a file that only the daemon's user may read. The algorithm is the
 * same on every machine, so a data directory can be moved; its 192-bit nonce may be random or built by the caller.
 */
#ifndef HD_STORE_SEAL_H
#define HD_STORE_SEAL_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

#define HD_KEY_BYTES 32u
#define HD_SEAL_NONCE_BYTES 24u
#define HD_SEAL_TAG_BYTES 16u
#define HD_SEAL_TEXT_BYTES_MAX (1u << 20)

struct hd_key {
	uint8_t bytes[HD_KEY_BYTES];
	uint32_t id; /* names the key beside what it sealed, tells nothing about it; never 0 */
};

/*
 * Reads the key file, or makes one (random, mode 0600, synced with its folder) when it is not there and `create` is set.
 * HYDRO_E_NOTFOUND: none there; HYDRO_E_KEY: others may read it, or it is no key file; HYDRO_E_IO. [control]
 */
int hd_key_open(const char *path, bool create, struct hd_key *ret, struct hydro_error *err);
/* A key of its own for one use (exactly 8 characters, "journal_"), so that nonces of two uses can never meet. [any] */
void hd_key_derive(const struct hd_key *key, const char use[8], struct hd_key *ret);
/* For HD_CLEANUP and before freeing: overwrites the key. [any] */
void hd_key_wipe(struct hd_key *key);

/*
 * Seals data to ret (len + HD_SEAL_TAG_BYTES bytes; may be data itself), bound to `ad`. A (key, nonce) pair must never
 * seal twice: whoever builds nonces guarantees it. [any]
 */
void hd_seal(const struct hd_key *key, const uint8_t nonce[HD_SEAL_NONCE_BYTES], const void *ad, size_t ad_len,
             const void *data, size_t len, uint8_t *ret);
/* The reverse: sealed_len - HD_SEAL_TAG_BYTES bytes to ret (may be sealed itself). false: wrong key, nonce, ad or altered
 * bytes; then ret holds nothing of use. [any] */
bool hd_unseal(const struct hd_key *key, const uint8_t nonce[HD_SEAL_NONCE_BYTES], const void *ad, size_t ad_len,
               const uint8_t *sealed, size_t sealed_len, void *ret);

/*
 * For a column: adds "s1:<key id>:<base64>" to ret, with a random nonce, bound to `context` ("accounts.secrets/17"), so
 * that a sealed text moved to another row does not open. HYDRO_E_LIMIT above HD_SEAL_TEXT_BYTES_MAX, HYDRO_E_NOMEM. [any]
 */
int hd_seal_text(const struct hd_key *key, const char *context, const char *text, size_t len, struct hd_buf *ret,
                 struct hydro_error *err);
/*
 * Adds the opened text to ret. HYDRO_E_KEY: sealed with another key; HYDRO_E_CORRUPT: not a sealed text, altered, or of
 * another context; HYDRO_E_NOMEM. [any]
 */
int hd_unseal_text(const struct hd_key *key, const char *context, const char *sealed, size_t len, struct hd_buf *ret,
                   struct hydro_error *err);

#endif
