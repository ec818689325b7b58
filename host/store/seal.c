/* SPDX-License-Identifier: MIT */
#include "store/seal.h"

#include "base/bytes.h"
#include "base/fs.h"
#include "base/uuid.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_HEAD "hydro-key 1 "
#define FILE_BYTES (sizeof FILE_HEAD - 1 + 2 * HD_KEY_BYTES + 1)
#define TEXT_HEAD_BYTES 12u /* "s1:01234567:" */
#define BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

_Static_assert(HD_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key size");
_Static_assert(HD_SEAL_NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce size");
_Static_assert(HD_SEAL_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag size");

static void key_number(struct hd_key *key)
{
	uint8_t digest[16];
	HD_ASSERT(sodium_init() >= 0);
	(void)crypto_generichash(digest, sizeof digest, key->bytes, sizeof key->bytes, (const uint8_t *)"hydro key id", 12);
	key->id = hd_get_u32(digest) ? hd_get_u32(digest) : 1;
}

void hd_key_wipe(struct hd_key *key)
{
	sodium_memzero(key, sizeof *key);
}

void hd_key_derive(const struct hd_key *key, const char use[8], struct hd_key *ret)
{
	struct hd_key derived;
	(void)crypto_kdf_derive_from_key(derived.bytes, sizeof derived.bytes, 1, use, key->bytes);
	derived.id = key->id;
	*ret = derived;
	hd_key_wipe(&derived);
}

/* Makes the file under another name and links it, so that a half-written key is never seen and none is ever replaced. */
static int key_create(const char *path, struct hydro_error *err)
{
	struct hd_key key;
	char text[FILE_BYTES + 1];
	HD_CLEANUP(hd_cleanup_free) char *temporary = NULL;
	if (asprintf(&temporary, "%s.%d.new", path, (int)getpid()) < 0) {
		temporary = NULL;
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	}
	HD_CLEANUP(hd_cleanup_fd) int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot create %s", temporary);
	hd_random_bytes(key.bytes, sizeof key.bytes);
	memcpy(text, FILE_HEAD, sizeof FILE_HEAD - 1);
	(void)sodium_bin2hex(text + sizeof FILE_HEAD - 1, 2 * HD_KEY_BYTES + 1, key.bytes, sizeof key.bytes);
	text[FILE_BYTES - 1] = '\n';
	int rc = hd_fs_pwrite(fd, text, FILE_BYTES, 0, err);
	sodium_memzero(text, sizeof text);
	hd_key_wipe(&key);
	if (rc == HYDRO_OK && fsync(fd) != 0)
		rc = hd_error_errno(err, HYDRO_E_IO, errno, "cannot sync %s", temporary);
	if (rc == HYDRO_OK && link(temporary, path) != 0 && errno != EEXIST)
		rc = hd_error_errno(err, HYDRO_E_IO, errno, "cannot create key file %s", path);
	(void)unlink(temporary);
	if (rc != HYDRO_OK)
		return rc;
	HD_CLEANUP(hd_cleanup_free) char *copy = strdup(path);
	return copy ? hd_fs_sync_dir(dirname(copy), err) : hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
}

static int key_read(int fd, const char *path, struct hd_key *ret, struct hydro_error *err)
{
	struct stat st;
	char text[FILE_BYTES + 1];
	size_t len = 0, key_len = 0;
	if (fstat(fd, &st) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot stat key file %s", path);
	if (!S_ISREG(st.st_mode))
		return hd_error_set(err, HYDRO_E_KEY, "key file %s is no regular file", path);
	if (st.st_mode & 077)
		return hd_error_set(err, HYDRO_E_KEY, "key file %s may be read by others (mode %04o): chmod 600 it", path,
		                    (unsigned)st.st_mode & 07777);
	int rc = hd_fs_pread(fd, text, sizeof text, 0, &len, err);
	if (rc != HYDRO_OK)
		return rc;
	struct hd_key key;
	bool good = len == FILE_BYTES && memcmp(text, FILE_HEAD, sizeof FILE_HEAD - 1) == 0 && text[FILE_BYTES - 1] == '\n' &&
	            sodium_hex2bin(key.bytes, sizeof key.bytes, text + sizeof FILE_HEAD - 1, 2 * HD_KEY_BYTES, NULL, &key_len,
	                           NULL) == 0 &&
	            key_len == HD_KEY_BYTES;
	sodium_memzero(text, sizeof text);
	if (!good)
		return hd_error_set(err, HYDRO_E_KEY, "%s is not a key file", path);
	key_number(&key);
	*ret = key;
	hd_key_wipe(&key);
	return HYDRO_OK;
}

int hd_key_open(const char *path, bool create, struct hd_key *ret, struct hydro_error *err)
{
	if (sodium_init() < 0)
		return hd_error_set(err, HYDRO_E_FATAL, "libsodium does not start");
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && create) {
		int rc = key_create(path, err);
		if (rc != HYDRO_OK)
			return rc;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (fd < 0)
		return hd_error_errno(err, errno == ENOENT ? HYDRO_E_NOTFOUND : HYDRO_E_IO, errno, "cannot open key file %s", path);
	return key_read(fd, path, ret, err);
}

void hd_seal(const struct hd_key *key, const uint8_t nonce[HD_SEAL_NONCE_BYTES], const void *ad, size_t ad_len,
             const void *data, size_t len, uint8_t *ret)
{
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(ret, NULL, data, len, ad, ad_len, NULL, nonce, key->bytes);
}

bool hd_unseal(const struct hd_key *key, const uint8_t nonce[HD_SEAL_NONCE_BYTES], const void *ad, size_t ad_len,
               const uint8_t *sealed, size_t sealed_len, void *ret)
{
	return sealed_len >= HD_SEAL_TAG_BYTES && crypto_aead_xchacha20poly1305_ietf_decrypt(ret, NULL, NULL, sealed, sealed_len,
	                                                                                     ad, ad_len, nonce, key->bytes) == 0;
}

int hd_seal_text(const struct hd_key *key, const char *context, const char *text, size_t len, struct hd_buf *ret,
                 struct hydro_error *err)
{
	if (len > HD_SEAL_TEXT_BYTES_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "a text of %zu bytes is too long to be sealed in a column (%u)", len,
		                    HD_SEAL_TEXT_BYTES_MAX);
	size_t raw_len = HD_SEAL_NONCE_BYTES + len + HD_SEAL_TAG_BYTES;
	size_t base64_len = sodium_base64_encoded_len(raw_len, BASE64);
	HD_CLEANUP(hd_cleanup_free) uint8_t *raw = malloc(raw_len);
	if (!raw || !hd_buf_reserve(ret, TEXT_HEAD_BYTES + 1 + base64_len))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to seal a text");
	hd_random_bytes(raw, HD_SEAL_NONCE_BYTES);
	hd_seal(key, raw, context, strlen(context), text, len, raw + HD_SEAL_NONCE_BYTES);
	(void)snprintf(ret->data + ret->len, TEXT_HEAD_BYTES + 1, "s1:%08x:", (unsigned)key->id);
	(void)sodium_bin2base64(ret->data + ret->len + TEXT_HEAD_BYTES, base64_len, raw, raw_len, BASE64);
	ret->len += TEXT_HEAD_BYTES + base64_len - 1; /* base64_len counts a NUL */
	return HYDRO_OK;
}

/* The key id of a sealed text's head, or 0 when it is none. */
static uint32_t text_key_id(const char *sealed, size_t len)
{
	uint8_t id[4];
	size_t id_len = 0;
	if (len < TEXT_HEAD_BYTES || memcmp(sealed, "s1:", 3) != 0 || sealed[TEXT_HEAD_BYTES - 1] != ':' ||
	    sodium_hex2bin(id, sizeof id, sealed + 3, 8, NULL, &id_len, NULL) != 0 || id_len != sizeof id)
		return 0;
	return (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
}

int hd_unseal_text(const struct hd_key *key, const char *context, const char *sealed, size_t len, struct hd_buf *ret,
                   struct hydro_error *err)
{
	uint32_t id = text_key_id(sealed, len);
	ret->secret = true;
	if (!id || len > TEXT_HEAD_BYTES + sodium_base64_encoded_len(HD_SEAL_TEXT_BYTES_MAX + 64, BASE64))
		return hd_error_set(err, HYDRO_E_CORRUPT, "not a sealed text (%s)", context);
	if (id != key->id)
		return hd_error_set(err, HYDRO_E_KEY, "%s was sealed with key %08x, the key here is %08x", context, (unsigned)id,
		                    (unsigned)key->id);
	HD_CLEANUP(hd_cleanup_free) uint8_t *raw = malloc(len);
	size_t raw_len = 0;
	if (!raw || !hd_buf_reserve(ret, len))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory to open a sealed text");
	if (sodium_base642bin(raw, len, sealed + TEXT_HEAD_BYTES, len - TEXT_HEAD_BYTES, NULL, &raw_len, NULL, BASE64) != 0 ||
	    raw_len < HD_SEAL_NONCE_BYTES + HD_SEAL_TAG_BYTES ||
	    !hd_unseal(key, raw, context, strlen(context), raw + HD_SEAL_NONCE_BYTES, raw_len - HD_SEAL_NONCE_BYTES,
	               ret->data + ret->len))
		return hd_error_set(err, HYDRO_E_CORRUPT, "the sealed text of %s does not open: altered, or of another row", context);
	ret->len += raw_len - HD_SEAL_NONCE_BYTES - HD_SEAL_TAG_BYTES;
	return HYDRO_OK;
}
