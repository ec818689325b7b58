/* SPDX-License-Identifier: MIT */
#include "api/dga.h"

#include "base/timefmt.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int hd_dga_with_work(struct hd_api *api, const char *text, hd_work_fn fn, void *arg, struct hydro_error *err)
{
	struct hd_uuid id;
	bool is_id = hd_uuid_parse(text, &id), is_number = strspn(text, "0123456789") == strlen(text) && *text && strlen(text) < 10;
	uint32_t number = is_number ? (uint32_t)strtoul(text, NULL, 10) : 0;
	int rc = hd_ledger_work_get(api->deps.ledger, number, is_id ? &id : NULL, is_id || is_number ? NULL : text, fn, arg, err);
	return rc == HYDRO_E_NOTFOUND ? hd_error_set(err, rc, "there is no work \"%.64s\"", text) : rc;
}

struct find {
	struct hd_api *api;
	struct hd_dga_work *ret;
};

static int take_work(void *arg, const struct hd_work *work, struct hydro_error *err)
{
	struct find *find = arg;
	struct hd_dga_work *ret = find->ret;
	struct hydro_error why = {.struct_size = sizeof why};
	if (work->deleted)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "the work is deleted");
	*ret = (struct hd_dga_work){.number = work->number, .version = work->version, .id = work->id, .starts_ms = work->starts_ms};
	(void)snprintf(ret->code, sizeof ret->code, "%s", work->code);
	(void)snprintf(ret->kind, sizeof ret->kind, "%s", work->kind);
	(void)snprintf(ret->family, sizeof ret->family, "%s", work->family);
	if (hd_filing_calendar(find->api->deps.adapters, work, &ret->calendar, &why) != HYDRO_OK)
		ret->calendar.every = 0;
	return HYDRO_OK;
}

int hd_dga_find_work(struct hd_api *api, const char *text, struct hd_dga_work *ret, struct hydro_error *err)
{
	struct find find = {api, ret};
	return hd_dga_with_work(api, text, take_work, &find, err);
}

int hd_dga_offset(struct hd_api *api, int32_t *ret, struct hydro_error *err)
{
	const struct hd_adapter *adapter = api->deps.adapters ? hd_adapters_at(api->deps.adapters, 0) : NULL;
	if (!adapter)
		return hd_error_set(err, HYDRO_E_CONFIG, "no adapter of filing is loaded: see the setting filing of hydro.lua");
	*ret = hd_adapter_info(adapter)->utc_offset_s;
	return HYDRO_OK;
}

static const struct hd_http_value *value_of(const struct hd_http_request *req, const char *name)
{
	static const struct hd_http_value none;
	for (uint32_t i = 0; i < HD_ROUTE_PARAMS_MAX && req->route->params[i].name; i++)
		if (strcmp(req->route->params[i].name, name) == 0)
			return &req->values[i];
	return &none;
}

static int named_window(const struct hd_http_value *day, const struct hd_http_value *month, int32_t offset, int64_t *ret_from, int64_t *ret_to,
			struct hydro_error *err)
{
	char date[40];
	if (month->is_set)
		return hd_month_parse(month->text, offset, ret_from, ret_to) ? HYDRO_OK
									     : hd_error_set(err, HYDRO_E_INVALID, "parameter month: a month as 2026-01 is wanted");
	(void)snprintf(date, sizeof date, "%.10sT00:00:00Z", day->text);
	if (strlen(day->text) != 10 || !hd_time_parse(date, strlen(date), false, ret_from))
		return hd_error_set(err, HYDRO_E_INVALID, "parameter day: a date as 2026-01-31 is wanted");
	*ret_from -= (int64_t)offset * 1000;
	*ret_to = *ret_from + INT64_C(86400000);
	return HYDRO_OK;
}

int hd_dga_window(struct hd_api *api, const struct hd_http_request *req, int preset_days, int64_t *ret_from, int64_t *ret_to, struct hydro_error *err)
{
	const struct hd_http_value *day = value_of(req, "day"), *month = value_of(req, "month"), *from = value_of(req, "from"), *to = value_of(req, "to");
	int32_t offset;
	int rc = hd_dga_offset(api, &offset, err);
	if (rc != HYDRO_OK)
		return rc;
	if (day->is_set + month->is_set + (from->is_set || to->is_set) > 1)
		return hd_error_set(err, HYDRO_E_INVALID, "give day, month, or from and to");
	if (day->is_set || month->is_set)
		return named_window(day, month, offset, ret_from, ret_to, err);
	*ret_from = *ret_to = 0;
	if (!from->is_set && !to->is_set && preset_days == 0)
		return HYDRO_OK;
	int64_t now = hd_clock_wall_ms(), span = (preset_days ? preset_days : 30) * INT64_C(86400000);
	*ret_to = to->is_set ? to->integer : from->is_set ? HD_MAX(now + 1, from->integer + 1) : now + 1;
	*ret_from = from->is_set ? from->integer : *ret_to - span;
	return *ret_from < *ret_to ? HYDRO_OK : hd_error_set(err, HYDRO_E_INVALID, "parameter from: is not before to");
}

