/* SPDX-License-Identifier: MIT */
/* Compliance figures, the monthly report in its three forms, failures of transmission, and the sheet. */
#include "dga_kit.h"

#include "filing/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)

/* Two hourly works over ten hours: one all filed; the other with two gaps, one refused and one late. */
static void fill(struct dga_kit *kit, uint32_t ret[2])
{
	char receipt[32];
	ret[0] = dga_kit_work(kit, "OB-0101-1", "mayor", "Agrícola <Sur> & Cía");
	ret[1] = dga_kit_work(kit, "OB-0101-2", "mayor", "Minera Ñuble");
	for (int i = 0; i < 10; i++) {
		(void)snprintf(receipt, sizeof receipt, "uno%d", i);
		ledger_kit_file(&kit->ledger, ret[0], KIT_DUE + i * HOUR, receipt);
	}
	for (int i = 0; i < 6; i++) {
		(void)snprintf(receipt, sizeof receipt, "dos%d", i);
		ledger_kit_file(&kit->ledger, ret[1], KIT_DUE + i * HOUR, receipt);
	}
	dga_kit_missing(kit, ret[1], KIT_DUE + 6 * HOUR, "no_reading");
	dga_kit_missing(kit, ret[1], KIT_DUE + 7 * HOUR, "no_reading");
	static const uint32_t states[] = {HD_SLOT_DUE, HD_SLOT_QUEUED, HD_SLOT_CLAIMED, HD_SLOT_SENDING, HD_SLOT_REFUSED};
	uint32_t epoch = 0;
	for (size_t i = 1; i < HD_ARRAY_LEN(states); i++) {
		struct hd_slot_change change = ledger_kit_change(ret[1], KIT_DUE + 8 * HOUR, states[i - 1], states[i]);
		change.epoch = epoch;
		change.cause = states[i] == HD_SLOT_REFUSED ? "http 503" : NULL;
		cr_assert_eq(ledger_kit_apply(&kit->ledger, &change), HYDRO_OK, "%s", kit->ledger.err.text);
		epoch = change.epoch;
	}
}

static struct hd_compliance take(struct dga_kit *kit, uint32_t by, const char *code)
{
	struct hd_compliance ret;
	struct hd_compliance_query query = {.by = by, .code = code, .from_ms = KIT_DUE, .to_ms = KIT_DUE + DAY, .now_ms = KIT_DUE + 12 * HOUR - 1};
	cr_assert_eq(hd_compliance_take(kit->ledger.ledger, kit->adapters, &query, &ret, &kit->err), HYDRO_OK, "%s", kit->err.text);
	return ret;
}

Test(compliance, due_is_filed_missing_open_and_waiting)
{
	struct dga_kit kit;
	uint32_t works[2];
	dga_kit_begin(&kit);
	fill(&kit, works);
	struct hd_compliance c = take(&kit, HD_COMPLIANCE_BY_WORK, NULL);
	cr_assert_eq(c.count, 2);
	cr_assert_str_eq(c.rows[0].key, "OB-0101-1");
	cr_assert_eq(c.rows[0].due, 12);
	cr_assert_eq(c.rows[0].filed, 10);
	cr_assert_eq(c.rows[0].on_time, 10);
	cr_assert_eq(c.rows[0].waiting, 2);
	cr_assert_eq(c.rows[0].settled, 11);
	cr_assert_eq(c.rows[0].next_due_ms, KIT_DUE + 12 * HOUR);
	const struct hd_compliance_row *row = &c.rows[1];
	cr_assert_eq(row->filed, 6);
	cr_assert_eq(row->missing, 2);
	cr_assert_eq(row->refused, 1);
	cr_assert_eq(row->waiting, 3);
	cr_assert_eq(row->due, row->filed + row->missing + row->refused + row->waiting);
	cr_assert_eq(row->oldest_open_ms, KIT_DUE + 8 * HOUR);
	cr_assert_eq(row->next_limit_ms, KIT_DUE + 8 * HOUR + 7 * DAY);
	cr_assert_eq(row->cause_count, 2);
	cr_assert_str_eq(row->causes[0].text, "no_reading");
	cr_assert_eq(row->causes[0].slots, 2);
	cr_assert_float_eq(row->on_time_share, 6.0 / 11, 1e-9);
	cr_assert_eq(c.all.due, 24);
	hd_compliance_done(&c);
	c = take(&kit, HD_COMPLIANCE_BY_CLIENT, NULL);
	cr_assert_eq(c.count, 2);
	cr_assert_str_eq(c.rows[1].key, "Minera Ñuble");
	hd_compliance_done(&c);
	c = take(&kit, HD_COMPLIANCE_BY_STANDARD, NULL);
	cr_assert_eq(c.count, 1);
	cr_assert_eq(c.rows[0].works, 2);
	hd_compliance_done(&c);
	c = take(&kit, HD_COMPLIANCE_BY_WORK, "OB-0101-2");
	cr_assert_eq(c.count, 1);
	cr_assert_eq(c.all.missing, 2);
	hd_compliance_done(&c);
	dga_kit_end(&kit);
}

