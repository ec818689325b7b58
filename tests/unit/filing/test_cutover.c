/* SPDX-License-Identifier: MIT */
/* Taking over from another system: which slot collides, its receipts, and what it filed beside ours. */
#include "dga_kit.h"

#include "base/tz.h"
#include "filing/cutover.h"
#include "store/csv.h"

#include <hydro/abi.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define HOUR INT64_C(3600000)
static const struct hd_calendar hourly = {.every = HYDRO_EVERY_HOUR, .utc_offset_s = -14400, .lag_ms = 7 * 24 * HOUR};
static const struct hd_calendar daily = {.every = HYDRO_EVERY_DAY, .utc_offset_s = -14400, .at_ms = 12 * HOUR, .lag_ms = 15 * 24 * HOUR};

static struct hd_cutover plan(const struct hd_calendar *calendar, const char *zone, int64_t at_ms)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_tz *tz = NULL;
	struct hd_cutover ret;
	cr_assert_eq(hd_tz_load(zone, &tz, &err), HYDRO_OK, "%s", err.text);
	hd_cutover_plan(calendar, tz, at_ms, &ret);
	hd_tz_free(&tz);
	return ret;
}

Test(cutover, in_summer_the_first_slot_collides_with_the_hour_before)
{
	/* 2026-01-15 10:00 UTC-4; local time is then 11:00 (-3). */
	int64_t at = INT64_C(1768485600000);
	struct hd_cutover ret = plan(&hourly, "America/Santiago", at);
	cr_assert_eq(ret.collision_count, 1);
	cr_assert_eq(ret.collisions[0].due_ms, at);
	cr_assert_eq(ret.collisions[0].filed_ms, at - HOUR);
	cr_assert_eq(ret.zone_offset_s, -10800);
	/* Winter time begins on 2026-04-05 03:00Z: from the slot after it nothing collides. */
	cr_assert_eq(ret.safe_ms, INT64_C(1775361600000));
	cr_assert_not_null(strstr(ret.es, "2026-01-15 10:00"), "%s", ret.es);
	cr_assert_not_null(strstr(ret.es, "`starts` en 2026-01-15 11:00"), "%s", ret.es);
}

Test(cutover, in_winter_nothing_collides_and_where_summer_is_all_year_it_always_does)
{
	int64_t july = INT64_C(1783000800000);
	struct hd_cutover winter = plan(&hourly, "America/Santiago", july), south = plan(&hourly, "America/Punta_Arenas", july), west = plan(&hourly, "Pacific/Easter", july);
	cr_assert_eq(winter.collision_count, 0);
	cr_assert_eq(winter.safe_ms, winter.at_ms);
	cr_assert_eq(south.collision_count, 1);
	cr_assert_eq(south.safe_ms, 0);
	cr_assert_eq(west.collision_count, 0);
}

Test(cutover, a_daily_slot_collides_only_when_its_label_was_filed_that_day)
{
	/* Switch at 11:30 UTC-4 = 12:30 local: the old system has filed 12:00 local, which is 11:00 UTC-4. */
	int64_t noon = INT64_C(1768492800000);
	cr_assert_eq(plan(&daily, "America/Santiago", noon - HOUR / 2).collision_count, 1);
	cr_assert_eq(plan(&daily, "America/Santiago", noon - 2 * HOUR).collision_count, 0);
}

static int line(const char *csv_text, struct hd_foreign_receipt *ret, struct hydro_error *err)
{
	static struct hd_csv csv;
	struct hd_foreign_columns columns;
	bool end;
	hd_csv_done(&csv);
	hd_csv_init(&csv, csv_text, strlen(csv_text));
	int rc = hd_csv_next(&csv, &end, err);
	if (rc == HYDRO_OK)
		rc = hd_foreign_columns_take(&csv, &columns, err);
	if (rc == HYDRO_OK)
		rc = hd_csv_next(&csv, &end, err);
	return rc == HYDRO_OK ? hd_foreign_line(&columns, &csv, -14400, ret, err) : rc;
}

