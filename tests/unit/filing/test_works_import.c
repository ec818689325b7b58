/* SPDX-License-Identifier: MIT */
/* Works from CSV: columns, values, checks with hints, and what is stored. */
#include "dga_kit.h"

#include "filing/works_import.h"

#include <stdio.h>
#include <string.h>

static struct hd_import_report import(struct dga_kit *kit, const char *csv, bool skip_bad, bool dry)
{
	struct hd_registry_ids ids;
	struct hd_import_report report;
	cr_assert_eq(hd_registry_ids_load(kit->ledger.ledger, &ids, &kit->err), HYDRO_OK);
	struct hd_work_context context = {.adapters = kit->adapters, .ids = &ids, .now_ms = KIT_DUE};
	struct hd_works_import how = {.ledger = kit->ledger.ledger, .context = &context, .by = "ana", .skip_bad = skip_bad, .dry = dry};
	int rc = hd_works_import(&how, csv, strlen(csv), &report, &kit->err);
	cr_assert_eq(rc, HYDRO_OK, "%s", kit->err.text);
	hd_registry_ids_done(&ids);
	return report;
}

static int refused(struct dga_kit *kit, const char *csv)
{
	struct hd_registry_ids ids;
	struct hd_import_report report;
	cr_assert_eq(hd_registry_ids_load(kit->ledger.ledger, &ids, &kit->err), HYDRO_OK);
	struct hd_work_context context = {.adapters = kit->adapters, .ids = &ids, .now_ms = KIT_DUE};
	struct hd_works_import how = {.ledger = kit->ledger.ledger, .context = &context, .by = "ana"};
	int rc = hd_works_import(&how, csv, strlen(csv), &report, &kit->err);
	hd_import_report_done(&report);
	hd_registry_ids_done(&ids);
	return rc;
}

static int take_work(void *arg, const struct hd_work *work, struct hydro_error *err)
{
	struct hd_work *ret = arg;
	static char name[64], options[64], client[64];
	(void)err;
	*ret = *work;
	(void)snprintf(name, sizeof name, "%s", work->name);
	(void)snprintf(options, sizeof options, "%s", work->options);
	(void)snprintf(client, sizeof client, "%s", work->client);
	ret->name = name;
	ret->options = options;
	ret->client = client;
	return HYDRO_OK;
}

static int get(struct dga_kit *kit, const char *code, struct hd_work *ret)
{
	return hd_ledger_work_get(kit->ledger.ledger, 0, NULL, code, take_work, ret, &kit->err);
}

static void told(const struct hd_import_report *report, const char *what)
{
	struct hd_buf errors = report->errors;
	cr_assert_not_null(errors.data && strstr(hd_buf_text(&errors), what) ? what : NULL, "no %s in %s", what, errors.data ? hd_buf_text(&errors) : "nothing");
}

Test(works_import, lines_become_works_and_a_code_that_is_there_is_changed)
{
	struct dga_kit kit;
	struct hd_work work;
	dga_kit_begin(&kit);
	struct hd_import_report report = import(&kit, "code,name,kind,standard,client,starts,centre,informant,granted_lps\n"
						      "OB-0101-1,Pozo \"uno\",subterranea,mayor,Agrícola Sur,2026-02-01,Centro Norte,12531909-2,12.5\n"
						      "OB-0101-2,Pozo dos,subterranea,medio,,,,,\n", false, false);
	cr_assert_eq(report.created, 2);
	cr_assert_eq(report.failed, 0);
	cr_assert(report.applied);
	hd_import_report_done(&report);
	cr_assert_eq(get(&kit, "OB-0101-1", &work), HYDRO_OK);
	cr_assert_eq(work.centre, kit.centre);
	cr_assert_eq(work.informant, kit.informant);
	cr_assert_eq(work.starts_ms, INT64_C(1769918400000)); /* 2026-02-01 00:00 UTC-4 */
	cr_assert_float_eq(work.granted_lps, 12.5, 1e-9);
	cr_assert_eq(work.mode, HD_MODE_OFF);
	cr_assert_eq(work.pick, HD_PICK_NEAREST);
	/* What is not given stays. */
	report = import(&kit, "code;mode;name\nOB-0101-1;off;Pozo uno\n", false, false);
	cr_assert_eq(report.updated, 1);
	hd_import_report_done(&report);
	cr_assert_eq(get(&kit, "OB-0101-1", &work), HYDRO_OK);
	cr_assert_str_eq(work.name, "Pozo uno");
	cr_assert_str_eq(work.client, "Agrícola Sur");
	cr_assert_eq(work.centre, kit.centre);
	dga_kit_end(&kit);
}

