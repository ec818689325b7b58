/* SPDX-License-Identifier: MIT */
/* The monthly report. */
#include "filing/report.h"

#include <hydro/abi.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAYS_MAX 62

struct report {
	struct hd_ledger *ledger;
	const struct hd_adapters *adapters;
	const struct hd_report_query *query;
	struct hd_compliance compliance;
	struct hd_doc *doc;
	struct hd_doc_bar days[DAYS_MAX];
	int64_t first_day;
	uint32_t day_count;
	uint64_t rows;
	struct hd_buf *csv;
	const struct hd_compliance_row *row; /* the work whose slots are read */
};

void hd_csv_add(struct hd_buf *ret, const char *text, bool last)
{
	bool formula = *text && strchr("=+@\t\r", *text);
	if (!formula && !strpbrk(text, ",;\"\r\n")) {
		hd_buf_add_text(ret, text);
	} else {
		hd_buf_add_text(ret, formula ? "\"'" : "\"");
		for (const char *p = text; *p; p++) {
			if (*p == '"')
				hd_buf_add_char(ret, '"');
			hd_buf_add_char(ret, *p);
		}
		hd_buf_add_char(ret, '"');
	}
	hd_buf_add_text(ret, last ? "\r\n" : ",");
}

static int take_works(struct report *r, struct hydro_error *err)
{
	const struct hd_report_query *q = r->query;
	struct hd_work_filter filter = {.mode = -1, .held = -1, .centre = HD_LEDGER_ALL, .client = q->client};
	struct hd_compliance_query query = {.by = HD_COMPLIANCE_BY_WORK, .works = &filter, .code = q->code, .from_ms = q->from_ms, .to_ms = q->to_ms, .now_ms = q->now_ms};
	int rc = hd_compliance_take(r->ledger, r->adapters, &query, &r->compliance, err);
	if (rc == HYDRO_OK && r->compliance.count == 0)
		rc = hd_error_set(err, HYDRO_E_NOTFOUND, "no work passes");
	return rc;
}