Test(cutover, receipts_are_read_with_the_label_that_was_filed)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_foreign_receipt row;
	cr_assert_eq(line("code,date,hour,receipt,flow,total,level\nOB-0101-1,2026-01-15,10:00,abc123,1.5,100,\n", &row, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(row.due_ms, INT64_C(1768485600000));
	cr_assert_str_eq(row.receipt, "abc123");
	cr_assert_float_eq(row.values[0], 1.5, 1e-9);
	cr_assert(isnan(row.values[2]));
	cr_assert_eq(line("codigo_obra;fecha;hora;comprobante\nOB-0101-1;15-01-2026;10:00:00;abc123\n", &row, &err), HYDRO_OK, "%s", err.text);
	cr_assert_eq(row.due_ms, INT64_C(1768485600000));
	cr_assert_eq(line("code,due,receipt\nOB-0101-1,2026-01-15T10:00:00-04:00,abc123\n", &row, &err), HYDRO_OK);
	cr_assert_eq(row.due_ms, INT64_C(1768485600000));
	static const char *const bad[] = {"code,receipt\nx,y\n", "code,date,hour,recipt\n", "code,date,hour,receipt\nOB-0101-1,2026-02-30,10:00,a\n",
					  "code,date,hour,receipt\nOB-0101-1,2026-01-15,10,a\n", "code,date,hour,receipt\n,2026-01-15,10:00,a\n",
					  "code,date,hour,receipt\nOB-0101-1,2026-01-15,10:00,\n", "code,date,hour,receipt,flow\nOB-0101-1,2026-01-15,10:00,a,1,5\n",
					  "code,date,hour,receipt,flow\nOB-0101-1,2026-01-15,10:00,a,doce\n"};
	for (size_t i = 0; i < HD_ARRAY_LEN(bad); i++)
		cr_assert(line(bad[i], &row, &err) != HYDRO_OK || i == 6, "%s", bad[i]);
}

/* ---- beside ours ---- */

struct seen {
	uint32_t count;
	struct hd_compared rows[32];
};

static int see(void *arg, const struct hd_compared *row, struct hydro_error *err)
{
	struct seen *seen = arg;
	(void)err;
	cr_assert_lt(seen->count, 32);
	seen->rows[seen->count++] = *row;
	return HYDRO_OK;
}

/* A shadow slot of ours. */
static void shadow(struct dga_kit *kit, uint32_t work, int64_t due_ms, double flow)
{
	struct hd_slot_change change = ledger_kit_change(work, due_ms, HD_SLOT_DUE, HD_SLOT_SHADOW);
	double values[3] = {flow, 1000 + flow, 3};
	change.payload = KIT_PAYLOAD;
	change.payload_len = strlen(KIT_PAYLOAD);
	change.adapter = "dga";
	change.measured_ms = due_ms - 60000;
	change.values = values;
	cr_assert_eq(ledger_kit_apply(&kit->ledger, &change), HYDRO_OK, "%s", kit->ledger.err.text);
}

Test(cutover, what_they_filed_stands_beside_what_we_would_have_filed)
{
	struct dga_kit kit;
	struct seen seen = {0};
	struct hd_comparison comparison;
	struct hd_import_report report;
	dga_kit_begin(&kit);
	uint32_t work = dga_kit_work(&kit, "OB-0101-1", "mayor", "");
	for (int i = 0; i < 6; i++)
		shadow(&kit, work, KIT_DUE + i * HOUR, 10 + i);
	/* They file local time: their 01:00 is our 00:00. Their last has a receipt alone. */
	static const char csv[] = "code,date,hour,receipt,flow,total\nOB-0101-1,2026-01-01,01:00,r0,10.00,1010\nOB-0101-1,2026-01-01,02:00,r1,11.00,1011\n"
				  "OB-0101-1,2026-01-01,03:00,r2,12,1012\nOB-0101-1,2026-01-01,04:00,r3,,\n";
	struct hd_foreign_import import = {.ledger = kit.ledger.ledger, .utc_offset_s = -14400, .source = "antiguo"};
	cr_assert_eq(hd_foreign_import(&import, csv, strlen(csv), &report, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(report.created, 4);
	hd_import_report_done(&report);
	cr_assert_eq(hd_cutover_compare(kit.ledger.ledger, work, KIT_DUE, KIT_DUE + 24 * HOUR, .01, see, &seen, &comparison, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(seen.count, 6);
	cr_assert_eq(seen.rows[0].outcome, HD_COMPARED_ONLY_OURS);
	cr_assert_eq(seen.rows[1].outcome, HD_COMPARED_DIFFERS);
	cr_assert_str_eq(seen.rows[1].receipt, "r0");
	cr_assert_eq(seen.rows[4].outcome, HD_COMPARED_OPEN);
	cr_assert_eq(comparison.shift_h, 1);
	cr_assert_eq(comparison.shift_matches, 3);
	dga_kit_end(&kit);
}

Test(cutover, receipts_of_works_that_are_not_there_are_told_by_line)
{
	struct dga_kit kit;
	struct hd_import_report report;
	dga_kit_begin(&kit);
	static const char csv[] = "code,date,hour,receipt\nOB-0101-1,2026-01-01,01:00,r0\n";
	struct hd_foreign_import import = {.ledger = kit.ledger.ledger, .utc_offset_s = -14400, .source = "antiguo"};
	cr_assert_eq(hd_foreign_import(&import, csv, strlen(csv), &report, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(report.failed, 1);
	cr_assert(!report.applied);
	cr_assert_not_null(strstr(hd_buf_text(&report.errors), "{\"line\":2,\"column\":\"code\",\"detail\":\"there is no work \\\"OB-0101-1\\\"\"}"), "%s", hd_buf_text(&report.errors));
	hd_import_report_done(&report);
	dga_kit_end(&kit);
}