Test(works_import, a_misfit_names_its_line_and_column_and_the_nearest_name)
{
	struct dga_kit kit;
	struct hd_work work;
	dga_kit_begin(&kit);
	const char *csv = "code,kind,standard,mode,granted_lps,centre\n"
			  "OB-0101-1,subteranea,mayor,off,,\n"
			  "OB-0101-2,subterranea,mayr,off,,\n"
			  "OB-0101-3,subterranea,mayor,on,,\n"
			  "OB-0101-4,subterranea,mayor,off,doce,\n"
			  "OB-0101-5,subterranea,mayor,off,,Centro Sur\n"
			  "NOT A CODE,subterranea,mayor,off,,\n"
			  "OB-0101-7,subterranea,mayor,live,,\n"
			  ",subterranea,mayor,off,,\n"
			  "OB-0101-9,subterranea,mayor,off,,\n"
			  "OB-0101-9,subterranea,mayor,off,,\n"
			  "OB-0101-10,subterranea,mayor,off,,,,,\n";
	struct hd_import_report report = import(&kit, csv, false, false);
	cr_assert_eq(report.lines, 11);
	cr_assert_eq(report.failed, 10);
	cr_assert(!report.applied);
	told(&report, "{\"line\":2,\"column\":\"kind\"");
	told(&report, "did you mean \\\"subterranea\\\"?");
	told(&report, "{\"line\":3,\"column\":\"standard\"");
	told(&report, "did you mean \\\"mayor\\\"?");
	told(&report, "{\"line\":4,\"column\":\"mode\",\"detail\":\"one of off|shadow|live is wanted\"}");
	told(&report, "{\"line\":5,\"column\":\"granted_lps\"");
	told(&report, "{\"line\":6,\"column\":\"centre\",\"detail\":\"there is no centre \\\"Centro Sur\\\"\"}");
	told(&report, "{\"line\":7,\"column\":\"code\"");
	told(&report, "{\"line\":8,\"column\":\"starts\",\"detail\":\"a work in live needs its start of compliance\"}");
	told(&report, "{\"line\":8,\"column\":\"informant\"");
	told(&report, "{\"line\":9,\"column\":\"code\",\"detail\":\"is missing\"}");
	told(&report, "{\"line\":11,\"column\":\"code\",\"detail\":\"stands in line 10 too\"}");
	told(&report, "{\"line\":12,\"column\":null");
	hd_import_report_done(&report);
	cr_assert_eq(get(&kit, "OB-0101-9", &work), HYDRO_E_NOTFOUND);
	/* The good ones alone, when that is wanted. */
	report = import(&kit, csv, true, false);
	cr_assert_eq(report.created, 1);
	cr_assert(report.applied);
	hd_import_report_done(&report);
	cr_assert_eq(get(&kit, "OB-0101-9", &work), HYDRO_OK);
	dga_kit_end(&kit);
}

Test(works_import, a_dry_run_stores_nothing)
{
	struct dga_kit kit;
	struct hd_work work;
	dga_kit_begin(&kit);
	struct hd_import_report report = import(&kit, "code,kind,standard\nOB-0101-1,subterranea,mayor\n", false, true);
	cr_assert_eq(report.created, 1);
	cr_assert(!report.applied);
	hd_import_report_done(&report);
	cr_assert_eq(get(&kit, "OB-0101-1", &work), HYDRO_E_NOTFOUND);
	dga_kit_end(&kit);
}

Test(works_import, live_needs_registration_informant_point_and_start)
{
	struct dga_kit kit;
	dga_kit_begin(&kit);
	struct hd_centre centre = {.name = "Sin registro", .identifier = "76498451-K", .registration = "", .check_share = 1, .state_why = "", .state_by = ""};
	struct hd_informant informant = {.name = "Sin clave", .identifier = "76086428-5"};
	cr_assert_eq(hd_ledger_centre_create(kit.ledger.ledger, &centre, "test", &kit.err), HYDRO_OK);
	cr_assert_eq(hd_ledger_informant_create(kit.ledger.ledger, &informant, "test", &kit.err), HYDRO_OK);
	struct hd_import_report report = import(&kit, "code,kind,standard,mode,starts,centre,informant,point\n"
						      "OB-0101-1,subterranea,mayor,live,2026-01-01,Sin registro,Sin clave,\n", false, false);
	told(&report, "\\\"Sin registro\\\" has no registration recorded: no work of it may be live");
	told(&report, "\\\"Sin clave\\\" has no password yet");
	told(&report, "\"point\",\"detail\":\"a work in live needs the point that measures it\"");
	hd_import_report_done(&report);
	report = import(&kit, "code,kind,standard,mode,starts,centre,informant,point\n"
			      "OB-0101-1,subterranea,mayor,live,2026-01-01,Centro Norte,Ana Soto,11111111-2222-4333-8444-555555555555\n", false, false);
	cr_assert_eq(report.created, 1);
	hd_import_report_done(&report);
	dga_kit_end(&kit);
}

Test(works_import, a_header_that_does_not_fit_is_refused_as_a_whole)
{
	struct dga_kit kit;
	dga_kit_begin(&kit);
	cr_assert_eq(refused(&kit, ""), HYDRO_E_INVALID);
	cr_assert_eq(refused(&kit, "kind,standard\n"), HYDRO_E_INVALID);
	cr_assert_not_null(strstr(kit.err.text, "\"code\" is missing"));
	cr_assert_eq(refused(&kit, "code,standrd\n"), HYDRO_E_INVALID);
	cr_assert_not_null(strstr(kit.err.text, "did you mean \"standard\"?"), "%s", kit.err.text);
	cr_assert_eq(refused(&kit, "code,version\n"), HYDRO_E_INVALID);
	cr_assert_eq(refused(&kit, "code,code\n"), HYDRO_E_INVALID);
	cr_assert_eq(refused(&kit, "code,options,option.x\n"), HYDRO_E_INVALID);
	dga_kit_end(&kit);
}