/* Slots of the report's works, one work after another. */
static int each_slot(struct report *r, uint32_t states, hd_slot_fn fn, struct hydro_error *err)
{
	for (uint32_t i = 0; i < r->compliance.count; i++) {
		r->row = &r->compliance.rows[i];
		struct hd_slot_filter filter = {.work = r->row->work, .states = states, .from_ms = r->compliance.from_ms, .to_ms = r->compliance.to_ms};
		int rc = hd_ledger_slots(r->ledger, &filter, fn, r, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}

/* ---- CSV ----------------------------------------------------------------------------------------------------------------- */

static void add_number(struct hd_buf *ret, double value)
{
	char text[40] = "";
	if (!isnan(value))
		(void)snprintf(text, sizeof text, "%.10g", value);
	hd_csv_add(ret, text, false);
}

static int csv_slot(void *arg, const struct hd_slot *slot, struct hydro_error *err)
{
	struct report *r = arg;
	struct hd_buf *csv = r->csv;
	char due[32], filed[32] = "", attempts[16];
	if (++r->rows > HD_REPORT_ROWS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u slots: ask for one client or work", HD_REPORT_ROWS_MAX);
	hd_local_time(slot->due_ms, r->compliance.utc_offset_s, due);
	if (slot->filed_ms)
		hd_local_time(slot->filed_ms, r->compliance.utc_offset_s, filed);
	(void)snprintf(attempts, sizeof attempts, "%u", slot->attempts);
	due[10] = '\0';
	const char *const before[] = {r->row->key, r->row->name, r->row->client, r->row->standard, due, due + 11, hd_slot_state_text(slot->state, true),
				      slot->receipt, filed};
	for (size_t i = 0; i < HD_ARRAY_LEN(before); i++)
		hd_csv_add(csv, before[i], false);
	for (size_t i = 0; i < HYDRO_FIELDS; i++)
		add_number(csv, slot->values[i]);
	const char *const after[] = {slot->marks & HD_SLOT_LATE ? "si" : "no", slot->marks & HD_SLOT_OVER_LAG ? "si" : "no",
				     slot->marks & HD_SLOT_CHECKED ? "si" : "no", attempts, slot->cause, hd_slot_state_name(slot->state)};
	for (size_t i = 0; i < HD_ARRAY_LEN(after); i++)
		hd_csv_add(csv, after[i], i + 1 == HD_ARRAY_LEN(after));
	return csv->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the report") : HYDRO_OK;
}

int hd_report_csv(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, struct hd_buf *ret,
		  struct hydro_error *err)
{
	struct report r = {.ledger = ledger, .adapters = adapters, .query = query, .csv = ret};
	int rc = take_works(&r, err);
	hd_buf_add_text(ret, "codigo_obra,nombre,cliente,estandar,fecha,hora,estado,comprobante,informada,caudal_lps,totalizador_m3,nivel,atrasada,"
			     "fuera_de_plazo,comprobada,envios,causa,state\r\n");
	if (rc == HYDRO_OK)
		rc = each_slot(&r, 0, csv_slot, err);
	hd_compliance_done(&r.compliance);
	return rc;
}

/* ---- the document ------------------------------------------------------------------------------------------------------------ */

static const char *count_text(uint64_t value, char ret[24])
{
	(void)snprintf(ret, 24, "%llu", (unsigned long long)value);
	return ret;
}

static const char *share_text(double share, char ret[24])
{
	if (isnan(share))
		(void)snprintf(ret, 24, "–");
	else
		(void)snprintf(ret, 24, share == 1 ? "100 %%" : "%.2f %%", floor(share * 1e4) / 100);
	return ret;
}

static uint32_t share_tone(double share)
{
	return isnan(share) ? HD_TONE_PLAIN : share >= .98 ? HD_TONE_GOOD : share >= .9 ? HD_TONE_WARN : HD_TONE_BAD;
}

static uint64_t open_of(const struct hd_compliance_row *row)
{
	return row->queued + row->unknown + row->refused + row->held + row->waiting;
}

static void put_tiles(struct report *r)
{
	const struct hd_compliance_row *all = &r->compliance.all;
	char text[8][24];
	const struct hd_doc_tile tiles[] = {
		{share_text(all->on_time_share, text[0]), "a tiempo", "on time", share_tone(all->on_time_share)},
		{count_text(all->due, text[1]), "mediciones debidas", "measurements due", HD_TONE_PLAIN},
		{count_text(all->filed, text[2]), "informadas", "filed", HD_TONE_PLAIN},
		{count_text(all->works, text[3]), "obras", "works", HD_TONE_PLAIN},
		{count_text(all->late, text[4]), "atrasadas", "late", all->late ? HD_TONE_WARN : HD_TONE_PLAIN},
		{count_text(all->over_lag, text[5]), "fuera del plazo máximo", "beyond the lag", all->over_lag ? HD_TONE_BAD : HD_TONE_PLAIN},
		{count_text(all->missing, text[6]), "sin medición", "no measurement", all->missing ? HD_TONE_BAD : HD_TONE_PLAIN},
		{count_text(open_of(all), text[7]), "pendientes", "still open", open_of(all) ? HD_TONE_WARN : HD_TONE_PLAIN},
	};
	hd_doc_tiles(r->doc, tiles, HD_ARRAY_LEN(tiles));
}

static int add_day(void *arg, const struct hd_day_count *count, struct hydro_error *err)
{
	struct report *r = arg;
	(void)err;
	const uint32_t *n = count->states;
	if (count->day < r->first_day || count->day >= r->first_day + r->day_count)
		return HYDRO_OK;
	double *parts = r->days[count->day - r->first_day].parts;
	double open = n[HD_SLOT_QUEUED] + n[HD_SLOT_CLAIMED] + n[HD_SLOT_SENDING] + n[HD_SLOT_UNKNOWN] + n[HD_SLOT_REFUSED] + n[HD_SLOT_HELD];
	parts[0] += count->on_time;
	parts[1] += count->late;
	parts[2] += n[HD_SLOT_MISSING];
	parts[3] += open + n[HD_SLOT_SHADOW];
	return HYDRO_OK;
}

static int put_days(struct report *r, struct hydro_error *err)
{
	static const char *const names[] = {"a tiempo", "on time", "atrasadas", "late", "sin medición", "no measurement", "pendientes o en sombra", "open or shadow"};
	int32_t offset = r->compliance.utc_offset_s;
	r->first_day = hd_calendar_day(offset, r->compliance.from_ms);
	int64_t days = hd_calendar_day(offset, r->compliance.to_ms - 1) - r->first_day + 1;
	if (days < 2 || days > DAYS_MAX)
		return HYDRO_OK;
	r->day_count = (uint32_t)days;
	for (uint32_t i = 0; i < r->day_count; i++) {
		char date[32];
		hd_local_date(hd_calendar_day_start(offset, r->first_day + i), offset, date);
		(void)snprintf(r->days[i].label, sizeof r->days[i].label, "%.2s", date + 8);
	}
	for (uint32_t i = 0; i < r->compliance.count; i++) {
		int rc = hd_ledger_days(r->ledger, r->compliance.rows[i].work, r->first_day, r->first_day + days, add_day, r, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	hd_doc_section(r->doc, "Por día", "By day", false);
	hd_doc_bars(r->doc, r->days, r->day_count, names);
	return HYDRO_OK;
}

static void put_works(struct report *r)
{
	static const struct hd_doc_column columns[] = {{"Obra", "Work", 1.55, false}, {"Nombre", "Name", 1.7, false}, {"Estándar", "Standard", 1.15, false},
		{"Debidas", "Due", .95, true}, {"Informadas", "Filed", 1.2, true}, {"A tiempo", "On time", 1.05, true}, {"Atrasadas", "Late", 1.1, true},
		{"Sobre plazo", "Over lag", 1.25, true}, {"Sin medición", "Missing", 1.35, true}, {"Pendientes", "Open", 1.15, true}};
	hd_doc_section(r->doc, "Por obra", "By work", false);
	hd_doc_table(r->doc, columns, HD_ARRAY_LEN(columns));
	for (uint32_t i = 0; i < r->compliance.count; i++) {
		const struct hd_compliance_row *row = &r->compliance.rows[i];
		char text[7][24];
		const char *const cells[] = {row->key, row->name, row->standard, count_text(row->due, text[0]), count_text(row->filed, text[1]),
			share_text(row->on_time_share, text[2]), count_text(row->late, text[3]), count_text(row->over_lag, text[4]), count_text(row->missing, text[5]),
			count_text(open_of(row), text[6])};
		hd_doc_row(r->doc, cells, share_tone(row->on_time_share));
	}
	hd_doc_table_end(r->doc);
}

static void put_causes(struct report *r)
{
	static const struct hd_doc_column columns[] = {{"Obra", "Work", 1.5, false}, {"Estado", "State", 1.8, false}, {"Causa", "Cause", 3, false},
		{"Cause", "in English", 2.6, false}, {"Períodos", "Slots", 1, true}};
	bool any = false;
	for (uint32_t i = 0; i < r->compliance.count && !any; i++)
		any = r->compliance.rows[i].cause_count > 0;
	if (!any)
		return;
	hd_doc_section(r->doc, "Lo que no se informó, con su causa", "What was not filed, and why", false);
	hd_doc_table(r->doc, columns, HD_ARRAY_LEN(columns));
	for (uint32_t i = 0; i < r->compliance.count; i++) {
		const struct hd_compliance_row *row = &r->compliance.rows[i];
		for (uint32_t k = 0; k < row->cause_count; k++) {
			const struct hd_compliance_cause *cause = &row->causes[k];
			char number[24];
			const char *const cells[] = {row->key, hd_slot_state_text(cause->state, true), hd_cause_text(cause->text, true), hd_cause_text(cause->text, false),
						     count_text(cause->slots, number)};
			hd_doc_row(r->doc, cells, cause->state == HD_SLOT_MISSING ? HD_TONE_BAD : HD_TONE_WARN);
		}
	}
	hd_doc_table_end(r->doc);
}

static const char *value_text(double value, char ret[24])
{
	(void)snprintf(ret, 24, isnan(value) ? "" : "%.10g", value);
	return ret;
}

static int put_receipt(void *arg, const struct hd_slot *slot, struct hydro_error *err)
{
	struct report *r = arg;
	char due[32], filed[32] = "", text[HYDRO_FIELDS][24];
	(void)err;
	r->rows++;
	hd_local_time(slot->due_ms, r->compliance.utc_offset_s, due);
	if (slot->filed_ms)
		hd_local_time(slot->filed_ms, r->compliance.utc_offset_s, filed);
	const char *const cells[] = {due, slot->receipt[0] ? slot->receipt : hd_slot_state_text(slot->state, true), value_text(slot->values[0], text[0]),
				     value_text(slot->values[1], text[1]), value_text(slot->values[2], text[2]), filed};
	hd_doc_row(r->doc, cells, slot->state == HD_SLOT_FILED_DIFFERS ? HD_TONE_BAD : slot->marks & HD_SLOT_LATE ? HD_TONE_WARN : HD_TONE_PLAIN);
	return HYDRO_OK;
}

static int put_receipts(struct report *r, struct hydro_error *err)
{
	static const struct hd_doc_column columns[] = {{"Fecha y hora", "Date and hour", 1.5, false}, {"Comprobante", "Receipt", 3.1, false},
		{"Caudal l/s", "Flow", 1, true}, {"Total m3", "Total", 1.1, true}, {"Nivel", "Level", .9, true}, {"Informada", "Filed at", 1.6, true}};
	const uint32_t states = 1u << HD_SLOT_FILED | 1u << HD_SLOT_FILED_NO_RECEIPT | 1u << HD_SLOT_FILED_DIFFERS | 1u << HD_SLOT_BY_HAND;
	if (r->compliance.all.filed > HD_REPORT_RECEIPTS_MAX) {
		hd_doc_section(r->doc, "Comprobantes", "Receipts", false);
		hd_doc_text(r->doc, "Son demasiados para este documento: están en el informe en CSV.", "Too many for this document: they are in the CSV report.");
		return HYDRO_OK;
	}
	for (uint32_t i = 0; i < r->compliance.count; i++) {
		char title[500];
		r->row = &r->compliance.rows[i];
		if (r->row->filed == 0)
			continue;
		(void)snprintf(title, sizeof title, "Comprobantes %s %s", r->row->key, r->row->name);
		hd_doc_section(r->doc, title, "Receipts", true);
		hd_doc_table(r->doc, columns, HD_ARRAY_LEN(columns));
		struct hd_slot_filter filter = {.work = r->row->work, .states = states, .from_ms = r->compliance.from_ms, .to_ms = r->compliance.to_ms};
		int rc = hd_ledger_slots(r->ledger, &filter, put_receipt, r, err);
		if (rc != HYDRO_OK)
			return rc;
		hd_doc_table_end(r->doc);
	}
	return HYDRO_OK;
}

/* How people call the regulator. */
static const char *authority_of(const struct report *r)
{
	const struct hd_adapter *adapter = r->adapters ? hd_adapters_at(r->adapters, 0) : NULL;
	return adapter ? hd_adapter_info(adapter)->authority : "";
}

static void put_notes(struct report *r)
{
	char zone[HD_CALENDAR_ZONE_TEXT], es[320], en[256];
	hd_calendar_zone(r->compliance.utc_offset_s, zone);
	(void)snprintf(es, sizeof es, "Fechas y horas en %s todo el año, como las pide el regulador (%.40s). \"A tiempo\": informada dentro del plazo contado desde su medición, sobre las debidas cuyo plazo ya pasó.",
		       zone, authority_of(r));
	(void)snprintf(en, sizeof en, "Dates and hours in %s all year. \"On time\": filed within the deadline counted from its measurement, of those due whose deadline has passed.", zone);
	hd_doc_section(r->doc, "Notas", "Notes", false);
	hd_doc_text(r->doc, es, en);
	hd_doc_text(r->doc, "Lo que no tuvo una medición real no se informa: nunca se completa con un cero, un promedio ni el último valor. Cada comprobante se prueba con: hydroctl dga verify COMPROBANTE.",
		    "What had no real measurement is not filed: it is never filled. Each receipt is proved by: hydroctl dga verify RECEIPT.");
}

static int write_document(struct report *r, struct hydro_error *err)
{
	put_tiles(r);
	int rc = put_days(r, err);
	if (rc != HYDRO_OK)
		return rc;
	put_works(r);
	put_causes(r);
	put_notes(r);
	return put_receipts(r, err);
}

static void subtitle_of(const struct report *r, char ret[400])
{
	char from[32], to[32], now[32], zone[HD_CALENDAR_ZONE_TEXT];
	int32_t offset = r->compliance.utc_offset_s;
	hd_calendar_zone(offset, zone);
	hd_local_date(r->compliance.from_ms, offset, from);
	hd_local_date(r->compliance.to_ms - 1, offset, to);
	hd_local_time(r->query->now_ms, offset, now);
	const char *whose = r->query->client ? r->query->client : r->query->code ? r->query->code : "todas las obras";
	(void)snprintf(ret, 400, "%.200s · %s – %s · emitido %s (%s)", whose, from, to, now, zone);
}

int hd_report_document(struct hd_ledger *ledger, const struct hd_adapters *adapters, const struct hd_report_query *query, uint32_t format,
		       struct hd_buf *ret, struct hydro_error *err)
{
	struct report *r = calloc(1, sizeof *r);
	char subtitle[400], title[96];
	if (!r)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a report");
	r->ledger = ledger;
	r->adapters = adapters;
	r->query = query;
	int rc = take_works(r, err);
	if (rc == HYDRO_OK) {
		subtitle_of(r, subtitle);
		(void)snprintf(title, sizeof title, "Informe mensual de la transmisión a la %.40s", authority_of(r));
		rc = hd_doc_new(format, title, "Monthly report of filing", subtitle, &r->doc, err);
	}
	if (rc == HYDRO_OK)
		rc = write_document(r, err);
	if (rc == HYDRO_OK)
		rc = hd_doc_finish(r->doc, ret, err);
	hd_doc_free(&r->doc);
	hd_compliance_done(&r->compliance);
	free(r);
	return rc;
}
