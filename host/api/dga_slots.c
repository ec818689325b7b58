/* SPDX-License-Identifier: MIT */
/* /api/v1/dga/slots: what happened to each due time, why it stands where it stands, and marking it as filed by hand. */
#include "api/dga.h"

#include "base/timefmt.h"

#include <errno.h>
#include <hydro/abi.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	uint32_t bit;
	const char *name;
} marks[] = {{HD_SLOT_LATE, "late"}, {HD_SLOT_OVER_LAG, "over_lag"}, {HD_SLOT_CHECKED, "checked"}, {HD_SLOT_FLAGGED, "flagged"}, {HD_SLOT_FOREIGN, "foreign"}};

/* The members of a slot, without its brackets. */
static void print_members(struct hd_buf *ret, const struct hd_slot *slot, const char *code)
{
	static const char *const fields[HYDRO_FIELDS] = {"flow", "total", "level"};
	hd_json_text(ret, "work", code);
	hd_json_time(ret, "due", slot->due_ms);
	hd_json_text(ret, "state", hd_slot_state_name(slot->state));
	hd_json_text(ret, "state_text", hd_slot_state_text(slot->state, true));
	hd_json_open(ret, "marks", '[');
	for (size_t i = 0; i < HD_ARRAY_LEN(marks); i++) {
		if (!(slot->marks & marks[i].bit))
			continue;
		hd_json_item(ret);
		hd_buf_printf(ret, "\"%s\"", marks[i].name);
	}
	hd_buf_add_char(ret, ']');
	hd_json_text(ret, "receipt", slot->receipt);
	hd_json_open(ret, "values", '{');
	for (size_t i = 0; i < HYDRO_FIELDS; i++)
		hd_json_number(ret, fields[i], slot->measured_ms ? slot->values[i] : NAN);
	hd_buf_add_char(ret, '}');
	hd_json_time(ret, "measured_at", slot->measured_ms);
	hd_json_time(ret, "queued_at", slot->queued_ms);
	hd_json_int(ret, "attempts", slot->attempts);
	hd_json_time(ret, "last_attempt_at", slot->last_attempt_ms);
	hd_json_time(ret, "filed_at", slot->filed_ms);
	hd_json_text(ret, "cause", slot->cause);
	hd_json_text(ret, "cause_text", hd_cause_text(slot->cause, true));
}

void hd_dga_print_slot(struct hd_buf *ret, const struct hd_slot *slot, const char *code)
{
	hd_buf_add_char(ret, '{');
	print_members(ret, slot, code);
	hd_buf_add_char(ret, '}');
}

/* ---- the list ---------------------------------------------------------------------------------------------------------------- */

struct list {
	struct hd_buf *ret;
	struct hd_dga_codes codes;
	uint32_t count, limit;
	struct hd_slot last; /* of the page */
	bool more;
};

static int add_item(void *arg, const struct hd_slot *slot, struct hydro_error *err)
{
	struct list *list = arg;
	if (list->count == list->limit) {
		list->more = true;
		return HYDRO_OK;
	}
	list->count++;
	list->last = *slot;
	hd_json_item(list->ret);
	hd_dga_print_slot(list->ret, slot, hd_dga_code(&list->codes, slot->work));
	return list->ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the page") : HYDRO_OK;
}

/* "17.1767225600000": work and due time of the last row. */
static int take_cursor(const struct hd_http_value *value, struct hd_slot_filter *ret, struct hydro_error *err)
{
	char *end;
	if (!value->is_set)
		return HYDRO_OK;
	errno = 0;
	unsigned long work = strtoul(value->text, &end, 10);
	long long due = *end == '.' ? strtoll(end + 1, &end, 10) : 0;
	if (errno || *end || work == 0 || work >= UINT32_MAX || due == 0)
		return hd_error_set(err, HYDRO_E_INVALID, "parameter cursor: take it from `next` of the page before");
	ret->after_work = (uint32_t)work;
	ret->after_due = due;
	return HYDRO_OK;
}

/* "late" or "filed,unknown" of the parameter `state` as bits. */
static int take_states(const struct hd_http_value *value, struct hd_slot_filter *ret, struct hydro_error *err)
{
	for (const char *p = value->is_set ? value->text : ""; *p;) {
		char name[32];
		uint32_t state;
		size_t len = strcspn(p, ",");
		(void)snprintf(name, sizeof name, "%.*s", (int)HD_MIN(len, sizeof name - 1), p);
		if (!hd_slot_state_parse(name, &state))
			return hd_error_set(err, HYDRO_E_INVALID, "parameter state: there is no state \"%s\"", name);
		ret->states |= 1u << state;
		p += len + (p[len] == ',');
	}
	return HYDRO_OK;
}

