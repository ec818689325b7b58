/* SPDX-License-Identifier: MIT */
/* Works, centres, informants, certificates, alarms, receipts of other systems, settings. */
#include "ledger_kit.h"

#include "base/fs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct found {
	uint32_t count, last;
	char text[512];
};

static int see_work(void *arg, const struct hd_work *work, struct hydro_error *err)
{
	struct found *found = arg;
	(void)err;
	found->count++;
	found->last = work->number;
	(void)snprintf(found->text, sizeof found->text, "%s|%s|%u|%u|%lld|%g|%d|%s|%llu|%d", work->code, work->name, work->mode, work->centre, (long long)work->starts_ms,
		       work->granted_lps, isnan(work->granted_m3_year) != 0, work->options, (unsigned long long)work->version, work->by_sheet);
	return HYDRO_OK;
}

Test(ledger_registry, a_work_is_created_read_and_replaced_by_version)
{
	struct ledger_kit kit;
	struct found found = {0};
	ledger_kit_begin(&kit);
	uint64_t revision = hd_ledger_revision(kit.ledger);
	struct hd_work work = ledger_kit_work("OB-1303-55");
	work.name = "Pozo \"Ñuble\" 1";
	work.options = "{\"level\":\"nivel\"}";
	work.by_sheet = true;
	cr_assert_eq(hd_ledger_work_create(kit.ledger, &work, "ana", &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_gt(hd_ledger_revision(kit.ledger), revision);
	cr_assert_eq(work.version, 1);
	struct hd_work twin = ledger_kit_work("OB-1303-55");
	cr_assert_eq(hd_ledger_work_create(kit.ledger, &twin, "ana", &kit.err), HYDRO_E_EXISTS);
	cr_assert(strstr(kit.err.text, "OB-1303-55"));
	cr_assert_eq(hd_ledger_work_get(kit.ledger, 0, &work.id, NULL, see_work, &found, &kit.err), HYDRO_OK);
	cr_assert_str_eq(found.text, "OB-1303-55|Pozo \"Ñuble\" 1|2|0|1767240000000|20.5|1|{\"level\":\"nivel\"}|1|1");
	work.mode = HD_MODE_OFF;
	work.granted_m3_year = 100000;
	cr_assert_eq(hd_ledger_work_replace(kit.ledger, &work, "ana", "season", &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(work.version, 2);
	work.version = 1;
	cr_assert_eq(hd_ledger_work_replace(kit.ledger, &work, "ana", "season", &kit.err), HYDRO_E_STALE);
	work.version = 0;
	work.deleted = true;
	cr_assert_eq(hd_ledger_work_replace(kit.ledger, &work, "ana", "gone", &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_ledger_work_get(kit.ledger, 0, NULL, "OB-1303-55", see_work, &found, &kit.err), HYDRO_E_NOTFOUND);
	cr_assert_eq(hd_ledger_work_get(kit.ledger, work.number, NULL, NULL, see_work, &found, &kit.err), HYDRO_OK, "by its number it stays");
	cr_assert_eq(hd_ledger_work_create(kit.ledger, &twin, "ana", &kit.err), HYDRO_OK, "the code is free again: %s", kit.err.text);
	cr_assert_eq(twin.number, 2, "numbers are not used again");
	ledger_kit_end(&kit);
}

Test(ledger_registry, a_work_that_is_none_is_refused_by_its_field)
{
	struct ledger_kit kit;
	char long_code[HD_WORK_CODE_BYTES_MAX + 2];
	ledger_kit_begin(&kit);
	memset(long_code, 'x', sizeof long_code - 1);
	long_code[sizeof long_code - 1] = '\0';
	for (int i = 0; i < 10; i++) {
		struct hd_work work = ledger_kit_work("OB-1");
		static const char *const fields[] = {"code", "code", "mode", "every", "pick", "centre", "informant", "options", "adapters", "name"};
		switch (i) {
		case 0: work.code = ""; break;
		case 1: work.code = long_code; break;
		case 2: work.mode = 3; break;
		case 3: work.every = 5; break;
		case 4: work.pick = 0; break;
		case 5: work.centre = 1; break;
		case 6: work.informant = 4; break;
		case 7: work.options = "[]"; break;
		case 8: work.adapters = "{} "; break;
		default: work.name = NULL; break;
		}
		cr_assert_eq(hd_ledger_work_create(kit.ledger, &work, "ana", &kit.err), HYDRO_E_INVALID, "%d", i);
		cr_assert_eq(strncmp(kit.err.text, fields[i], strlen(fields[i])), 0, "%s", kit.err.text);
	}
	ledger_kit_end(&kit);
}

Test(ledger_registry, works_are_listed_by_filters_and_pages)
{
	struct ledger_kit kit;
	struct found found;
	struct hd_store_page page;
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 25);
	struct hd_work work = ledger_kit_work("OR-9-1");
	work.client = "d";
	work.mode = HD_MODE_SHADOW;
	work.held_since_ms = 5;
	memset(work.point.bytes, 9, sizeof work.point.bytes);
	cr_assert_eq(hd_ledger_work_create(kit.ledger, &work, "ana", &kit.err), HYDRO_OK);
	struct hd_work_filter all = {.mode = -1, .held = -1, .centre = HD_LEDGER_ALL, .limit = 10, .want_total = true};
	for (uint32_t total = 0; total < 26; total += found.count, all.after = (uint32_t)page.next) {
		found = (struct found){0};
		cr_assert_eq(hd_ledger_work_list(kit.ledger, &all, see_work, &found, &page, &kit.err), HYDRO_OK, "%s", kit.err.text);
		cr_assert_eq(page.total, 26);
		cr_assert_eq(found.count, total < 20 ? 10u : 6u);
		cr_assert_eq(page.next, total < 20 ? (int64_t)found.last : -1);
	}
	struct hd_work_filter by[] = {{.mode = -1, .held = -1, .centre = HD_LEDGER_ALL, .code_prefix = "OR-"}, {.mode = -1, .held = -1, .centre = HD_LEDGER_ALL, .client = "d"},
				      {.mode = HD_MODE_SHADOW, .held = -1, .centre = HD_LEDGER_ALL}, {.mode = -1, .held = 1, .centre = HD_LEDGER_ALL},
				      {.mode = -1, .held = -1, .centre = HD_LEDGER_ALL, .point = work.point}};
	for (size_t i = 0; i < HD_ARRAY_LEN(by); i++) {
		found = (struct found){0};
		cr_assert_eq(hd_ledger_work_list(kit.ledger, &by[i], see_work, &found, NULL, &kit.err), HYDRO_OK);
		cr_assert(found.count == 1 && found.last == 26, "%d: %d", (int)i, (int)found.count);
	}
	ledger_kit_end(&kit);
}

static struct hd_centre a_centre(const char *identifier)
{
	return (struct hd_centre){.calls_per_s = 1, .check_share = 1, .name = "Centro", .identifier = identifier, .registration = "DGA-1", .registered_ms = 1, .state_why = "", .state_by = ""};
}

static int see_centre(void *arg, const struct hd_centre *centre, struct hydro_error *err)
{
	struct found *found = arg;
	(void)err;
	found->count++;
	(void)snprintf(found->text, sizeof found->text, "%u %s %s %u %g", centre->number, centre->identifier, centre->state_why, centre->state, centre->calls_per_s);
	return HYDRO_OK;
}

Test(ledger_registry, a_centre_is_created_blocked_and_listed)
{
	struct ledger_kit kit;
	struct found found = {0};
	ledger_kit_begin(&kit);
	struct hd_centre centre = a_centre("76086428-5"), twin = a_centre("76086428-5"), bad = a_centre("1-9");
	cr_assert_eq(hd_ledger_centre_create(kit.ledger, &centre, "ana", &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_ledger_centre_create(kit.ledger, &twin, "ana", &kit.err), HYDRO_E_EXISTS);
	bad.check_share = 1.5;
	cr_assert_eq(hd_ledger_centre_create(kit.ledger, &bad, "ana", &kit.err), HYDRO_E_INVALID);
	bad.check_share = NAN;
	cr_assert_eq(hd_ledger_centre_create(kit.ledger, &bad, "ana", &kit.err), HYDRO_E_INVALID);
	centre.state = HD_CENTRE_BLOCKED;
	centre.state_why = "403";
	cr_assert_eq(hd_ledger_centre_replace(kit.ledger, &centre, "hydrod", "403 for 8 works", &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_ledger_centre_list(kit.ledger, see_centre, &found, &kit.err), HYDRO_OK);
	cr_assert_eq(found.count, 1);
	cr_assert_str_eq(found.text, "1 76086428-5 403 1 1");
	cr_assert_eq(hd_ledger_centre_get(kit.ledger, 2, NULL, see_centre, &found, &kit.err), HYDRO_E_NOTFOUND);
	centre.version = 1;
	cr_assert_eq(hd_ledger_centre_replace(kit.ledger, &centre, "ana", "", &kit.err), HYDRO_E_STALE);
	ledger_kit_end(&kit);
}

static int see_informant(void *arg, const struct hd_informant *informant, struct hydro_error *err)
{
	struct found *found = arg;
	(void)err;
	found->count++;
	(void)snprintf(found->text, sizeof found->text, "%s %d %s", informant->name, informant->has_secret, informant->secret ? informant->secret : "-");
	return HYDRO_OK;
}

static bool file_holds(const char *path, const char *word)
{
	struct hd_buf data = {0};
	(void)hd_fs_read(path, 1u << 26, &data, NULL);
	bool holds = data.len && memmem(data.data, data.len, word, strlen(word)) != NULL;
	hd_buf_done(&data);
	return holds;
}

Test(ledger_registry, a_secret_is_sealed_kept_by_a_replace_and_nowhere_in_plain)
{
	struct ledger_kit kit;
	struct found found = {0};
	char wal[128];
	ledger_kit_begin(&kit);
	struct hd_informant informant = {.name = "Juana", .identifier = "12531909-2", .secret = "clave-muy-secreta"};
	cr_assert_eq(hd_ledger_informant_create(kit.ledger, &informant, "ana", &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_ledger_informant_get(kit.ledger, 1, NULL, false, see_informant, &found, &kit.err), HYDRO_OK);
	cr_assert_str_eq(found.text, "Juana 1 -");
	informant.secret = NULL;
	informant.name = "Juana P.";
	cr_assert_eq(hd_ledger_informant_replace(kit.ledger, &informant, "ana", "", &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_ledger_informant_get(kit.ledger, 0, &informant.id, true, see_informant, &found, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_str_eq(found.text, "Juana P. 1 clave-muy-secreta");
	informant.secret = "otra-clave-secreta";
	cr_assert_eq(hd_ledger_informant_replace(kit.ledger, &informant, "ana", "", &kit.err), HYDRO_OK);
	cr_assert_eq(hd_ledger_informant_get(kit.ledger, 1, NULL, true, see_informant, &found, &kit.err), HYDRO_OK);
	cr_assert_str_eq(found.text, "Juana P. 1 otra-clave-secreta");
	(void)snprintf(wal, sizeof wal, "%s-wal", kit.path);
	cr_assert(!file_holds(kit.path, "secreta") && !file_holds(wal, "secreta"));
	cr_assert(file_holds(kit.path, "Juana P.") || file_holds(wal, "Juana P."), "the search finds what is there");
	/* Moved to another row, or opened with another key, it does not open. */
	struct hd_informant other = {.name = "Pedro", .identifier = "76498451-K", .secret = "x"};
	cr_assert_eq(hd_ledger_informant_create(kit.ledger, &other, "ana", &kit.err), HYDRO_OK);
	ledger_kit_sql(&kit, "UPDATE informants SET sealed = (SELECT sealed FROM informants WHERE number = 1) WHERE number = 2");
	cr_assert_eq(hd_ledger_informant_get(kit.ledger, 2, NULL, true, see_informant, &found, &kit.err), HYDRO_E_CORRUPT);
	ledger_kit_close(&kit);
	kit.key.id = 8;
	int rc = ledger_kit_open(&kit);
	cr_assert_eq(rc, HYDRO_E_KEY, "%d %s", rc, kit.err.text);
	ledger_kit_end(&kit);
}

static int see_alarm(void *arg, const struct hd_alarm *alarm, struct hydro_error *err)
{
	struct found *found = arg;
	(void)err;
	size_t len = strlen(found->text);
	(void)snprintf(found->text + len, sizeof found->text - len, "%s/%u/%u:%u x%u %s %lld-%lld%s%s;", alarm->kind, alarm->work, alarm->centre, alarm->level, alarm->count, alarm->text,
		       (long long)alarm->since_ms, (long long)alarm->last_ms, alarm->cleared_ms ? " cleared" : "", alarm->seen_ms ? " seen" : "");
	found->count++;
	found->last = (uint32_t)alarm->number;
	return HYDRO_OK;
}

static const char *alarms(struct ledger_kit *kit, bool open_only, struct found *found)
{
	*found = (struct found){0};
	cr_assert_eq(hd_ledger_alarm_list(kit->ledger, open_only, HD_LEDGER_ALL, see_alarm, found, &kit->err), HYDRO_OK, "%s", kit->err.text);
	return found->text;
}

Test(ledger_registry, an_alarm_is_one_row_until_it_is_cleared)
{
	struct ledger_kit kit;
	struct found found;
	ledger_kit_begin(&kit);
	struct hd_alarm alarm = {.work = 3, .level = HD_ALARM_AMBER, .count = 1, .kind = "lag_at_risk", .text = "uno", .text_en = "one", .since_ms = 10, .last_ms = 10};
	cr_assert_eq(hd_ledger_alarm_raise(kit.ledger, &alarm, &kit.err), HYDRO_OK, "%s", kit.err.text);
	alarm.last_ms = 30;
	cr_assert_eq(hd_ledger_alarm_raise(kit.ledger, &alarm, &kit.err), HYDRO_OK);
	cr_assert_str_eq(alarms(&kit, true, &found), "lag_at_risk/3/0:1 x1 uno 10-10;", "nothing new within a minute is not written");
	cr_assert_eq(hd_ledger_alarm_seen(kit.ledger, found.last, "ana", 40, &kit.err), HYDRO_OK);
	alarm.count = 2;
	alarm.last_ms = 50;
	cr_assert_eq(hd_ledger_alarm_raise(kit.ledger, &alarm, &kit.err), HYDRO_OK);
	cr_assert_str_eq(alarms(&kit, true, &found), "lag_at_risk/3/0:1 x2 uno 10-50 seen;");
	alarm.level = HD_ALARM_RED;
	cr_assert_eq(hd_ledger_alarm_raise(kit.ledger, &alarm, &kit.err), HYDRO_OK);
	cr_assert_str_eq(alarms(&kit, true, &found), "lag_at_risk/3/0:2 x2 uno 10-50;", "graver: to be seen anew");
	cr_assert_eq(hd_ledger_alarm_clear(kit.ledger, "lag_at_risk", 3, 0, 60, &kit.err), HYDRO_OK);
	cr_assert_eq(hd_ledger_alarm_clear(kit.ledger, "lag_at_risk", 3, 0, 70, &kit.err), HYDRO_OK, "none open is fine");
	cr_assert_str_eq(alarms(&kit, true, &found), "");
	cr_assert_eq(hd_ledger_alarm_raise(kit.ledger, &alarm, &kit.err), HYDRO_OK);
	(void)alarms(&kit, false, &found);
	cr_assert_eq(found.count, 2, "a new one beside the old");
	cr_assert_eq(hd_ledger_alarm_seen(kit.ledger, 99, "ana", 40, &kit.err), HYDRO_E_NOTFOUND);
	alarm.kind = "";
	cr_assert_eq(hd_ledger_alarm_raise(kit.ledger, &alarm, &kit.err), HYDRO_E_INVALID);
	ledger_kit_end(&kit);
}

static int see_foreign(void *arg, const struct hd_foreign_receipt *receipt, struct hydro_error *err)
{
	struct found *found = arg;
	(void)err;
	found->count++;
	(void)snprintf(found->text, sizeof found->text, "%s %s %g %d %u %s", receipt->code, receipt->receipt, receipt->values[0], isnan(receipt->values[2]) != 0, receipt->check, receipt->check_text);
	return HYDRO_OK;
}

Test(ledger_registry, receipts_of_another_system_are_put_once_and_checked_later)
{
	struct ledger_kit kit;
	struct found found = {0};
	ledger_kit_begin(&kit);
	ledger_kit_works(&kit, 2);
	struct hd_foreign_receipt rows[2] = {{.code = "OB-0001-2", .due_ms = KIT_DUE, .receipt = "X1", .source = "viejo.csv", .values = {1.5, NAN, NAN}},
					     {.code = "OB-0001-2", .due_ms = KIT_DUE + KIT_HOUR, .receipt = "X2", .source = "viejo.csv", .values = {NAN, NAN, NAN}}};
	for (int i = 0; i < 2; i++)
		cr_assert_eq(hd_ledger_foreign_put(kit.ledger, rows, 2, &kit.err), HYDRO_OK, "%s", kit.err.text);
	rows[0].check = 2;
	rows[0].check_text = "caudal";
	cr_assert_eq(hd_ledger_foreign_put(kit.ledger, rows, 1, &kit.err), HYDRO_OK);
	cr_assert_eq(hd_ledger_foreign_list(kit.ledger, 2, KIT_DUE, KIT_DUE + 1, see_foreign, &found, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_str_eq(found.text, "OB-0001-2 X1 1.5 1 2 caudal");
	cr_assert_eq(hd_ledger_foreign_list(kit.ledger, HD_LEDGER_ALL, 0, 0, see_foreign, &found, &kit.err), HYDRO_OK);
	cr_assert_eq(found.count, 3);
	rows[1].code = "OB-9-9";
	cr_assert_eq(hd_ledger_foreign_put(kit.ledger, rows, 2, &kit.err), HYDRO_E_NOTFOUND);
	cr_assert(strstr(kit.err.text, "OB-9-9"));
	ledger_kit_end(&kit);
}

Test(ledger_registry, settings_are_kept_and_audited)
{
	struct ledger_kit kit;
	struct hd_buf value = {0};
	ledger_kit_begin(&kit);
	cr_assert_eq(hd_ledger_setting_get(kit.ledger, "kill_switch", &value, &kit.err), HYDRO_E_NOTFOUND);
	cr_assert_eq(hd_ledger_setting_put(kit.ledger, "kill_switch", "on", "ana", "begin", &kit.err), HYDRO_OK);
	cr_assert_eq(hd_ledger_setting_put(kit.ledger, "kill_switch", "off", "ana", "storm \"X\"", &kit.err), HYDRO_OK);
	ledger_kit_close(&kit);
	cr_assert_eq(ledger_kit_open(&kit), HYDRO_OK);
	cr_assert_not(kit.restored);
	cr_assert_eq(hd_ledger_setting_get(kit.ledger, "kill_switch", &value, &kit.err), HYDRO_OK);
	cr_assert_str_eq(hd_buf_text(&value), "off");
	hd_buf_done(&value);
	ledger_kit_end(&kit);
}