int hd_dga_reason(const struct hd_http_request *req, struct hd_http_response *resp, cJSON **ret_body, const char **ret_reason, struct hydro_error *err)
{
	int rc = hd_body_parse(req, &hd_schema_dga_reason, false, resp, ret_body, err);
	if (rc == HYDRO_OK)
		*ret_reason = hd_body_text(*ret_body, "reason");
	return rc;
}

const char *hd_dga_by(const struct hd_http_request *req)
{
	return req->principal.name;
}

void hd_dga_changed(struct hd_api *api)
{
	if (api->deps.filing)
		hd_filing_wake(api->deps.filing);
}

void hd_dga_problem(void *arg, const char *field, const char *why)
{
	hd_http_problem_add(arg, field, why);
}

struct named_point {
	const char *name;
	struct hd_uuid id;
	uint32_t count;
};

static int take_named(void *arg, const struct hd_store_point *point, struct hydro_error *err)
{
	struct named_point *named = arg;
	(void)err;
	if (strcmp(point->name, named->name) == 0 && named->count++ == 0)
		named->id = point->id;
	return HYDRO_OK;
}

int hd_dga_point(void *arg, const char *text, struct hd_uuid *ret, struct hydro_error *err)
{
	struct hd_api *api = arg;
	struct named_point named = {.name = text};
	struct hd_store_point_filter filter = {.name_prefix = text, .active = -1, .after = -1, .limit = HD_STORE_PAGE_MAX};
	struct hd_store_page page;
	if (hd_uuid_parse(text, ret)) {
		uint32_t index = hd_points_find(api->deps.points, ret);
		HD_CLEANUP(hd_cleanup_point) const struct hd_point *point = index == HD_POINT_NONE ? NULL : hd_points_get(api->deps.points, index);
		return point && !(point->bits & HD_POINT_DELETED) ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOTFOUND, "there is no such point");
	}
	int rc = hd_store_point_list(api->deps.store, &filter, take_named, &named, &page, err);
	if (rc != HYDRO_OK)
		return rc;
	*ret = named.id;
	if (named.count == 1)
		return HYDRO_OK;
	return named.count ? hd_error_set(err, HYDRO_E_CONFLICT, "%u points are named \"%.100s\": give the id", named.count, text)
			   : hd_error_set(err, HYDRO_E_NOTFOUND, "there is no point \"%.100s\"", text);
}

static bool gather(struct hd_dga_points *points)
{
	struct hd_points *all = points->api->deps.points;
	uint32_t count = hd_points_count(all);
	bool good = true;
	for (uint32_t i = 0; i < count && good; i++) {
		HD_CLEANUP(hd_cleanup_point) const struct hd_point *point = hd_points_get(all, i);
		uint64_t there;
		if (!point || (point->bits & HD_POINT_DELETED))
			continue;
		const char *name = hd_point_name(point);
		good = hd_map_put(&points->names, name, strlen(name), hd_map_get(&points->names, name, strlen(name), &there) ? UINT64_MAX : i);
	}
	points->gathered = good;
	return good;
}

int hd_dga_points_find(void *arg, const char *text, struct hd_uuid *ret, struct hydro_error *err)
{
	struct hd_dga_points *points = arg;
	uint64_t index;
	if (hd_uuid_parse(text, ret))
		return hd_dga_point(points->api, text, ret, err);
	if (!points->gathered && !gather(points))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the names of points");
	if (!hd_map_get(&points->names, text, strlen(text), &index))
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no point \"%.100s\"", text);
	if (index == UINT64_MAX)
		return hd_error_set(err, HYDRO_E_CONFLICT, "several points are named \"%.100s\": give the id", text);
	*ret = hd_points_id(points->api->deps.points, (uint32_t)index);
	return HYDRO_OK;
}

static int take_code(void *arg, const struct hd_work *work, struct hydro_error *err)
{
	struct hd_dga_codes *codes = arg;
	(void)err;
	(void)snprintf(codes->code, sizeof codes->code, "%s", work->code);
	return HYDRO_OK;
}

const char *hd_dga_code(struct hd_dga_codes *codes, uint32_t number)
{
	struct hydro_error why = {.struct_size = sizeof why};
	if (number == 0)
		return "";
	if (codes->number != number) {
		codes->number = number;
		codes->code[0] = '\0';
		(void)hd_ledger_work_get(codes->api->deps.ledger, number, NULL, NULL, take_code, codes, &why);
	}
	return codes->code;
}
