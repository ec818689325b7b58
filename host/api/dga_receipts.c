/* SPDX-License-Identifier: MIT */
/* /api/v1/dga/receipts: search, export, and the proof of one; /verify: the audit's chains. */
#include "api/dga.h"
#include "filing/report.h"

#include <hydro/abi.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CSV_ROWS_MAX 1000000u
#define PROVED_MAX 16u
#define VERIFY_MS (20 * HD_MS_PER_S) /* of one answer, after which it ends with the work at hand */

static const uint32_t with_receipt = 1u << HD_SLOT_FILED | 1u << HD_SLOT_FILED_DIFFERS | 1u << HD_SLOT_BY_HAND | 1u << HD_SLOT_FILED_NO_RECEIPT;

struct list {
	struct hd_api *api;
	struct hd_buf *ret;
	struct hd_dga_codes codes;
	int32_t utc_offset_s;
	bool csv, more;
	uint32_t count, limit;
	struct hd_slot last;
};

static void add_csv(struct list *list, const struct hd_slot *slot)
{
	char due[32], filed[32] = "", value[40];
	hd_local_time(slot->due_ms, list->utc_offset_s, due);
	if (slot->filed_ms)
		hd_local_time(slot->filed_ms, list->utc_offset_s, filed);
	due[10] = '\0';
	hd_csv_add(list->ret, hd_dga_code(&list->codes, slot->work), false);
	hd_csv_add(list->ret, due, false);
	hd_csv_add(list->ret, due + 11, false);
	hd_csv_add(list->ret, slot->receipt, false);
	for (size_t i = 0; i < HYDRO_FIELDS; i++) {
		(void)snprintf(value, sizeof value, isnan(slot->values[i]) ? "" : "%.10g", slot->values[i]);
		hd_csv_add(list->ret, value, false);
	}
	hd_csv_add(list->ret, filed, false);
	hd_csv_add(list->ret, hd_slot_state_text(slot->state, true), false);
	hd_csv_add(list->ret, slot->marks & HD_SLOT_CHECKED ? "si" : "no", true);
}

static int add_item(void *arg, const struct hd_slot *slot, struct hydro_error *err)
{
	struct list *list = arg;
	if (list->count == list->limit) {
		list->more = true;
		return list->csv ? hd_error_set(err, HYDRO_E_LIMIT, "more than %u receipts: ask for one work or a shorter time", CSV_ROWS_MAX) : HYDRO_OK;
	}
	list->count++;
	list->last = *slot;
	if (list->csv) {
		add_csv(list, slot);
	} else {
		hd_json_item(list->ret);
		hd_dga_print_slot(list->ret, slot, hd_dga_code(&list->codes, slot->work));
	}
	return list->ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the list") : HYDRO_OK;
}

static int take_filter(struct hd_api *api, const struct hd_http_request *req, struct hd_slot_filter *ret, struct hydro_error *err)
{
	const struct hd_http_value *work = hd_http_param(req, "work"), *receipt = hd_http_param(req, "receipt"), *cursor = hd_http_param(req, "cursor");
	struct hd_dga_work found;
	*ret = (struct hd_slot_filter){.work = HD_LEDGER_ALL, .states = with_receipt, .receipt = receipt->is_set ? receipt->text : NULL};
	int rc = hd_dga_window(api, req, 0, &ret->from_ms, &ret->to_ms, err);
	if (rc == HYDRO_OK && work->is_set && (rc = hd_dga_find_work(api, work->text, &found, err)) == HYDRO_OK)
		ret->work = found.number;
	if (rc == HYDRO_OK && cursor->is_set && sscanf(cursor->text, "%u.%ld", &ret->after_work, &ret->after_due) != 2)
		rc = hd_error_set(err, HYDRO_E_INVALID, "parameter cursor: take it from `next` of the page before");
	return rc;
}

HD_HANDLER(dga_receipts_list)
{
	struct hd_api *api = HD_API(arg);
	struct hd_slot_filter filter;
	struct list list = {.api = api, .ret = &resp->body, .codes = {.api = api}, .csv = hd_http_param(req, "format")->integer == 1};
	HD_NEED(api, ledger);
	int rc = take_filter(api, req, &filter, err);
	if (rc == HYDRO_OK)
		rc = hd_dga_offset(api, &list.utc_offset_s, err);
	if (rc != HYDRO_OK)
		return rc;
	list.limit = list.csv ? CSV_ROWS_MAX : (uint32_t)hd_http_param(req, "limit")->integer;
	filter.limit = list.limit + 1;
	resp->content_type = list.csv ? "text/csv; charset=utf-8" : NULL;
	hd_buf_add_text(&resp->body, list.csv ? "codigo_obra,fecha,hora,comprobante,caudal_lps,totalizador_m3,nivel,informada,estado,comprobada\r\n" : "{\"items\":[");
	rc = hd_ledger_slots(api->deps.ledger, &filter, add_item, &list, err);
	if (list.csv || rc != HYDRO_OK)
		return rc;
	hd_buf_add_char(&resp->body, ']');
	if (list.more)
		hd_buf_printf(&resp->body, ",\"next\":\"%u.%lld\"}", list.last.work, (long long)list.last.due_ms);
	else
		hd_buf_add_text(&resp->body, ",\"next\":null}");
	return HYDRO_OK;
}