static int take_filter(struct hd_api *api, const struct hd_http_request *req, struct hd_slot_filter *ret, struct hydro_error *err)
{
	const struct hd_http_value *work = hd_http_param(req, "work"), *mark = hd_http_param(req, "mark");
	struct hd_dga_work found;
	*ret = (struct hd_slot_filter){.work = HD_LEDGER_ALL, .limit = (uint32_t)hd_http_param(req, "limit")->integer + 1,
				       .descending = hd_http_param(req, "order")->integer == 1};
	int rc = hd_dga_window(api, req, 0, &ret->from_ms, &ret->to_ms, err);
	if (rc == HYDRO_OK)
		rc = take_cursor(hd_http_param(req, "cursor"), ret, err);
	if (rc == HYDRO_OK)
		rc = take_states(hd_http_param(req, "state"), ret, err);
	if (rc == HYDRO_OK && work->is_set && (rc = hd_dga_find_work(api, work->text, &found, err)) == HYDRO_OK)
		ret->work = found.number;
	if (mark->is_set)
		ret->marks_set = marks[mark->integer].bit;
	return rc;
}

static int list_slots(struct hd_api *api, struct hd_slot_filter *filter, struct hd_http_response *resp, struct hydro_error *err)
{
	struct list list = {.ret = &resp->body, .codes = {.api = api}, .limit = filter->limit - 1};
	hd_buf_add_text(&resp->body, "{\"items\":[");
	int rc = hd_ledger_slots(api->deps.ledger, filter, add_item, &list, err);
	hd_buf_add_char(&resp->body, ']');
	if (list.more)
		hd_buf_printf(&resp->body, ",\"next\":\"%u.%lld\"}", list.last.work, (long long)list.last.due_ms);
	else
		hd_buf_add_text(&resp->body, ",\"next\":null}");
	return rc;
}

HD_HANDLER(dga_slots_list)
{
	struct hd_api *api = HD_API(arg);
	struct hd_slot_filter filter;
	HD_NEED(api, ledger);
	int rc = take_filter(api, req, &filter, err);
	return rc == HYDRO_OK ? list_slots(api, &filter, resp, err) : rc;
}

/* ---- one slot ------------------------------------------------------------------------------------------------------------------- */

static void print_hex(struct hd_buf *ret, const char *key, const uint8_t hash[32])
{
	hd_json_key(ret, key);
	hd_buf_add_char(ret, '"');
	for (int i = 0; i < 32; i++)
		hd_buf_printf(ret, "%02x", hash[i]);
	hd_buf_add_char(ret, '"');
}

/* JSON as it is, else as text. */
static void print_detail(struct hd_buf *ret, const char *key, const char *text, size_t len)
{
	HD_CLEANUP(hd_cleanup_json) cJSON *json = len ? cJSON_ParseWithLength(text, len) : NULL;
	hd_json_key(ret, key);
	if (json)
		hd_buf_add(ret, text, len);
	else if (len)
		hd_buf_add_json(ret, text, len);
	else
		hd_buf_add_text(ret, "null");
}

static int add_audit(void *arg, const struct hd_audit_row *row, struct hydro_error *err)
{
	struct hd_buf *ret = arg;
	hd_json_item(ret);
	hd_buf_add_char(ret, '{');
	hd_json_int(ret, "sequence", (int64_t)row->sequence);
	hd_json_time(ret, "at", row->at_ms);
	hd_json_text(ret, "from", hd_slot_state_name(row->from));
	hd_json_text(ret, "to", hd_slot_state_name(row->to));
	hd_json_text(ret, "actor", row->actor);
	print_detail(ret, "detail", row->detail ? row->detail : "", row->detail ? strlen(row->detail) : 0);
	print_detail(ret, "payload", row->payload, row->payload ? row->payload_len : 0);
	print_hex(ret, "previous", row->previous);
	print_hex(ret, "hash", row->hash);
	hd_buf_add_char(ret, '}');
	return ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the audit") : HYDRO_OK;
}

