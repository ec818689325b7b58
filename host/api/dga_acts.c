/* SPDX-License-Identifier: MIT */
/* /api/v1/dga/: how filing is, its switch, the hold after a restore, and its alarms. */
#include "api/dga.h"

#include <hydro/abi.h>
#include <string.h>

/* ---- how it is --------------------------------------------------------------------------------------------------------------- */

static void print_counts(struct hd_buf *ret, const struct hd_filing_status *status)
{
	static const char *const answers[8] = {"none", "filed", "no_receipt", "duplicate", "held", "refused", "blocked", ""};
	hd_json_open(ret, "states", '{');
	for (uint32_t i = 0; i < HD_SLOT_STATE_COUNT; i++)
		if (*hd_slot_state_name(i))
			hd_json_int(ret, hd_slot_state_name(i), (int64_t)status->states[i]);
	hd_buf_add_char(ret, '}');
	hd_json_open(ret, "works", '{');
	for (uint32_t i = 0; i < 3; i++)
		hd_json_int(ret, hd_work_mode_name(i), status->works[i]);
	hd_json_int(ret, "held", status->works_held);
	hd_buf_add_char(ret, '}');
	hd_json_open(ret, "answers", '{');
	for (uint32_t i = 0; i < 8; i++)
		if (*answers[i])
			hd_json_int(ret, answers[i], (int64_t)status->answers[i]);
	hd_buf_add_char(ret, '}');
}

HD_HANDLER(dga_status)
{
	struct hd_api *api = HD_API(arg);
	struct hd_filing_status status;
	struct hd_buf *ret = &resp->body;
	(void)req;
	HD_NEED(api, filing);
	(void)err;
	hd_filing_status(api->deps.filing, &status);
	hd_buf_add_char(ret, '{');
	hd_json_bool(ret, "on", status.on);
	hd_json_bool(ret, "on_hold", status.on_hold);
	hd_json_bool(ret, "clock_good", status.clock_good);
	hd_json_time(ret, "now", hd_clock_wall_ms());
	print_counts(ret, &status);
	hd_json_int(ret, "centres_blocked", status.centres_blocked);
	hd_json_int(ret, "posts", (int64_t)status.posts);
	hd_json_int(ret, "checks", (int64_t)status.checks);
	hd_json_int(ret, "in_flight", status.in_flight);
	hd_json_time(ret, "oldest_due", status.oldest_due_ms);
	hd_json_int(ret, "alarms_amber", status.alarms_amber);
	hd_json_int(ret, "alarms_red", status.alarms_red);
	hd_json_open(ret, "adapters", '[');
	for (uint32_t i = 0; hd_adapters_at(api->deps.adapters, i); i++) {
		const struct hd_adapter *adapter = hd_adapters_at(api->deps.adapters, i);
		hd_json_item(ret);
		hd_buf_add_char(ret, '{');
		hd_json_text(ret, "name", hd_adapter_name(adapter));
		hd_json_text(ret, "version", hd_adapter_version(adapter));
		hd_json_text(ret, "family", hd_adapter_info(adapter)->family);
		hd_json_text(ret, "valid_from", hd_adapter_info(adapter)->valid_from);
		hd_buf_add_char(ret, '}');
	}
	hd_buf_add_text(ret, "]}");
	return HYDRO_OK;
}

/* ---- the switch --------------------------------------------------------------------------------------------------------------- */

static int answer_switch(struct hd_api *api, struct hd_http_response *resp)
{
	struct hd_filing_status status;
	hd_filing_status(api->deps.filing, &status);
	hd_buf_clear(&resp->body);
	hd_buf_add_char(&resp->body, '{');
	hd_json_bool(&resp->body, "on", status.on);
	hd_json_bool(&resp->body, "on_hold", status.on_hold);
	hd_buf_add_char(&resp->body, '}');
	return HYDRO_OK;
}

