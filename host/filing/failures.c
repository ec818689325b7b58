/* SPDX-License-Identifier: MIT */
/* Failures of transmission: what was not filed within the lag, as runs of slots with one cause. */
#include "base/json.h"
#include "filing/report.h"

#include <hydro/abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	hd_failure_fn fn;
	void *arg;
	struct hd_failure run; /* slots 0: none */
	const struct hd_compliance_row *row;
};

static int end_run(struct walk *w, struct hydro_error *err)
{
	int rc = w->run.slots ? w->fn(w->arg, &w->run, err) : HYDRO_OK;
	w->run.slots = 0;
	return rc;
}

static int take_slot(void *arg, const struct hd_slot *slot, struct hydro_error *err)
{
	struct walk *w = arg;
	bool filed = slot->state == HD_SLOT_FILED || slot->state == HD_SLOT_FILED_NO_RECEIPT || slot->state == HD_SLOT_BY_HAND;
	if (slot->state != HD_SLOT_MISSING && !(slot->marks & HD_SLOT_OVER_LAG))
		return end_run(w, err);
	if (w->run.slots && (w->run.state != slot->state || strcmp(w->run.cause, slot->cause) != 0)) {
		int rc = end_run(w, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	if (w->run.slots++ == 0) {
		w->run.work = slot->work;
		w->run.state = slot->state;
		w->run.first_ms = slot->due_ms;
		w->run.filed_late = filed;
		(void)snprintf(w->run.code, sizeof w->run.code, "%.63s", w->row->key);
		(void)snprintf(w->run.name, sizeof w->run.name, "%s", w->row->name);
		(void)snprintf(w->run.client, sizeof w->run.client, "%s", w->row->client);
		(void)snprintf(w->run.cause, sizeof w->run.cause, "%s", slot->cause);
	}
	w->run.last_ms = slot->due_ms;
	return HYDRO_OK;
}

static int take_works(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, struct hd_compliance *ret,
		      struct hydro_error *err)
{
	struct hd_work_filter filter = {.mode = -1, .held = -1, .centre = HD_LEDGER_ALL, .client = query->client};
	struct hd_compliance_query ask = {.by = HD_COMPLIANCE_BY_WORK, .works = &filter, .code = query->code, .from_ms = query->from_ms, .to_ms = query->to_ms,
					  .now_ms = query->now_ms};
	return hd_compliance_take(ledger, adapters, &ask, ret, err);
}

int hd_failures(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, hd_failure_fn fn, void *arg,
		struct hydro_error *err)
{
	struct hd_compliance works;
	struct walk w = {.fn = fn, .arg = arg};
	int rc = take_works(ledger, adapters, query, &works, err);
	for (uint32_t i = 0; i < works.count && rc == HYDRO_OK; i++) {
		w.row = &works.rows[i];
		if (w.row->missing == 0 && w.row->over_lag == 0)
			continue;
		struct hd_slot_filter filter = {.work = w.row->work, .from_ms = works.from_ms, .to_ms = works.to_ms};
		rc = hd_ledger_slots(ledger, &filter, take_slot, &w, err);
		if (rc == HYDRO_OK)
			rc = end_run(&w, err);
	}
	hd_compliance_done(&works);
	return rc;
}

/* ---- as JSON, CSV, document ------------------------------------------------------------------------------------------------- */

struct output {
	struct hd_buf *ret;
	struct hd_doc *doc;
	int32_t utc_offset_s;
	uint64_t count, slots;
};

static const char *what_text(const struct hd_failure *f, bool spanish)
{
	if (f->filed_late)
		return spanish ? "informada después del plazo máximo" : "filed after the lag";
	return hd_slot_state_text(f->state, spanish);
}

static int add_json(void *arg, const struct hd_failure *f, struct hydro_error *err)
{
	struct output *o = arg;
	hd_json_item(o->ret);
	hd_buf_add_char(o->ret, '{');
	hd_json_text(o->ret, "work", f->code);
	hd_json_text(o->ret, "name", f->name);
	hd_json_text(o->ret, "client", f->client);
	hd_json_time(o->ret, "first", f->first_ms);
	hd_json_time(o->ret, "last", f->last_ms);
	hd_json_int(o->ret, "slots", (int64_t)f->slots);
	hd_json_text(o->ret, "state", hd_slot_state_name(f->state));
	hd_json_text(o->ret, "what", what_text(f, true));
	hd_json_text(o->ret, "cause", f->cause);
	hd_json_text(o->ret, "cause_text", hd_cause_text(f->cause, true));
	hd_json_bool(o->ret, "filed_late", f->filed_late);
	hd_buf_add_char(o->ret, '}');
	o->count++;
	o->slots += f->slots;
	return o->ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory") : HYDRO_OK;
}

static int add_csv(void *arg, const struct hd_failure *f, struct hydro_error *err)
{
	struct output *o = arg;
	char first[32], last[32], slots[24];
	hd_local_time(f->first_ms, o->utc_offset_s, first);
	hd_local_time(f->last_ms, o->utc_offset_s, last);
	(void)snprintf(slots, sizeof slots, "%llu", (unsigned long long)f->slots);
	const char *const cells[] = {f->code, f->name, f->client, first, last, slots, what_text(f, true), hd_cause_text(f->cause, true), f->cause};
	for (size_t i = 0; i < HD_ARRAY_LEN(cells); i++)
		hd_csv_add(o->ret, cells[i], i + 1 == HD_ARRAY_LEN(cells));
	return o->ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory") : HYDRO_OK;
}

static int add_row(void *arg, const struct hd_failure *f, struct hydro_error *err)
{
	struct output *o = arg;
	char first[32], last[32], slots[24];
	(void)err;
	hd_local_time(f->first_ms, o->utc_offset_s, first);
	hd_local_time(f->last_ms, o->utc_offset_s, last);
	(void)snprintf(slots, sizeof slots, "%llu", (unsigned long long)f->slots);
	const char *const cells[] = {f->code, f->name, first, last, slots, what_text(f, true), hd_cause_text(f->cause, true)};
	hd_doc_row(o->doc, cells, f->filed_late ? HD_TONE_WARN : HD_TONE_BAD);
	o->count++;
	return HYDRO_OK;
}

static int32_t offset_of(const struct hd_adapters *adapters)
{
	const struct hd_adapter *adapter = adapters ? hd_adapters_at(adapters, 0) : NULL;
	return adapter ? hd_adapter_info(adapter)->utc_offset_s : 0;
}

int hd_failures_json(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, struct hd_buf *ret,
		     struct hydro_error *err)
{
	struct output o = {.ret = ret};
	hd_buf_add_char(ret, '{');
	hd_json_time(ret, "from", query->from_ms);
	hd_json_time(ret, "to", query->to_ms);
	hd_json_open(ret, "items", '[');
	int rc = hd_failures(ledger, adapters, query, add_json, &o, err);
	hd_buf_add_char(ret, ']');
	hd_json_int(ret, "total", (int64_t)o.count);
	hd_json_int(ret, "slots", (int64_t)o.slots);
	hd_buf_add_char(ret, '}');
	return rc;
}

int hd_failures_csv(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, struct hd_buf *ret,
		    struct hydro_error *err)
{
	struct output o = {.ret = ret, .utc_offset_s = offset_of(adapters)};
	hd_buf_add_text(ret, "codigo_obra,nombre,cliente,desde,hasta,horas_o_periodos,situacion,causa,cause\r\n");
	return hd_failures(ledger, adapters, query, add_csv, &o, err);
}

int hd_failures_document(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, uint32_t format,
			 struct hd_buf *ret, struct hydro_error *err)
{
	static const struct hd_doc_column columns[] = {{"Obra", "Work", 1.4, false}, {"Nombre", "Name", 2, false}, {"Desde", "From", 1.5, false},
		{"Hasta", "To", 1.5, false}, {"Períodos", "Slots", 1, true}, {"Situación", "What", 2, false}, {"Causa", "Cause", 2.6, false}};
	struct output o = {.utc_offset_s = offset_of(adapters)};
	const struct hd_adapter *adapter = adapters ? hd_adapters_at(adapters, 0) : NULL;
	char from[32], to[32], zone[HD_CALENDAR_ZONE_TEXT], subtitle[400];
	hd_calendar_zone(o.utc_offset_s, zone);
	hd_local_date(query->from_ms, o.utc_offset_s, from);
	hd_local_date(query->to_ms - 1, o.utc_offset_s, to);
	(void)snprintf(subtitle, sizeof subtitle, "%.200s · %s – %s (%s)", query->client ? query->client : query->code ? query->code : "todas las obras", from, to, zone);
	int rc = hd_doc_new(format, "Fallas de transmisión", "Failures of transmission", subtitle, &o.doc, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_doc_section(o.doc, "Mediciones no transmitidas dentro del plazo máximo", "Not transmitted within the maximum lag", false);
	if (adapter && hd_adapter_info(adapter)->failures_note[0])
		hd_doc_text(o.doc, hd_adapter_info(adapter)->failures_note, hd_adapter_info(adapter)->failures_note_en);
	hd_doc_table(o.doc, columns, HD_ARRAY_LEN(columns));
	rc = hd_failures(ledger, adapters, query, add_row, &o, err);
	hd_doc_table_end(o.doc);
	if (o.count == 0)
		hd_doc_text(o.doc, "No hay fallas de transmisión en el período.", "There are none in this time.");
	if (rc == HYDRO_OK)
		rc = hd_doc_finish(o.doc, ret, err);
	hd_doc_free(&o.doc);
	return rc;
}
