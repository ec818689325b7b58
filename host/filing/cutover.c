/* SPDX-License-Identifier: MIT */
/* When to switch from a clock with summer time to the regulator's. */
#include "filing/cutover.h"

#include "base/json.h"
#include "base/tz.h"
#include "filing/compliance.h"

#include <stdio.h>

#define DAY_MS INT64_C(86400000)
#define HOUR_MS INT64_C(3600000)
#define SEARCH_DAYS 400

/* Our slots from `at` on whose label the old clock had shown before `at`. */
static uint32_t collide(const struct hd_calendar *calendar, const struct hd_tz *zone, int64_t at_ms, struct hd_cutover *ret)
{
	int64_t fixed_ms = (int64_t)calendar->utc_offset_s * 1000, due = hd_calendar_next(calendar, at_ms);
	uint32_t count = 0;
	for (uint32_t i = 0; i < HD_CUTOVER_COLLISIONS_MAX && due < at_ms + DAY_MS; i++, due = hd_calendar_next(calendar, due + 1)) {
		int64_t filed = hd_tz_from_local_ms(zone, due + fixed_ms);
		if (filed >= at_ms)
			continue;
		if (ret) {
			ret->collisions[count].due_ms = due;
			ret->collisions[count].filed_ms = filed;
		}
		count++;
	}
	return count;
}

/* The first slot after the earliest hour at which the old system could stop and nothing collides. */
static int64_t find_safe(const struct hd_calendar *calendar, const struct hd_tz *zone, int64_t at_ms)
{
	for (int64_t at = at_ms; at < at_ms + SEARCH_DAYS * DAY_MS; at += HOUR_MS)
		if (collide(calendar, zone, at, NULL) == 0)
			return hd_calendar_next(calendar, at);
	return 0;
}

static void advise(const struct hd_calendar *calendar, struct hd_cutover *ret)
{
	char due[32], filed[32], later[32], safe[32], zone[HD_CALENDAR_ZONE_TEXT];
	int32_t offset = calendar->utc_offset_s;
	hd_calendar_zone(offset, zone);
	if (ret->collision_count == 0) {
		(void)snprintf(ret->es, sizeof ret->es, "Nada choca: se puede cambiar en esa hora.");
		(void)snprintf(ret->en, sizeof ret->en, "Nothing collides: the switch can be made at that hour.");
		return;
	}
	uint32_t last = ret->collision_count - 1;
	hd_local_time(ret->collisions[0].due_ms, offset, due);
	hd_local_time(ret->collisions[0].filed_ms, offset, filed);
	hd_local_time(hd_calendar_next(calendar, ret->collisions[last].due_ms + 1), offset, later);
	if (ret->safe_ms)
		hd_local_time(ret->safe_ms, offset, safe);
	(void)snprintf(ret->es, sizeof ret->es,
		       "La etiqueta %s ya fue usada por el sistema antiguo para la medición de las %s (%s). %s%s%s fije `starts` en %s: esa etiqueta queda con el dato antiguo. "
		       "No reenvíe mediciones anteriores al cambio con su hora %s: chocan con la hora siguiente.",
		       due, filed, zone, ret->safe_ms ? "Cambie desde " : "", ret->safe_ms ? safe : "", ret->safe_ms ? ", donde nada choca, o" : "Para cambiar igual,", later, zone);
	(void)snprintf(ret->en, sizeof ret->en,
		       "The label %s was used by the old system for the measurement of %s (%s). %s%s%s set `starts` to %s: that label keeps the old value. "
		       "Do not send slots from before the switch again under their %s label.",
		       due, filed, zone, ret->safe_ms ? "Switch from " : "", ret->safe_ms ? safe : "", ret->safe_ms ? " on, where nothing collides, or" : "To switch all the same,", later, zone);
}

void hd_cutover_plan(const struct hd_calendar *calendar, const struct hd_tz *zone, int64_t at_ms, struct hd_cutover *ret)
{
	*ret = (struct hd_cutover){.at_ms = hd_calendar_next(calendar, at_ms)};
	ret->zone_offset_s = (int32_t)(hd_tz_offset_ms(zone, ret->at_ms) / 1000);
	ret->collision_count = collide(calendar, zone, at_ms, ret);
	ret->safe_ms = find_safe(calendar, zone, at_ms);
	advise(calendar, ret);
}

void hd_cutover_print(struct hd_buf *ret, const char *code, const char *zone, const struct hd_cutover *plan)
{
	hd_buf_add_char(ret, '{');
	hd_json_text(ret, "work", code);
	hd_json_text(ret, "zone", zone);
	hd_json_int(ret, "zone_offset_s", plan->zone_offset_s);
	hd_json_time(ret, "at", plan->at_ms);
	hd_json_bool(ret, "safe", plan->collision_count == 0);
	hd_json_time(ret, "safe_from", plan->safe_ms);
	hd_json_open(ret, "collisions", '[');
	for (uint32_t i = 0; i < plan->collision_count; i++) {
		hd_json_item(ret);
		hd_buf_add_char(ret, '{');
		hd_json_time(ret, "due", plan->collisions[i].due_ms);
		hd_json_time(ret, "filed_for", plan->collisions[i].filed_ms);
		hd_buf_add_char(ret, '}');
	}
	hd_buf_add_char(ret, ']');
	hd_json_text(ret, "advice", plan->es);
	hd_json_text(ret, "advice_en", plan->en);
	hd_buf_add_char(ret, '}');
}