/* ---- the proof ---------------------------------------------------------------------------------------------------------------- */

void hd_dga_print_verdict(struct hd_buf *ret, const char *key, const struct hd_ledger_verdict *verdict)
{
	if (key)
		hd_json_open(ret, key, '{');
	else
		hd_buf_add_char(ret, '{');
	hd_json_bool(ret, "good", verdict->good);
	hd_json_int(ret, "rows", (int64_t)verdict->rows);
	hd_json_int(ret, "anchors", (int64_t)verdict->anchors);
	if (!verdict->good) {
		hd_json_int(ret, "work_number", verdict->work);
		hd_json_int(ret, "sequence", (int64_t)verdict->sequence);
	}
	hd_json_text(ret, "text", verdict->text);
	hd_json_int(ret, "works", verdict->works);
	hd_json_int(ret, "works_left", verdict->works_left);
	if (verdict->next >= 0)
		hd_json_int(ret, "next", verdict->next);
	else
		hd_json_raw(ret, "next", "null");
	hd_buf_add_char(ret, '}');
}

struct found {
	uint32_t count;
	struct hd_slot slots[PROVED_MAX];
};

static int take_found(void *arg, const struct hd_slot *slot, struct hydro_error *err)
{
	struct found *found = arg;
	(void)err;
	if (found->count < PROVED_MAX)
		found->slots[found->count++] = *slot;
	return HYDRO_OK;
}

static int prove(struct hd_api *api, struct hd_buf *ret, const struct hd_slot *slot, struct hydro_error *err)
{
	struct hd_dga_codes codes = {.api = api};
	struct hd_ledger_verdict verdict;
	hd_json_item(ret);
	hd_buf_add_char(ret, '{');
	hd_json_key(ret, "slot");
	hd_dga_print_slot(ret, slot, hd_dga_code(&codes, slot->work));
	int rc = hd_dga_print_trail(api, ret, slot->work, slot->due_ms, err);
	if (rc == HYDRO_OK && (rc = hd_ledger_verify(api->deps.ledger, slot->work, &verdict, err)) == HYDRO_OK)
		hd_dga_print_verdict(ret, "chain", &verdict);
	hd_buf_add_char(ret, '}');
	return rc;
}

HD_HANDLER(dga_receipt_proof)
{
	struct hd_api *api = HD_API(arg);
	const char *receipt = hd_http_param(req, "receipt")->text;
	struct hd_slot_filter filter = {.work = HD_LEDGER_ALL, .receipt = receipt};
	HD_NEED(api, ledger);
	HD_CLEANUP(hd_cleanup_free) struct found *found = calloc(1, sizeof *found);
	if (!found)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	int rc = hd_ledger_slots(api->deps.ledger, &filter, take_found, found, err);
	if (rc == HYDRO_OK && found->count == 0)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "no slot has the receipt \"%.60s\"", receipt);
	hd_buf_add_char(&resp->body, '{');
	hd_json_text(&resp->body, "receipt", receipt);
	hd_json_open(&resp->body, "items", '[');
	for (uint32_t i = 0; i < found->count && rc == HYDRO_OK; i++)
		rc = prove(api, &resp->body, &found->slots[i], err);
	hd_buf_add_text(&resp->body, "]}");
	return rc;
}

HD_HANDLER(dga_verify)
{
	struct hd_api *api = HD_API(arg);
	const struct hd_http_value *work = hd_http_param(req, "work"), *after = hd_http_param(req, "after"), *limit = hd_http_param(req, "limit");
	struct hd_ledger_verdict verdict;
	struct hd_dga_work found;
	HD_NEED(api, ledger);
	if (work->is_set && (after->is_set || limit->is_set))
		return hd_error_set(err, HYDRO_E_INVALID, "parameters after and limit: only without work");
	int rc = work->is_set ? hd_dga_find_work(api, work->text, &found, err) : HYDRO_OK;
	if (rc == HYDRO_OK && work->is_set)
		rc = hd_ledger_verify(api->deps.ledger, found.number, &verdict, err);
	else if (rc == HYDRO_OK)
		rc = hd_ledger_verify_some(api->deps.ledger, after->is_set ? after->integer : -1, limit->is_set ? (uint32_t)limit->integer : 0, VERIFY_MS, &verdict, err);
	if (rc == HYDRO_OK)
		hd_dga_print_verdict(&resp->body, NULL, &verdict);
	return rc;
}