int hd_dga_print_trail(struct hd_api *api, struct hd_buf *ret, uint32_t work, int64_t due_ms, struct hydro_error *err)
{
	struct hd_buf payload = {0};
	char adapter[64];
	int rc = hd_ledger_payload(api->deps.ledger, work, due_ms, &payload, adapter, err);
	if (rc == HYDRO_OK) {
		hd_json_text(ret, "adapter", adapter);
		print_detail(ret, "payload", hd_buf_text(&payload), payload.len);
	} else if (rc == HYDRO_E_NOTFOUND) {
		hd_json_key(ret, "payload");
		hd_buf_add_text(ret, "null");
		rc = HYDRO_OK;
	}
	hd_buf_done(&payload);
	hd_json_open(ret, "audit", '[');
	if (rc == HYDRO_OK)
		rc = hd_ledger_audit(api->deps.ledger, work, due_ms, add_audit, ret, err);
	hd_buf_add_char(ret, ']');
	return rc;
}

/* Without an engine (filing switched off in the configuration): what the ledger has. */
static int stored_outlook(struct hd_api *api, uint32_t work, int64_t due_ms, struct hd_slot_outlook *ret, struct hydro_error *err)
{
	memset(ret, 0, sizeof *ret);
	int rc = hd_ledger_slot(api->deps.ledger, work, due_ms, &ret->slot, err);
	if (rc == HYDRO_E_NOTFOUND) {
		ret->slot = (struct hd_slot){.work = work, .due_ms = due_ms, .values = {NAN, NAN, NAN}};
		rc = HYDRO_OK;
	}
	return rc;
}

static int answer_slot(struct hd_api *api, const struct hd_dga_work *work, int64_t due_ms, struct hd_buf *ret, struct hydro_error *err)
{
	struct hd_slot_outlook outlook;
	int rc = api->deps.filing ? hd_filing_outlook(api->deps.filing, work->number, due_ms, &outlook, err) : stored_outlook(api, work->number, due_ms, &outlook, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_buf_clear(ret);
	hd_buf_add_char(ret, '{');
	print_members(ret, &outlook.slot, work->code);
	hd_json_time(ret, "deadline", outlook.deadline_ms);
	hd_json_time(ret, "limit", outlook.limit_ms);
	hd_json_time(ret, "next_try", outlook.next_ms);
	hd_json_text(ret, "why", outlook.why);
	hd_json_text(ret, "why_en", outlook.why_en);
	rc = hd_dga_print_trail(api, ret, work->number, due_ms, err);
	hd_buf_add_char(ret, '}');
	return rc;
}

/* The work and the due time of the path, which must be a slot of the work's calendar or have a stored row. */
static int find_slot(struct hd_api *api, const struct hd_http_request *req, struct hd_dga_work *ret, int64_t *ret_due, struct hydro_error *err)
{
	struct hd_slot slot;
	*ret_due = hd_http_param(req, "due")->integer;
	int rc = hd_dga_find_work(api, hd_http_param(req, "work")->text, ret, err);
	if (rc != HYDRO_OK)
		return rc;
	if (ret->calendar.every && hd_calendar_is_slot(&ret->calendar, *ret_due))
		return HYDRO_OK;
	rc = hd_ledger_slot(api->deps.ledger, ret->number, *ret_due, &slot, err);
	return rc == HYDRO_E_NOTFOUND ? hd_error_set(err, rc, "%s has no slot at that time", ret->code) : rc;
}

HD_HANDLER(dga_slot_get)
{
	struct hd_api *api = HD_API(arg);
	struct hd_dga_work work;
	int64_t due;
	HD_NEED(api, ledger);
	int rc = find_slot(api, req, &work, &due, err);
	return rc == HYDRO_OK ? answer_slot(api, &work, due, &resp->body, err) : rc;
}

HD_HANDLER(dga_slot_by_hand)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	struct hd_dga_work work;
	int64_t due;
	HD_NEED(api, filing);
	int rc = find_slot(api, req, &work, &due, err);
	if (rc == HYDRO_OK)
		rc = hd_body_parse(req, &hd_schema_dga_by_hand, false, resp, &body, err);
	if (rc == HYDRO_OK)
		rc = hd_filing_by_hand(api->deps.filing, work.number, due, hd_body_text(body, "receipt"), hd_dga_by(req), hd_body_text(body, "reason"), err);
	return rc == HYDRO_OK ? answer_slot(api, &work, due, &resp->body, err) : rc;
}