Test(compliance, what_is_filed_before_its_deadline_does_not_hide_what_was_not)
{
	struct dga_kit kit;
	dga_kit_begin(&kit);
	uint32_t one = dga_kit_work(&kit, "OB-0101-1", "mayor", ""), two = dga_kit_work(&kit, "OB-0101-2", "mayor", "");
	/* Both are due at 0 and 1 o'clock; at 1:30 the first has filed both, the second only the newer one. */
	ledger_kit_file(&kit.ledger, one, KIT_DUE, "a");
	ledger_kit_file(&kit.ledger, one, KIT_DUE + HOUR, "b");
	ledger_kit_file(&kit.ledger, two, KIT_DUE + HOUR, "c");
	struct hd_compliance c;
	struct hd_compliance_query query = {.by = HD_COMPLIANCE_BY_STANDARD, .from_ms = KIT_DUE, .to_ms = KIT_DUE + DAY, .now_ms = KIT_DUE + 3 * HOUR / 2};
	cr_assert_eq(hd_compliance_take(kit.ledger.ledger, kit.adapters, &query, &c, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(c.all.due, 4);
	cr_assert_eq(c.all.settled, 4);
	cr_assert_float_eq(c.all.on_time_share, .75, 1e-9);
	hd_compliance_done(&c);
	dga_kit_end(&kit);
}

static struct hd_buf document(struct dga_kit *kit, uint32_t format)
{
	struct hd_buf ret = {0};
	struct hd_report_query query = {.from_ms = KIT_DUE, .to_ms = KIT_DUE + 31 * DAY, .now_ms = KIT_DUE + 40 * DAY};
	cr_assert_eq(hd_report_document(kit->ledger.ledger, kit->adapters, &query, format, &ret, &kit->err), HYDRO_OK, "%s", kit->err.text);
	return ret;
}

static void keep(const char *name, const struct hd_buf *buf)
{
	const char *dir = getenv("HYDRO_KEEP");
	char path[256];
	if (!dir)
		return;
	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *file = fopen(path, "wb");
	cr_assert_not_null(file);
	(void)fwrite(buf->data, 1, buf->len, file);
	(void)fclose(file);
}

Test(report, it_is_a_page_that_needs_nothing_else_with_every_receipt)
{
	struct dga_kit kit;
	uint32_t works[2];
	dga_kit_begin(&kit);
	fill(&kit, works);
	struct hd_buf html = document(&kit, HD_DOC_HTML);
	const char *text = hd_buf_text(&html);
	cr_assert_not_null(strstr(text, "Informe mensual de la transmisión a la DGA"));
	cr_assert_not_null(strstr(text, "no hubo medición del sensor"));
	cr_assert_not_null(strstr(text, "2026-01-01 05:00"));
	cr_assert_null(strstr(text, "http://"));
	cr_assert_null(strstr(text, "<script"));
	for (int i = 0; i < 10; i++) {
		char receipt[32];
		(void)snprintf(receipt, sizeof receipt, "<td>uno%d</td>", i);
		cr_assert_not_null(strstr(text, receipt), "%s", receipt);
	}
	keep("report.html", &html);
	hd_buf_clear(&html);
	struct hd_report_query query = {.client = "Agrícola <Sur> & Cía", .from_ms = KIT_DUE, .to_ms = KIT_DUE + DAY, .now_ms = KIT_DUE + DAY};
	cr_assert_eq(hd_report_document(kit.ledger.ledger, kit.adapters, &query, HD_DOC_HTML, &html, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_not_null(strstr(hd_buf_text(&html), "Agrícola &lt;Sur&gt; &amp; Cía"));
	cr_assert_null(strstr(hd_buf_text(&html), "<Sur>"));
	cr_assert_null(strstr(hd_buf_text(&html), "dos0"));
	hd_buf_done(&html);
	dga_kit_end(&kit);
}

Test(report, it_is_a_pdf)
{
	struct dga_kit kit;
	uint32_t works[2];
	dga_kit_begin(&kit);
	fill(&kit, works);
	struct hd_buf pdf = document(&kit, HD_DOC_PDF);
	cr_assert_gt(pdf.len, 1000);
	cr_assert_eq(memcmp(pdf.data, "%PDF-1.", 7), 0);
	cr_assert_not_null(memmem(pdf.data + pdf.len - 32, 32, "%%EOF", 5));
	keep("report.pdf", &pdf);
	hd_buf_done(&pdf);
	dga_kit_end(&kit);
}

Test(report, its_csv_has_a_line_for_each_slot_and_no_formula)
{
	struct dga_kit kit;
	uint32_t works[2];
	dga_kit_begin(&kit);
	fill(&kit, works);
	dga_kit_work(&kit, "OB-0101-3", "mayor", "=cmd|'/c calc'!A1");
	ledger_kit_file(&kit.ledger, works[1] + 1, KIT_DUE, "tres");
	struct hd_buf csv = {0};
	struct hd_report_query query = {.from_ms = KIT_DUE, .to_ms = KIT_DUE + 31 * DAY, .now_ms = KIT_DUE + 40 * DAY};
	cr_assert_eq(hd_report_csv(kit.ledger.ledger, kit.adapters, &query, &csv, &kit.err), HYDRO_OK, "%s", kit.err.text);
	const char *text = hd_buf_text(&csv);
	int lines = 0;
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	cr_assert_eq(lines, 1 + 10 + 9 + 1);
	cr_assert_not_null(strstr(text, "OB-0101-1,Pozo,Agrícola <Sur> & Cía,mayor,2026-01-01,03:00,informada,uno3,2026-01-01 03:04,15.31,425000,12.3,no,no,no,1,"), "%s", text);
	cr_assert_not_null(strstr(text, "sin medición,,"));
	cr_assert_not_null(strstr(text, ",\"'=cmd|'/c calc'!A1\","));
	hd_buf_done(&csv);
	query.client = "nadie";
	cr_assert_eq(hd_report_csv(kit.ledger.ledger, kit.adapters, &query, &csv, &kit.err), HYDRO_E_NOTFOUND);
	hd_buf_done(&csv);
	dga_kit_end(&kit);
}

struct seen {
	uint32_t count;
	struct hd_failure rows[8];
};

static int see(void *arg, const struct hd_failure *failure, struct hydro_error *err)
{
	struct seen *seen = arg;
	(void)err;
	cr_assert_lt(seen->count, 8);
	seen->rows[seen->count++] = *failure;
	return HYDRO_OK;
}

Test(report, failures_are_runs_of_one_cause)
{
	struct dga_kit kit;
	uint32_t works[2];
	struct seen seen = {0};
	dga_kit_begin(&kit);
	fill(&kit, works);
	dga_kit_missing(&kit, works[1], KIT_DUE + 9 * HOUR, "no_reading");
	dga_kit_missing(&kit, works[1], KIT_DUE + 10 * HOUR, "format: caudal");
	struct hd_report_query query = {.from_ms = KIT_DUE, .to_ms = KIT_DUE + 31 * DAY, .now_ms = KIT_DUE + 40 * DAY};
	cr_assert_eq(hd_failures(kit.ledger.ledger, kit.adapters, &query, see, &seen, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(seen.count, 3);
	cr_assert_str_eq(seen.rows[0].code, "OB-0101-2");
	cr_assert_eq(seen.rows[0].slots, 2);
	cr_assert_eq(seen.rows[0].first_ms, KIT_DUE + 6 * HOUR);
	cr_assert_eq(seen.rows[0].last_ms, KIT_DUE + 7 * HOUR);
	cr_assert_eq(seen.rows[1].slots, 1);
	cr_assert_str_eq(seen.rows[2].cause, "format: caudal");
	struct hd_buf text = {0};
	cr_assert_eq(hd_failures_json(kit.ledger.ledger, kit.adapters, &query, &text, &kit.err), HYDRO_OK);
	cr_assert_not_null(strstr(hd_buf_text(&text), "\"total\":3,\"slots\":4"));
	hd_buf_clear(&text);
	cr_assert_eq(hd_failures_document(kit.ledger.ledger, kit.adapters, &query, HD_DOC_PDF, &text, &kit.err), HYDRO_OK);
	cr_assert_eq(memcmp(text.data, "%PDF", 4), 0);
	keep("failures.pdf", &text);
	hd_buf_clear(&text);
	query.from_ms = KIT_DUE + 10 * DAY;
	cr_assert_eq(hd_failures_document(kit.ledger.ledger, kit.adapters, &query, HD_DOC_HTML, &text, &kit.err), HYDRO_OK);
	cr_assert_not_null(strstr(hd_buf_text(&text), "No hay fallas de transmisión"));
	hd_buf_done(&text);
	dga_kit_end(&kit);
}

Test(sheet, what_may_be_filed_by_sheet_is_in_it_until_it_is_filed)
{
	struct dga_kit kit;
	struct hd_buf sheet = {0};
	dga_kit_begin(&kit);
	struct hd_report_query query = {.from_ms = KIT_DUE, .to_ms = KIT_DUE + 31 * DAY, .now_ms = KIT_DUE + 40 * DAY};
	uint32_t hourly = dga_kit_work(&kit, "OB-0101-1", "mayor", ""), daily = dga_kit_work(&kit, "OB-0101-2", "medio", "");
	struct hd_slot_change change = ledger_kit_change(hourly, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED);
	cr_assert_eq(ledger_kit_apply(&kit.ledger, &change), HYDRO_OK);
	/* Works of the standard mayor are filed online alone. */
	cr_assert_eq(hd_sheet(kit.ledger.ledger, kit.adapters, &query, false, &sheet, &kit.err), HYDRO_E_NOTFOUND);
	change = ledger_kit_change(daily, KIT_DUE, HD_SLOT_DUE, HD_SLOT_QUEUED);
	cr_assert_eq(ledger_kit_apply(&kit.ledger, &change), HYDRO_OK);
	cr_assert_eq(hd_sheet(kit.ledger.ledger, kit.adapters, &query, false, &sheet, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_gt(sheet.len, 1000);
	cr_assert_eq(memcmp(sheet.data, "PK\003\004", 4), 0);
	keep("sheet.xlsx", &sheet);
	hd_buf_done(&sheet);
	ledger_kit_file(&kit.ledger, daily, KIT_DUE + DAY, "abc");
	query.from_ms = KIT_DUE + DAY;
	cr_assert_eq(hd_sheet(kit.ledger.ledger, kit.adapters, &query, false, &sheet, &kit.err), HYDRO_E_NOTFOUND);
	cr_assert_eq(hd_sheet(kit.ledger.ledger, kit.adapters, &query, true, &sheet, &kit.err), HYDRO_OK, "%s", kit.err.text);
	hd_buf_done(&sheet);
	dga_kit_end(&kit);
}

Test(month, it_begins_and_ends_at_midnight_of_the_regulators_clock)
{
	int64_t from, to;
	cr_assert(hd_month_parse("2026-01", -14400, &from, &to));
	cr_assert_eq(from, KIT_DUE);
	cr_assert_eq(to, KIT_DUE + 31 * DAY);
	cr_assert(hd_month_parse("2026-12", -14400, &from, &to));
	cr_assert_eq(to - from, 31 * DAY);
	static const char *const bad[] = {"", "2026", "2026-1", "2026-13", "2026-00", "26-01-01", "2026/01", "-026-01", "2026-1x", "2026-+1"};
	for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++)
		cr_assert(!hd_month_parse(bad[i], -14400, &from, &to), "%s", bad[i]);
}
