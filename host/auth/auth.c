/* SPDX-License-Identifier: MIT */
#include "auth/auth.h"

#include "base/array.h"
#include "base/clock.h"
#include "store/keys.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define AUTH_MAGIC 0x48545541u
#define SECRET_BYTES 32u
#define PREFIX "hydro_"

struct entry {
	struct hd_auth_key key; /* last_used_ms is atomic */
	uint8_t hash[HD_STORE_KEY_HASH_BYTES];
	int64_t noted_ms; /* last_used_ms as the store has it */
};

struct hd_auth {
	uint32_t magic;
	struct hd_store *store;
	pthread_mutex_t changing; /* one change at a time, the store's write included; before `lock` */
	pthread_rwlock_t lock;    /* guards: entries, count */
	struct entry *entries;    /* by id, ascending */
	uint32_t count, capacity;
	bool no_memory; /* an entry could not be made */
};

/* ---- the table in memory ---------------------------------------------------------------------------------------------- */

static struct entry *find(struct hd_auth *auth, int64_t id)
{
	size_t low = 0, high = auth->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (auth->entries[middle].key.id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < auth->count && auth->entries[low].key.id == id ? &auth->entries[low] : NULL;
}

static void take_row(void *arg, const struct hd_store_key *row)
{
	struct hd_auth *auth = arg;
	if (!HD_RESERVE(auth->entries, auth->capacity, auth->count, 1)) {
		auth->no_memory = true;
		return;
	}
	struct entry *entry = &auth->entries[auth->count++];
	*entry = (struct entry){.key = {.id = row->id, .role = row->role, .created_ms = row->created_ms, .last_used_ms = row->last_used_ms,
					.revoked_ms = row->revoked_ms}, .noted_ms = row->last_used_ms};
	(void)snprintf(entry->key.name, sizeof entry->key.name, "%s", row->name);
	memcpy(entry->hash, row->hash, sizeof entry->hash);
}

int hd_auth_open(struct hd_store *store, struct hd_auth **ret, struct hydro_error *err)
{
	struct hd_auth *auth = sodium_init() < 0 ? NULL : calloc(1, sizeof *auth);
	if (!auth)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for API keys");
	auth->magic = AUTH_MAGIC;
	auth->store = store;
	(void)pthread_mutex_init(&auth->changing, NULL);
	(void)pthread_rwlock_init(&auth->lock, NULL);
	int rc = hd_store_keys_list(store, take_row, auth, err);
	if (rc == HYDRO_OK && auth->no_memory)
		rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for API keys");
	if (rc != HYDRO_OK) {
		hd_auth_close(&auth);
		return rc;
	}
	*ret = auth;
	return HYDRO_OK;
}

/* The uses that the store has not noted yet. */
static void note_uses(struct hd_auth *auth)
{
	int64_t(*pairs)[2] = auth->count ? calloc(auth->count, sizeof *pairs) : NULL;
	size_t count = 0;
	for (size_t i = 0; pairs && i < auth->count; i++) {
		int64_t used = __atomic_load_n(&auth->entries[i].key.last_used_ms, __ATOMIC_RELAXED);
		if (used > auth->entries[i].noted_ms) {
			pairs[count][0] = auth->entries[i].key.id;
			pairs[count++][1] = used;
		}
	}
	(void)hd_store_keys_touch(auth->store, (const int64_t(*)[2])pairs, count, NULL);
	free(pairs);
}

void hd_auth_close(struct hd_auth **auth_ptr)
{
	struct hd_auth *auth = *auth_ptr;
	if (!auth)
		return;
	note_uses(auth);
	(void)pthread_mutex_destroy(&auth->changing);
	(void)pthread_rwlock_destroy(&auth->lock);
	free(auth->entries);
	auth->magic = 0;
	free(auth);
	*auth_ptr = NULL;
}

/* ---- making and revoking ------------------------------------------------------------------------------------------------ */

static void hash_secret(const char *secret, uint8_t ret[HD_STORE_KEY_HASH_BYTES])
{
	(void)crypto_generichash(ret, HD_STORE_KEY_HASH_BYTES, (const unsigned char *)secret, strlen(secret), NULL, 0);
}

static int create(struct hd_auth *auth, const char *name, uint32_t role, bool only_first, char ret_key[HD_AUTH_KEY_BYTES], struct hd_auth_key *ret,
		  struct hydro_error *err)
{
	uint8_t bytes[SECRET_BYTES];
	char secret[sodium_base64_ENCODED_LEN(SECRET_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
	struct hd_store_key row = {.name = name, .role = role};
	(void)pthread_mutex_lock(&auth->changing);
	randombytes_buf(bytes, sizeof bytes);
	(void)sodium_bin2base64(secret, sizeof secret, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	hash_secret(secret, row.hash);
	(void)pthread_rwlock_wrlock(&auth->lock);
	bool room = HD_RESERVE(auth->entries, auth->capacity, auth->count, 1);
	(void)pthread_rwlock_unlock(&auth->lock);
	int rc = !room ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for an API key")
		 : auth->count < HD_AUTH_KEYS_MAX ? hd_store_key_create(auth->store, &row, only_first, err)
						  : hd_error_set(err, HYDRO_E_LIMIT, "more than %u API keys", HD_AUTH_KEYS_MAX);
	if (rc == HYDRO_OK) {
		(void)snprintf(ret_key, HD_AUTH_KEY_BYTES, PREFIX "%lld_%s", (long long)row.id, secret);
		(void)pthread_rwlock_wrlock(&auth->lock);
		take_row(auth, &row); /* there is room */
		*ret = auth->entries[auth->count - 1].key;
		(void)pthread_rwlock_unlock(&auth->lock);
	}
	sodium_memzero(bytes, sizeof bytes);
	sodium_memzero(secret, sizeof secret);
	(void)pthread_mutex_unlock(&auth->changing);
	return rc;
}

int hd_auth_first_key(struct hd_auth *auth, char ret_key[HD_AUTH_KEY_BYTES], bool *ret_made, struct hydro_error *err)
{
	struct hd_auth_key key;
	*ret_made = false;
	if (auth->count > 0)
		return HYDRO_OK;
	int rc = create(auth, "first start", HD_AUTH_ADMIN, true, ret_key, &key, err);
	*ret_made = rc == HYDRO_OK;
	return rc == HYDRO_E_EXISTS ? HYDRO_OK : rc;
}

int hd_auth_key_create(struct hd_auth *auth, const char *name, uint32_t role, char ret_key[HD_AUTH_KEY_BYTES], struct hd_auth_key *ret,
		       struct hydro_error *err)
{
	size_t len = strlen(name);
	if (len == 0 || len >= HD_PRINCIPAL_NAME_BYTES)
		return hd_error_set(err, HYDRO_E_INVALID, "name: 1 to %u bytes are wanted", HD_PRINCIPAL_NAME_BYTES - 1);
	if (role >= HD_AUTH_ROLE_END)
		return hd_error_set(err, HYDRO_E_INVALID, "role: is not known");
	return create(auth, name, role, false, ret_key, ret, err);
}

static size_t other_admins(const struct hd_auth *auth, int64_t id)
{
	size_t count = 0;
	for (size_t i = 0; i < auth->count; i++)
		count += auth->entries[i].key.id != id && auth->entries[i].key.role == HD_AUTH_ADMIN && auth->entries[i].key.revoked_ms == 0;
	return count;
}

int hd_auth_key_revoke(struct hd_auth *auth, int64_t id, struct hydro_error *err)
{
	(void)pthread_mutex_lock(&auth->changing);
	struct entry *entry = find(auth, id);
	int rc = HYDRO_OK;
	if (entry && entry->key.role == HD_AUTH_ADMIN && entry->key.revoked_ms == 0 && other_admins(auth, id) == 0)
		rc = hd_error_set(err, HYDRO_E_CONFLICT, "it is the last admin's key");
	if (rc == HYDRO_OK && (rc = hd_store_key_revoke(auth->store, id, err)) == HYDRO_OK) {
		(void)pthread_rwlock_wrlock(&auth->lock);
		entry = find(auth, id);
		if (entry)
			entry->key.revoked_ms = hd_clock_wall_ms();
		(void)pthread_rwlock_unlock(&auth->lock);
	}
	(void)pthread_mutex_unlock(&auth->changing);
	return rc;
}

void hd_auth_keys_list(struct hd_auth *auth, void (*fn)(void *arg, const struct hd_auth_key *key), void *arg)
{
	(void)pthread_rwlock_rdlock(&auth->lock);
	for (size_t i = 0; i < auth->count; i++) {
		struct hd_auth_key key = auth->entries[i].key;
		key.last_used_ms = __atomic_load_n(&auth->entries[i].key.last_used_ms, __ATOMIC_RELAXED);
		fn(arg, &key);
	}
	(void)pthread_rwlock_unlock(&auth->lock);
}

/* ---- checking ------------------------------------------------------------------------------------------------------------ */

/* Splits "hydro_<id>_<secret>"; false when it has not that form. */
static bool split(const char *key, int64_t *ret_id, const char **ret_secret)
{
	if (strncmp(key, PREFIX, sizeof PREFIX - 1) != 0)
		return false;
	char *end;
	const char *number = key + sizeof PREFIX - 1;
	if (*number < '1' || *number > '9')
		return false;
	long long id = strtoll(number, &end, 10);
	if (*end != '_' || end - number > 18)
		return false;
	*ret_id = id;
	*ret_secret = end + 1;
	return true;
}

int hd_auth_check(struct hd_auth *auth, const char *authorization, const char *api_key, struct hd_principal *ret, struct hydro_error *err)
{
	static const uint8_t nobody[HD_STORE_KEY_HASH_BYTES];
	const char *key = api_key, *secret;
	uint8_t hash[HD_STORE_KEY_HASH_BYTES];
	int64_t id;
	if (!key && authorization) {
		if (strncasecmp(authorization, "Bearer ", 7) != 0)
			return hd_error_set(err, HYDRO_E_UNAUTHORIZED, "Authorization: Bearer <API key> is wanted");
		key = authorization + 7 + strspn(authorization + 7, " ");
	}
	if (!key)
		return hd_error_set(err, HYDRO_E_UNAUTHORIZED, "an API key is wanted: Authorization: Bearer <key>, or X-API-Key: <key>");
	if (!split(key, &id, &secret))
		return hd_error_set(err, HYDRO_E_UNAUTHORIZED, "this is no API key of ours");
	hash_secret(secret, hash);
	(void)pthread_rwlock_rdlock(&auth->lock);
	struct entry *entry = find(auth, id);
	bool same = sodium_memcmp(hash, entry ? entry->hash : nobody, sizeof hash) == 0;
	bool good = entry && same && entry->key.revoked_ms == 0;
	if (good) {
		*ret = (struct hd_principal){.id = id, .role = entry->key.role};
		memcpy(ret->name, entry->key.name, sizeof ret->name);
		__atomic_store_n(&entry->key.last_used_ms, hd_clock_wall_ms(), __ATOMIC_RELAXED);
	}
	(void)pthread_rwlock_unlock(&auth->lock);
	return good ? HYDRO_OK : hd_error_set(err, HYDRO_E_UNAUTHORIZED, "this API key is not valid");
}
