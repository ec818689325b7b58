/* SPDX-License-Identifier: MIT */
#include "world.h"

struct seen {
	char text[512];
	uint64_t version;
	uint32_t number;
};

static int see(void *arg, const struct hd_store_point *point, struct hydro_error *err)
{
	struct seen *seen = arg;
	(void)err;
	(void)snprintf(seen->text, sizeof seen->text, "%s|%s|%s|%s", point->name, point->shown, point->options ? point->options : "-", point->params);
	seen->version = point->version;
	seen->number = point->number;
	return HYDRO_OK;
}

static int refuse(void *arg, struct hd_db *db, const struct hd_store_point *point, struct hydro_error *err)
{
	(void)arg, (void)db, (void)point;
	return hd_error_set(err, HYDRO_E_DENIED, "no");
}

Test(points, keep_their_number_while_secrets_stay_sealed_and_versions_count)
{
	struct store_world w;
	struct hd_points *points;
	struct seen seen;
	store_world_begin(&w);
	cr_assert_eq(hd_points_new(&points), HYDRO_OK);
	cr_assert_eq(hd_store_points_load(w.store, points, &w.err), HYDRO_OK);
	struct hd_store_point point = store_world_point("pozo 1");
	point.options = "{\"secret\":\"hush-hush\"}";
	point.shown = "{\"secret\":\"***\"}";
	point.has_secret = true;
	cr_assert_eq(hd_store_point_create(w.store, &point, NULL, NULL, &w.err), HYDRO_OK, "%s", w.err.text);
	struct hd_store_point other = store_world_point("pozo 2");
	cr_assert_eq(hd_store_point_create(w.store, &other, refuse, NULL, &w.err), HYDRO_E_DENIED);
	other.id = (struct hd_uuid){{0}};
	cr_assert_eq(hd_store_point_create(w.store, &other, NULL, NULL, &w.err), HYDRO_OK);
	cr_assert(point.number == 0 && other.number == 1 && point.version == 1);
	const struct hd_point *live = hd_points_get(points, 0);
	cr_assert_str_eq(hd_point_options(live), "{\"secret\":\"hush-hush\"}");
	hd_point_unref(live);
	cr_assert_eq(hd_store_point_get(w.store, &point.id, false, see, &seen, &w.err), HYDRO_OK);
	cr_assert_str_eq(seen.text, "pozo 1|{\"secret\":\"***\"}|-|{}");
	cr_assert_eq(hd_store_point_get(w.store, &point.id, true, see, &seen, &w.err), HYDRO_OK);
	cr_assert_str_eq(seen.text, "pozo 1|{\"secret\":\"***\"}|{\"secret\":\"hush-hush\"}|{}");
	point.params = "{\"offset\":3}";
	cr_assert_eq(hd_store_point_replace(w.store, &point, NULL, NULL, &w.err), HYDRO_OK);
	cr_assert_eq(point.version, 2);
	point.version = 1;
	cr_assert_eq(hd_store_point_replace(w.store, &point, NULL, NULL, &w.err), HYDRO_E_STALE);
	cr_assert_not_null(strstr(w.err.text, "version 2"));
	live = hd_points_get(points, 0);
	cr_assert(live->version == 2 && strcmp(hd_point_params(live), "{\"offset\":3}") == 0);
	hd_point_unref(live);
	point.version = 2;
	point.bits |= HD_POINT_DELETED;
	cr_assert_eq(hd_store_point_replace(w.store, &point, NULL, NULL, &w.err), HYDRO_OK);
	cr_assert_eq(hd_store_point_get(w.store, &point.id, false, see, &seen, &w.err), HYDRO_E_NOTFOUND);
	cr_assert_eq(hd_store_point_replace(w.store, &point, NULL, NULL, &w.err), HYDRO_E_NOTFOUND);
	/* A new one does not get the number of a deleted one, nor does a restart change any. */
	struct hd_store_point third = store_world_point("pozo 3");
	cr_assert_eq(hd_store_point_create(w.store, &third, NULL, NULL, &w.err), HYDRO_OK);
	cr_assert_eq(third.number, 2);
	hd_store_close(&w.store);
	hd_points_free(&points);
	store_world_open(&w);
	cr_assert_eq(hd_points_new(&points), HYDRO_OK);
	cr_assert_eq(hd_store_points_load(w.store, points, &w.err), HYDRO_OK);
	cr_assert_eq(hd_points_count(points), 3);
	cr_assert_eq(hd_points_find(points, &third.id), 2);
	live = hd_points_get(points, 0);
	cr_assert(live->bits & HD_POINT_DELETED);
	cr_assert_str_eq(hd_point_options(live), "{\"secret\":\"hush-hush\"}");
	hd_point_unref(live);
	char command[160];
	(void)snprintf(command, sizeof command, "grep -qr -e hush-hush '%s'", w.dir);
	cr_assert_neq(system(command), 0, "a secret is readable on disk");
	hd_store_close(&w.store);
	hd_points_free(&points);
	store_world_end(&w);
}

static int count_row(void *arg, const struct hd_store_point *point, struct hydro_error *err)
{
	(void)err;
	uint32_t *counts = arg;
	counts[0]++;
	counts[1] = point->number;
	return HYDRO_OK;
}