HD_HANDLER(dga_switch_get)
{
	struct hd_api *api = HD_API(arg);
	(void)req;
	HD_NEED(api, filing);
	return answer_switch(api, resp);
}

HD_HANDLER(dga_switch_put)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	HD_NEED(api, filing);
	int rc = hd_body_parse(req, &hd_schema_dga_switch, false, resp, &body, err);
	if (rc == HYDRO_OK)
		rc = hd_filing_switch(api->deps.filing, cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(body, "on")), hd_dga_by(req), hd_body_text(body, "reason"), err);
	return rc == HYDRO_OK ? answer_switch(api, resp) : rc;
}

HD_HANDLER(dga_hold_leave)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	const char *reason;
	HD_NEED(api, filing);
	int rc = hd_dga_reason(req, resp, &body, &reason, err);
	if (rc == HYDRO_OK)
		rc = hd_filing_leave_hold(api->deps.filing, hd_dga_by(req), reason, err);
	return rc == HYDRO_OK ? answer_switch(api, resp) : rc;
}

/* ---- alarms --------------------------------------------------------------------------------------------------------------------- */

struct alarms {
	struct hd_buf *ret;
	struct hd_dga_codes codes;
	struct hd_registry_ids ids;
};

static int add_alarm(void *arg, const struct hd_alarm *alarm, struct hydro_error *err)
{
	struct alarms *alarms = arg;
	struct hd_buf *ret = alarms->ret;
	const struct hd_registry_row *centre = hd_registry_centre(&alarms->ids, alarm->centre);
	hd_json_item(ret);
	hd_buf_add_char(ret, '{');
	hd_json_int(ret, "number", (int64_t)alarm->number);
	hd_json_text(ret, "level", alarm->level == HD_ALARM_RED ? "red" : "amber");
	hd_json_text(ret, "kind", alarm->kind);
	hd_json_text(ret, "work", hd_dga_code(&alarms->codes, alarm->work));
	hd_json_text(ret, "centre", centre ? centre->name : "");
	hd_json_text(ret, "text", alarm->text);
	hd_json_text(ret, "text_en", alarm->text_en);
	hd_json_int(ret, "count", alarm->count);
	hd_json_time(ret, "since", alarm->since_ms);
	hd_json_time(ret, "last", alarm->last_ms);
	hd_json_time(ret, "cleared_at", alarm->cleared_ms);
	hd_json_time(ret, "seen_at", alarm->seen_ms);
	hd_json_text(ret, "seen_by", alarm->seen_by ? alarm->seen_by : "");
	hd_buf_add_char(ret, '}');
	return ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the list") : HYDRO_OK;
}

HD_HANDLER(dga_alarms_list)
{
	struct hd_api *api = HD_API(arg);
	const struct hd_http_value *work = hd_http_param(req, "work");
	struct alarms alarms = {.ret = &resp->body, .codes = {.api = api}};
	struct hd_dga_work found = {.number = HD_LEDGER_ALL};
	HD_NEED(api, ledger);
	int rc = work->is_set ? hd_dga_find_work(api, work->text, &found, err) : HYDRO_OK;
	if (rc == HYDRO_OK)
		rc = hd_registry_ids_load(api->deps.ledger, &alarms.ids, err);
	hd_buf_add_text(&resp->body, "{\"items\":[");
	if (rc == HYDRO_OK)
		rc = hd_ledger_alarm_list(api->deps.ledger, hd_http_param(req, "open")->integer, found.number, add_alarm, &alarms, err);
	hd_buf_add_text(&resp->body, "]}");
	hd_registry_ids_done(&alarms.ids);
	return rc;
}

HD_HANDLER(dga_alarm_acknowledge)
{
	struct hd_api *api = HD_API(arg);
	(void)resp;
	HD_NEED(api, ledger);
	return hd_ledger_alarm_seen(api->deps.ledger, (uint64_t)hd_http_param(req, "number")->integer, hd_dga_by(req), hd_clock_wall_ms(), err);
}
