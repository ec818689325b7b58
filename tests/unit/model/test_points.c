/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "model/flags.h"
#include "model/points.h"

static unsigned changes;

static void on_change(void *arg, const struct hd_point *old, const struct hd_point *now)
{
	(void)arg;
	cr_assert(!old || old->index == now->index);
	changes++;
}

Test(points, an_index_stays_while_the_configuration_is_replaced)
{
	struct hd_points *points;
	struct hydro_error err = {0};
	cr_assert_eq(hd_points_new(&points), HYDRO_OK);
	hd_points_watch(points, on_change, NULL);
	struct hd_uuid first = hd_uuid_new();
	uint32_t index, again;
	struct hd_point_spec spec = {.index = HD_POINT_NONE, .id = first, .version = 1, .name = "a", .options = "{\"k\":1}"};
	cr_assert_eq(hd_points_put(points, &spec, &index, &err), HYDRO_OK);
	const struct hd_point *before = hd_points_get(points, index);
	for (int i = 0; i < 5000; i++) {
		struct hd_point_spec other = {.index = HD_POINT_NONE, .id = hd_uuid_new()};
		cr_assert_eq(hd_points_put(points, &other, &again, &err), HYDRO_OK);
	}
	spec.name = "b";
	spec.version = 2;
	cr_assert_eq(hd_points_put(points, &spec, &again, &err), HYDRO_OK);
	cr_assert_eq(again, index);
	cr_assert_eq(hd_points_find(points, &first), index);
	const struct hd_point *after = hd_points_get(points, index);
	cr_assert_str_eq(hd_point_name(before), "a");
	cr_assert_str_eq(hd_point_name(after), "b");
	cr_assert_str_eq(hd_point_options(after), "{\"k\":1}");
	cr_assert_eq(changes, 5002);
	hd_point_unref(before);
	hd_point_unref(after);
	cr_assert_eq(hd_points_count(points), 5001);
	struct hd_uuid unknown = hd_uuid_new();
	cr_assert_eq(hd_points_find(points, &unknown), HD_POINT_NONE);
	struct hd_point_spec wrong = {.index = 7, .id = unknown};
	cr_assert_eq(hd_points_put(points, &wrong, &again, &err), HYDRO_E_CONFLICT);
	hd_points_unwatch(points, on_change, &changes); /* another's */
	spec.version = 3;
	cr_assert_eq(hd_points_put(points, &spec, &again, &err), HYDRO_OK);
	cr_assert_eq(changes, 5003);
	hd_points_unwatch(points, on_change, NULL);
	spec.version = 4;
	cr_assert_eq(hd_points_put(points, &spec, &again, &err), HYDRO_OK);
	cr_assert_eq(changes, 5003);
	hd_points_free(&points);
}

Test(flags, numbers_and_names_agree)
{
	for (uint32_t i = 1; i < HD_FLAG_END; i++)
		cr_assert_eq(hd_flag_by_name(hd_flag_info(i)->name), i);
	cr_assert_null(hd_flag_info(0));
	cr_assert_null(hd_flag_info(HD_FLAG_END));
}
