/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "store/csv.h"

static void expect_fields(struct hd_csv *csv, const char *joined)
{
	bool end;
	char text[512] = "";
	cr_assert_eq(hd_csv_next(csv, &end, NULL), HYDRO_OK);
	cr_assert_not(end);
	for (uint32_t i = 0; i < csv->count; i++)
		(void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s<%s>", i ? "" : "", hd_csv_field(csv, i));
	cr_assert_str_eq(text, joined);
}

Test(csv, records_by_rfc_4180_with_either_delimiter)
{
	struct hd_csv csv;
	bool end;
	static const char text[] = "\xef\xbb\xbf" "a;b;c\r\n 1 ; \"x\" ;\n\"q;\"\"r\nsecond\";;z\n\n\n;last";
	hd_csv_init(&csv, text, sizeof text - 1);
	expect_fields(&csv, "<a><b><c>");
	expect_fields(&csv, "<1><\"x\"><>");
	cr_assert_eq(csv.record_line, 2);
	expect_fields(&csv, "<q;\"r\nsecond><><z>");
	cr_assert_eq(csv.record_line, 3);
	expect_fields(&csv, "<><last>");
	cr_assert_eq(csv.record_line, 7);
	cr_assert_str_eq(hd_csv_field(&csv, 9), "");
	cr_assert(hd_csv_next(&csv, &end, NULL) == HYDRO_OK && end);
	hd_csv_done(&csv);
}

Test(csv, a_bad_record_is_told_and_the_next_one_read)
{
	struct hd_csv csv;
	bool end;
	static const char text[] = "a,b\n\"open,1\nx\"y,\"2\"z\n\xff,3\nnul\0,4\ngood,5\n";
	static const int codes[] = {HYDRO_OK, HYDRO_E_PARSE, HYDRO_E_PARSE, HYDRO_E_PARSE, HYDRO_E_PARSE, HYDRO_OK};
	hd_csv_init(&csv, text, sizeof text - 1);
	for (size_t i = 0; i < HD_ARRAY_LEN(codes); i++) {
		cr_assert_eq(hd_csv_next(&csv, &end, NULL), codes[i], "record %zu", i);
		cr_assert_eq(csv.record_line, i + 1);
	}
	cr_assert_str_eq(hd_csv_field(&csv, 0), "good");
	hd_csv_done(&csv);
	char many[2 * HD_CSV_COLUMNS_MAX + 8] = "";
	memset(many, ',', HD_CSV_COLUMNS_MAX);
	many[HD_CSV_COLUMNS_MAX] = '\n';
	hd_csv_init(&csv, many, strlen(many));
	cr_assert_eq(hd_csv_next(&csv, &end, NULL), HYDRO_E_LIMIT);
	hd_csv_done(&csv);
	char *long_line = calloc(1, HD_CSV_RECORD_BYTES_MAX + 2);
	memset(long_line, 'x', HD_CSV_RECORD_BYTES_MAX + 1);
	hd_csv_init(&csv, long_line, HD_CSV_RECORD_BYTES_MAX);
	cr_assert_eq(hd_csv_next(&csv, &end, NULL), HYDRO_OK);
	hd_csv_done(&csv);
	hd_csv_init(&csv, long_line, HD_CSV_RECORD_BYTES_MAX + 1);
	cr_assert_eq(hd_csv_next(&csv, &end, NULL), HYDRO_E_LIMIT);
	hd_csv_done(&csv);
	free(long_line);
}

static int import(struct store_world *w, const char *csv, bool skip_bad, struct hd_import_report *report)
{
	return hd_store_points_import(w->store, csv, strlen(csv), skip_bad, &store_world_checks, report, &w->err);
}

static const char lines[] =
	"name,provider,pipeline,period,option.secret,option.limit,option.keys.flow,option.keys.level,param.offset,param.label\n"
	"one,twin,well,15m,tok-1,5,5001,5002,1.50,a\n"
	"two,twin,well,,tok-2,,5001,,,7b\n";

Test(import, makes_points_of_lines_with_typed_options_and_parameters)
{
	struct store_world w;
	struct hd_points *points;
	struct hd_import_report report;
	store_world_begin(&w);
	cr_assert_eq(hd_points_new(&points), HYDRO_OK);
	cr_assert_eq(hd_store_points_load(w.store, points, &w.err), HYDRO_OK);
	cr_assert_eq(import(&w, lines, false, &report), HYDRO_OK, "%s", w.err.text);
	cr_assert(report.created == 2 && report.failed == 0 && report.applied && report.lines == 2, "%s", hd_buf_text(&report.errors));
	hd_import_report_done(&report);
	const struct hd_point *point = hd_points_get(points, 0);
	cr_assert_str_eq(hd_point_options(point), "{\"secret\":\"tok-1\",\"limit\":5,\"keys\":{\"flow\":\"5001\",\"level\":\"5002\"}}");
	cr_assert_str_eq(hd_point_params(point), "{\"offset\":1.5,\"label\":\"a\"}");
	cr_assert_eq(point->period_s, 900);
	char again[512], id[HD_UUID_TEXT];
	hd_uuid_format(&point->id, id);
	hd_point_unref(point);
	/* With its id a line replaces the row. */
	(void)snprintf(again, sizeof again, "id,name,provider,active\n%s,uno,twin,false\n,three,twin,\n", id);
	cr_assert_eq(import(&w, again, false, &report), HYDRO_OK);
	cr_assert(report.created == 1 && report.updated == 1);
	hd_import_report_done(&report);
	point = hd_points_get(points, 0);
	cr_assert(strcmp(hd_point_name(point), "uno") == 0 && point->version == 2 && point->bits == 0);
	hd_point_unref(point);
	cr_assert_eq(hd_points_count(points), 3);
	hd_store_close(&w.store);
	hd_points_free(&points);
	store_world_end(&w);
}

static const char bad_lines[] =
	"name,provider,account,pipeline,period,start,option.bad\n"
	"good,twin,,,1h,,\n"
	",twin,,,,,\n"
	"x,nobody,,,,,\n"
	"x,twin,ghost,,,,\n"
	"x,twin,,none,,,\n"
	"x,twin,,,soon,,\n"
	"x,twin,,,,tomorrow,\n"
	"x,twin,,,,,1\n"
	"x,twin,,,,,,,,\n"
	"x,twin,,,2d,,\n"
	"\"x,twin\n"
	"fine,twin,,,,2026-01-01T00:00:00Z,\n";

static int ignore(void *arg, const struct hd_store_point *point, struct hydro_error *err)
{
	(void)arg, (void)point, (void)err;
	return HYDRO_OK;
}

static uint64_t count_points(struct store_world *w)
{
	struct hd_store_page page;
	struct hd_store_point_filter filter = {.active = -1, .after = -1, .limit = 1, .want_total = true};
	cr_assert_eq(hd_store_point_list(w->store, &filter, ignore, NULL, &page, &w->err), HYDRO_OK);
	return page.total;
}

Test(import, tells_line_column_and_reason_and_stores_all_or_skips_the_bad)
{
	struct store_world w;
	struct hd_import_report report;
	store_world_begin(&w);
	cr_assert_eq(import(&w, bad_lines, false, &report), HYDRO_OK, "%s", w.err.text);
	cr_assert(report.failed == 10 && !report.applied && report.created == 0 && report.lines == 12, "%d", (int)report.failed);
	static const char *const told[] = {"{\"line\":3,\"column\":\"name\"", "{\"line\":4,\"column\":\"options\",\"detail\":\"there is no provider nobody\"}",
					   "{\"line\":5,\"column\":\"account\"", "{\"line\":6,\"column\":\"pipeline\"", "{\"line\":7,\"column\":\"period\"",
					   "{\"line\":8,\"column\":\"start\"", "{\"line\":9,\"column\":\"options\",\"detail\":\"option 'bad'", "{\"line\":10,\"column\":null",
					   "{\"line\":11,\"column\":\"period\"", "{\"line\":12,\"column\":null"};
	for (size_t i = 0; i < HD_ARRAY_LEN(told); i++)
		cr_assert_not_null(strstr(hd_buf_text(&report.errors), told[i]), "%s in %s", told[i], hd_buf_text(&report.errors));
	hd_import_report_done(&report);
	cr_assert_eq(count_points(&w), 0);
	cr_assert_eq(import(&w, bad_lines, true, &report), HYDRO_OK);
	cr_assert(report.failed == 10 && report.applied && report.created == 2);
	hd_import_report_done(&report);
	cr_assert_eq(count_points(&w), 2);
	store_world_end(&w);
}

Test(import, refuses_a_header_that_does_not_fit)
{
	static const struct {
		const char *csv, *says;
	} cases[] = {
		{"", "columns"},
		{"name,provider,colour\n", "colour"},
		{"name,name,provider\n", "twice"},
		{"name,pipeline\n", "provider"},
		{"name,provider,options,option.a\n", "not both"},
		{"name,provider,option.a,option.a.b\n", "twice"},
		{"name,provider,option.\n", "option."},
		{"name,provider,option.a.b.c\n", "option.a.b.c"},
	};
	struct store_world w;
	struct hd_import_report report;
	store_world_begin(&w);
	for (size_t i = 0; i < HD_ARRAY_LEN(cases); i++) {
		cr_assert_eq(import(&w, cases[i].csv, false, &report), HYDRO_E_INVALID, "%s", cases[i].csv);
		cr_assert_not_null(strstr(w.err.text, cases[i].says), "%s: %s", cases[i].csv, w.err.text);
		hd_import_report_done(&report);
	}
	store_world_end(&w);
}

Test(import, takes_accounts_and_points_that_name_them)
{
	struct store_world w;
	struct hd_import_report report;
	static const char accounts[] = "provider,name,option.user,option.secret\ntwin,main,ana,pw\nnovus,main,,\n";
	static const char points[] = "name,provider,account\na,twin,main\nb,novus,main\n";
	store_world_begin(&w);
	cr_assert_eq(hd_store_accounts_import(w.store, accounts, strlen(accounts), false, &store_world_checks, &report, &w.err), HYDRO_OK);
	cr_assert_eq(report.created, 2, "%s", hd_buf_text(&report.errors));
	hd_import_report_done(&report);
	cr_assert_eq(import(&w, points, false, &report), HYDRO_OK);
	cr_assert_eq(report.created, 2, "%s", hd_buf_text(&report.errors));
	hd_import_report_done(&report);
	store_world_end(&w);
}
