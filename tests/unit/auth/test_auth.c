/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "../store/world.h"
#include "auth/auth.h"

static void sum(void *arg, const struct hd_auth_key *key)
{
	int64_t *sums = arg;
	sums[0]++;
	sums[1] += key->revoked_ms != 0;
	sums[2] += key->last_used_ms != 0;
}

static int check(struct hd_auth *auth, const char *format, const char *key, struct hd_principal *ret)
{
	char header[256];
	(void)snprintf(header, sizeof header, "%s%s", format, key);
	return hd_auth_check(auth, header, NULL, ret, NULL);
}

Test(auth, the_first_start_makes_one_admin_key_and_no_other_start_does)
{
	struct store_world w;
	struct hd_auth *auth;
	struct hd_principal who;
	char key[HD_AUTH_KEY_BYTES], again[HD_AUTH_KEY_BYTES], command[256];
	bool made;
	store_world_begin(&w);
	cr_assert_eq(hd_auth_open(w.store, &auth, &w.err), HYDRO_OK);
	cr_assert_eq(hd_auth_first_key(auth, key, &made, &w.err), HYDRO_OK);
	cr_assert(made);
	cr_assert_eq(hd_auth_first_key(auth, again, &made, &w.err), HYDRO_OK);
	cr_assert_not(made);
	cr_assert_eq(check(auth, "Bearer ", key, &who), HYDRO_OK);
	cr_assert(who.role == HD_AUTH_ADMIN && who.id == 1);
	hd_auth_close(&auth);
	hd_store_close(&w.store);
	(void)snprintf(command, sizeof command, "grep -qr -e '%s' '%s'", strrchr(key, '_') + 1, w.dir);
	cr_assert_neq(system(command), 0, "the key is readable on disk");
	store_world_open(&w);
	cr_assert_eq(hd_auth_open(w.store, &auth, &w.err), HYDRO_OK);
	cr_assert_eq(hd_auth_first_key(auth, again, &made, &w.err), HYDRO_OK);
	cr_assert_not(made);
	int64_t sums[3] = {0, 0, 0};
	hd_auth_keys_list(auth, sum, sums);
	cr_assert(sums[0] == 1 && sums[2] == 1, "when it was used is kept");
	cr_assert_eq(hd_auth_check(auth, NULL, key, &who, &w.err), HYDRO_OK);
	hd_auth_close(&auth);
	store_world_end(&w);
}

Test(auth, anything_but_the_whole_key_is_refused)
{
	struct store_world w;
	struct hd_auth *auth;
	struct hd_principal who;
	char key[HD_AUTH_KEY_BYTES], other[HD_AUTH_KEY_BYTES];
	bool made;
	store_world_begin(&w);
	cr_assert_eq(hd_auth_open(w.store, &auth, &w.err), HYDRO_OK);
	cr_assert_eq(hd_auth_first_key(auth, key, &made, &w.err), HYDRO_OK);
	cr_assert_eq(hd_auth_check(auth, NULL, NULL, &who, &w.err), HYDRO_E_UNAUTHORIZED);
	static const char *const bad[] = {"", "x", "hydro_", "hydro_1", "hydro_1_", "hydro_-1_x", "hydro_99999999999999999999_x", "hydro_2_x", "hydro__x"};
	for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++)
		cr_assert_eq(check(auth, "Bearer ", bad[i], &who), HYDRO_E_UNAUTHORIZED, "%s", bad[i]);
	cr_assert_eq(check(auth, "Basic ", key, &who), HYDRO_E_UNAUTHORIZED);
	for (size_t i = 0; key[i]; i++) {
		strcpy(other, key);
		other[i] = other[i] == 'A' ? 'B' : 'A';
		cr_assert_eq(check(auth, "Bearer ", other, &who), HYDRO_E_UNAUTHORIZED, "%zu", i);
	}
	strcpy(other, key);
	other[strlen(other) - 1] = '\0';
	cr_assert_eq(check(auth, "Bearer ", other, &who), HYDRO_E_UNAUTHORIZED);
	cr_assert_eq(check(auth, "bearer  ", key, &who), HYDRO_OK);
	hd_auth_close(&auth);
	store_world_end(&w);
}

Test(auth, a_revoked_key_is_refused_at_once_and_the_last_admin_stays)
{
	struct store_world w;
	struct hd_auth *auth;
	struct hd_auth_key key;
	struct hd_principal who;
	char first[HD_AUTH_KEY_BYTES], second[HD_AUTH_KEY_BYTES];
	bool made;
	store_world_begin(&w);
	cr_assert_eq(hd_auth_open(w.store, &auth, &w.err), HYDRO_OK);
	cr_assert_eq(hd_auth_first_key(auth, first, &made, &w.err), HYDRO_OK);
	cr_assert_eq(hd_auth_key_create(auth, "", HD_AUTH_ANALYST, second, &key, &w.err), HYDRO_E_INVALID);
	cr_assert_eq(hd_auth_key_create(auth, "x", HD_AUTH_ROLE_END, second, &key, &w.err), HYDRO_E_INVALID);
	cr_assert_eq(hd_auth_key_create(auth, "reader", HD_AUTH_ANALYST, second, &key, &w.err), HYDRO_OK);
	cr_assert_eq(check(auth, "Bearer ", second, &who), HYDRO_OK);
	cr_assert(who.role == HD_AUTH_ANALYST && strcmp(who.name, "reader") == 0);
	cr_assert_eq(hd_auth_key_revoke(auth, 1, &w.err), HYDRO_E_CONFLICT);
	cr_assert_eq(hd_auth_key_revoke(auth, key.id, &w.err), HYDRO_OK);
	cr_assert_eq(check(auth, "Bearer ", second, &who), HYDRO_E_UNAUTHORIZED);
	cr_assert_eq(hd_auth_key_revoke(auth, key.id, &w.err), HYDRO_E_NOTFOUND);
	cr_assert_eq(hd_auth_key_revoke(auth, 77, &w.err), HYDRO_E_NOTFOUND);
	hd_auth_close(&auth);
	store_world_end(&w);
}

Test(roles, names_and_numbers_agree)
{
	for (uint32_t i = 0; i < HD_AUTH_ROLE_END; i++)
		cr_assert_eq(hd_auth_role_by_name(hd_auth_role_name(i)), i);
	cr_assert_eq(hd_auth_role_by_name("root"), HD_AUTH_ROLE_END);
	cr_assert_null(hd_auth_role_name(HD_AUTH_ROLE_END));
}
