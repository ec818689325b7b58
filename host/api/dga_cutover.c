/* SPDX-License-Identifier: MIT */
/* /api/v1/dga/cutover: taking over works that another system files. */
#include "api/dga.h"
#include "base/tz.h"
#include "filing/cutover.h"
#include "filing/works_import.h"

#include <hydro/abi.h>
#include <stdio.h>
#include <string.h>

HD_HANDLER(dga_cutover_plan)
{
	struct hd_api *api = HD_API(arg);
	const struct hd_http_value *at = hd_http_param(req, "at");
	const char *zone = hd_http_param(req, "zone")->text;
	struct hd_tz *tz = NULL;
	struct hd_dga_work work;
	struct hd_cutover plan;
	HD_NEED(api, ledger);
	int rc = hd_dga_find_work(api, hd_http_param(req, "work")->text, &work, err);
	if (rc == HYDRO_OK && work.calendar.every == 0)
		rc = hd_error_set(err, HYDRO_E_CONFIG, "the standard of %s is not known to an adapter", work.code);
	if (rc == HYDRO_OK && (rc = hd_tz_load(zone, &tz, err)) != HYDRO_OK)
		rc = hd_error_set(err, HYDRO_E_INVALID, "parameter zone: there is no time zone \"%.60s\"", zone);
	if (rc != HYDRO_OK)
		return rc;
	hd_cutover_plan(&work.calendar, tz, at->is_set ? at->integer : work.starts_ms > hd_clock_wall_ms() ? work.starts_ms : hd_clock_wall_ms(), &plan);
	hd_cutover_print(&resp->body, work.code, zone, &plan);
	hd_tz_free(&tz);
	return HYDRO_OK;
}

HD_HANDLER(dga_cutover_import)
{
	struct hd_api *api = HD_API(arg);
	struct hd_import_report report = {.lines = 0};
	bool dry = hd_http_param(req, "dry")->integer;
	struct hd_foreign_import import = {.ledger = api->deps.ledger, .source = hd_http_param(req, "source")->text, .skip_bad = hd_http_param(req, "skip_bad")->integer,
					   .dry = dry};
	HD_NEED(api, ledger);
	int rc = hd_dga_offset(api, &import.utc_offset_s, err);
	if (rc == HYDRO_OK)
		rc = hd_foreign_import(&import, req->body, req->body_len, &report, err);
	if (rc == HYDRO_OK) {
		resp->status = report.failed == 0 || report.applied ? 200 : 422;
		hd_import_report_print(&resp->body, &report, dry);
	}
	hd_import_report_done(&report);
	return rc;
}

/* ---- what they filed beside what we would have ------------------------------------------------------------------------------ */

struct rows {
	struct hd_buf items;
	uint32_t count, limit;
	bool differences; /* these alone */
};

static void print_values(struct hd_buf *ret, const char *key, const double values[3])
{
	hd_json_open(ret, key, '{');
	hd_json_number(ret, "flow", values[0]);
	hd_json_number(ret, "total", values[1]);
	hd_json_number(ret, "level", values[2]);
	hd_buf_add_char(ret, '}');
}

static int add_row(void *arg, const struct hd_compared *row, struct hydro_error *err)
{
	struct rows *rows = arg;
	struct hd_buf *ret = &rows->items;
	if ((rows->differences && row->outcome == HD_COMPARED_SAME) || rows->count == rows->limit)
		return HYDRO_OK;
	rows->count++;
	if (ret->len)
		hd_buf_add_char(ret, ',');
	hd_buf_add_char(ret, '{');
	hd_json_time(ret, "due", row->due_ms);
	hd_json_text(ret, "outcome", hd_compared_name(row->outcome));
	hd_json_text(ret, "state", row->state == HD_SLOT_DUE ? "" : hd_slot_state_name(row->state));
	print_values(ret, "ours", row->ours);
	print_values(ret, "theirs", row->theirs);
	hd_json_text(ret, "receipt", row->receipt);
	hd_json_text(ret, "text", row->text);
	hd_buf_add_char(ret, '}');
	return ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the list") : HYDRO_OK;
}

static double level_step(struct hd_api *api, const struct hd_dga_work *work)
{
	const struct hd_adapter *adapter = hd_adapters_pick(api->deps.adapters, work->family, "", hd_clock_wall_ms());
	const hydro_filing_kind *kind = adapter ? hd_adapter_kind(adapter, work->kind) : NULL;
	return kind && kind->level_unit && strcmp(kind->level_unit, "cm") == 0 ? 1 : .01;
}

static void print_comparison(struct hd_buf *ret, const char *code, const struct hd_comparison *comparison, const struct rows *rows)
{
	hd_buf_add_char(ret, '{');
	hd_json_text(ret, "work", code);
	hd_json_open(ret, "outcomes", '{');
	for (uint32_t i = 0; i < HD_COMPARED_COUNT; i++)
		hd_json_int(ret, hd_compared_name(i), (int64_t)comparison->outcomes[i]);
	hd_buf_add_char(ret, '}');
	hd_json_int(ret, "shift_h", comparison->shift_h);
	hd_json_int(ret, "shift_matches", (int64_t)comparison->shift_matches);
	if (comparison->shift_h) {
		char es[200], en[200];
		(void)snprintf(es, sizeof es, "sus etiquetas van %+d h respecto de las nuestras: ese sistema informa otra hora que UTC-4", comparison->shift_h);
		(void)snprintf(en, sizeof en, "their labels are %+d h off ours: that system files another clock than UTC-4", comparison->shift_h);
		hd_json_text(ret, "hint", es);
		hd_json_text(ret, "hint_en", en);
	}
	hd_json_open(ret, "items", '[');
	hd_buf_add(ret, rows->items.data ? rows->items.data : "", rows->items.len);
	hd_buf_add_text(ret, "]}");
}

HD_HANDLER(dga_cutover_compare)
{
	struct hd_api *api = HD_API(arg);
	struct rows rows = {.limit = (uint32_t)hd_http_param(req, "limit")->integer, .differences = hd_http_param(req, "differences")->integer};
	struct hd_dga_work work;
	struct hd_comparison comparison;
	int64_t from, to;
	HD_NEED(api, ledger);
	int rc = hd_dga_find_work(api, hd_http_param(req, "work")->text, &work, err);
	if (rc == HYDRO_OK)
		rc = hd_dga_window(api, req, 31, &from, &to, err);
	if (rc == HYDRO_OK)
		rc = hd_cutover_compare(api->deps.ledger, work.number, from, to, level_step(api, &work), add_row, &rows, &comparison, err);
	if (rc == HYDRO_OK)
		print_comparison(&resp->body, work.code, &comparison, &rows);
	hd_buf_done(&rows.items);
	return rc;
}

HD_HANDLER(dga_cutover_ask)
{
	struct hd_api *api = HD_API(arg);
	struct hd_dga_work work;
	int64_t from, to;
	uint32_t queued = 0;
	HD_NEED(api, filing);
	int rc = hd_dga_find_work(api, hd_http_param(req, "work")->text, &work, err);
	if (rc == HYDRO_OK)
		rc = hd_dga_window(api, req, 31, &from, &to, err);
	if (rc == HYDRO_OK)
		rc = hd_filing_compare(api->deps.filing, work.number, from, to, &queued, err);
	if (rc == HYDRO_OK)
		hd_buf_printf(&resp->body, "{\"queued\":%u}", queued);
	return rc;
}
