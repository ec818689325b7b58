/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/fs.h"
#include "base/uuid.h"
#include "store/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct hd_key fresh_key(void)
{
	char dir[] = "/tmp/hydro-seal-XXXXXX";
	cr_assert_not_null(mkdtemp(dir));
	char *path = hd_fs_join(dir, "key");
	struct hd_key key;
	cr_assert_eq(hd_key_open(path, true, &key, NULL), HYDRO_OK);
	(void)unlink(path);
	(void)rmdir(dir);
	free(path);
	return key;
}

Test(seal, a_key_file_is_made_once_with_mode_0600_and_read_back)
{
	char dir[] = "/tmp/hydro-seal-XXXXXX";
	cr_assert_not_null(mkdtemp(dir));
	char *path = hd_fs_join(dir, "key");
	struct hydro_error err = {0};
	struct hd_key a, b;
	cr_assert_eq(hd_key_open(path, false, &a, &err), HYDRO_E_NOTFOUND);
	cr_assert_eq(hd_key_open(path, true, &a, &err), HYDRO_OK, "%s", err.text);
	struct stat st;
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(hd_key_open(path, true, &b, &err), HYDRO_OK);
	cr_assert_arr_eq(a.bytes, b.bytes, sizeof a.bytes);
	cr_assert_eq(a.id, b.id);
	cr_assert_neq(a.id, 0);
	cr_assert_eq(chmod(path, 0640), 0);
	cr_assert_eq(hd_key_open(path, true, &b, &err), HYDRO_E_KEY);
	cr_assert_not_null(strstr(err.text, "0640"));
	cr_assert_eq(hd_fs_write_atomic(path, "hydro-key 1 zz\n", 15, 0600, &err), HYDRO_OK);
	cr_assert_eq(hd_key_open(path, true, &b, &err), HYDRO_E_KEY);
	(void)unlink(path);
	cr_assert_eq(rmdir(dir), 0, "nothing else is left behind");
	free(path);
}

Test(seal, sealed_bytes_open_only_with_the_same_key_nonce_context_and_bytes)
{
	struct hd_key key = fresh_key(), other = fresh_key(), derived;
	uint8_t nonce[HD_SEAL_NONCE_BYTES] = {1}, sealed[5 + HD_SEAL_TAG_BYTES], open[5];
	hd_seal(&key, nonce, "ad", 2, "hello", 5, sealed);
	cr_assert(hd_unseal(&key, nonce, "ad", 2, sealed, sizeof sealed, open));
	cr_assert_arr_eq(open, "hello", 5);
	cr_assert_not(hd_unseal(&other, nonce, "ad", 2, sealed, sizeof sealed, open));
	cr_assert_not(hd_unseal(&key, nonce, "aD", 2, sealed, sizeof sealed, open));
	hd_key_derive(&key, "journal_", &derived);
	cr_assert_eq(derived.id, key.id);
	cr_assert_not(hd_unseal(&derived, nonce, "ad", 2, sealed, sizeof sealed, open));
	for (size_t i = 0; i < sizeof sealed; i++) {
		sealed[i] ^= 1;
		cr_assert_not(hd_unseal(&key, nonce, "ad", 2, sealed, sizeof sealed, open), "byte %zu", i);
		sealed[i] ^= 1;
	}
	for (size_t n = 0; n < sizeof sealed; n++)
		cr_assert_not(hd_unseal(&key, nonce, "ad", 2, sealed, n, open));
	nonce[0] = 2;
	cr_assert_not(hd_unseal(&key, nonce, "ad", 2, sealed, sizeof sealed, open));
}

Test(seal, a_sealed_text_opens_in_its_own_row_and_nowhere_else)
{
	struct hd_key key = fresh_key(), other = fresh_key();
	struct hydro_error err = {0};
	struct hd_buf a = {0}, b = {0}, open = {0};
	cr_assert_eq(hd_seal_text(&key, "accounts/1", "s3cret", 6, &a, &err), HYDRO_OK);
	cr_assert_eq(hd_seal_text(&key, "accounts/1", "s3cret", 6, &b, &err), HYDRO_OK);
	cr_assert_null(strstr(hd_buf_text(&a), "s3cret"));
	cr_assert_str_neq(hd_buf_text(&a), hd_buf_text(&b), "nonces are random");
	cr_assert_eq(hd_unseal_text(&key, "accounts/1", a.data, a.len, &open, &err), HYDRO_OK, "%s", err.text);
	cr_assert_str_eq(hd_buf_text(&open), "s3cret");
	cr_assert_eq(hd_unseal_text(&key, "accounts/2", a.data, a.len, &open, &err), HYDRO_E_CORRUPT);
	cr_assert_eq(hd_unseal_text(&other, "accounts/1", a.data, a.len, &open, &err), HYDRO_E_KEY);
	for (size_t n = 0; n < a.len; n++)
		cr_assert_neq(hd_unseal_text(&key, "accounts/1", a.data, n, &open, &err), HYDRO_OK, "cut at %zu", n);
	hd_buf_clear(&b);
	cr_assert_eq(hd_seal_text(&key, "x", "", 0, &b, &err), HYDRO_OK);
	hd_buf_clear(&open);
	cr_assert_eq(hd_unseal_text(&key, "x", b.data, b.len, &open, &err), HYDRO_OK);
	cr_assert_eq(open.len, 0);
	char *big = calloc(1, HD_SEAL_TEXT_BYTES_MAX + 1);
	cr_assert_not_null(big);
	cr_assert_eq(hd_seal_text(&key, "x", big, HD_SEAL_TEXT_BYTES_MAX + 1, &b, &err), HYDRO_E_LIMIT);
	free(big);
	hd_buf_done(&a);
	hd_buf_done(&b);
	hd_buf_done(&open);
}