Test(points, lists_come_in_pages_with_filters_and_totals)
{
	struct store_world w;
	char name[32];
	store_world_begin(&w);
	for (int i = 0; i < 25; i++) {
		struct hd_store_point point = store_world_point(name);
		(void)snprintf(name, sizeof name, "%s %d", i % 2 ? "pozo" : "canal", i);
		point.provider = i < 10 ? "twin" : "novus";
		point.bits = i % 5 ? HD_POINT_ACTIVE : 0;
		cr_assert_eq(hd_store_point_create(w.store, &point, NULL, NULL, &w.err), HYDRO_OK);
	}
	struct hd_store_page page;
	struct hd_store_point_filter filter = {.active = -1, .after = -1, .limit = 10, .want_total = true};
	unsigned pages = 0, rows = 0;
	do {
		uint32_t counts[2] = {0, 0};
		cr_assert_eq(hd_store_point_list(w.store, &filter, count_row, counts, &page, &w.err), HYDRO_OK);
		cr_assert_eq(page.total, 25);
		filter.after = page.next;
		rows += counts[0];
		pages++;
	} while (page.next >= 0);
	cr_assert(pages == 3 && rows == 25);
	static const struct {
		struct hd_store_point_filter filter;
		uint64_t total;
	} cases[] = {
		{{.provider = "twin", .active = -1}, 10},
		{{.pipeline = "well", .active = -1}, 25},
		{{.pipeline = "none", .active = -1}, 0},
		{{.active = 0}, 5},
		{{.active = 1, .provider = "novus"}, 12},
		{{.name_prefix = "pozo", .active = -1}, 12},
		{{.name_prefix = "p\xc3\xb6", .active = -1}, 0},
		{{.name_prefix = "canal 2", .active = -1}, 4},
	};
	for (size_t i = 0; i < HD_ARRAY_LEN(cases); i++) {
		uint32_t counts[2] = {0, 0};
		struct hd_store_point_filter one = cases[i].filter;
		one.after = -1;
		one.limit = 25;
		one.want_total = true;
		cr_assert_eq(hd_store_point_list(w.store, &one, count_row, counts, &page, &w.err), HYDRO_OK);
		cr_assert(page.total == cases[i].total && counts[0] == cases[i].total && page.next == -1, "case %zu: %u", i, counts[0]);
	}
	store_world_end(&w);
}

static int see_account(void *arg, const struct hd_store_account *account, struct hydro_error *err)
{
	(void)err;
	(void)snprintf(arg, 256, "%s|%s|%s|%u", account->name, account->shown, account->options ? account->options : "-", (unsigned)account->points);
	return HYDRO_OK;
}

Test(accounts, belong_to_a_provider_and_stay_while_points_use_them)
{
	struct store_world w;
	char text[256];
	store_world_begin(&w);
	struct hd_store_account account = {.provider = "twin", .name = "main", .options = "{\"secret\":\"pw\"}", .shown = "{\"secret\":\"***\"}", .has_secret = true};
	cr_assert_eq(hd_store_account_create(w.store, &account, NULL, NULL, &w.err), HYDRO_OK, "%s", w.err.text);
	struct hd_store_account twice = {.provider = "twin", .name = "main", .options = "{}", .shown = "{}"};
	cr_assert_eq(hd_store_account_create(w.store, &twice, NULL, NULL, &w.err), HYDRO_E_EXISTS);
	struct hd_store_point point = store_world_point("p");
	point.account = account.number;
	point.provider = "novus";
	cr_assert_eq(hd_store_point_create(w.store, &point, NULL, NULL, &w.err), HYDRO_E_INVALID);
	point.provider = "twin";
	point.account = 99;
	cr_assert_eq(hd_store_point_create(w.store, &point, NULL, NULL, &w.err), HYDRO_E_INVALID);
	point.account = account.number;
	cr_assert_eq(hd_store_point_create(w.store, &point, NULL, NULL, &w.err), HYDRO_OK);
	cr_assert(hd_uuid_equal(&point.account_id, &account.id));
	cr_assert_eq(hd_store_account_get(w.store, NULL, account.number, true, see_account, text, &w.err), HYDRO_OK);
	cr_assert_str_eq(text, "main|{\"secret\":\"***\"}|{\"secret\":\"pw\"}|0"); /* who asks by number has no use for the count */
	cr_assert_eq(hd_store_account_get(w.store, &account.id, 0, false, see_account, text, &w.err), HYDRO_OK);
	cr_assert_str_eq(text, "main|{\"secret\":\"***\"}|-|1");
	cr_assert_eq(hd_store_account_delete(w.store, &account.id, 0, &w.err), HYDRO_E_CONFLICT);
	account.provider = "novus";
	cr_assert_eq(hd_store_account_replace(w.store, &account, NULL, NULL, &w.err), HYDRO_E_CONFLICT);
	account.provider = "twin";
	account.name = "other";
	cr_assert_eq(hd_store_account_replace(w.store, &account, NULL, NULL, &w.err), HYDRO_OK);
	cr_assert_eq(account.version, 2);
	point.bits |= HD_POINT_DELETED;
	cr_assert_eq(hd_store_point_replace(w.store, &point, NULL, NULL, &w.err), HYDRO_OK);
	cr_assert_eq(hd_store_account_delete(w.store, &account.id, 1, &w.err), HYDRO_E_STALE);
	cr_assert_eq(hd_store_account_delete(w.store, &account.id, 2, &w.err), HYDRO_OK);
	cr_assert_eq(hd_store_account_delete(w.store, &account.id, 0, &w.err), HYDRO_E_NOTFOUND);
	store_world_end(&w);
}
