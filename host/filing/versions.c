/* SPDX-License-Identifier: MIT */
/* Which version of a regulator's manual a work's slot goes by, and what others would have sent for it. */
#include "filing/filing_impl.h"

#include "base/json.h"
#include "base/timefmt.h"
#include "plugin/options.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool local_date(const char *text, int32_t utc_offset_s, int64_t *ret_ms)
{
	unsigned year, month, day;
	if (sscanf(text, "%4u-%2u-%2u", &year, &month, &day) != 3)
		return false;
	*ret_ms = hd_calendar_day_start(utc_offset_s, hd_days_from_civil(year, month, day));
	return true;
}

/* The work's own rows: [{"adapter":"dga_2027","from":"2027-01-01","mode":"shadow"}]; NULL without any. To be deleted. */
static cJSON *rows_of(const struct filing_work *w)
{
	bool some = w->adapters_json[0] == '[' && w->adapters_json[1] != ']';
	return some ? cJSON_Parse(w->adapters_json) : NULL;
}

/* The adapter's name of a row that holds for a slot, and its date; NULL for one of another mode or a later date. */
static const char *row_name(const struct filing_work *w, const cJSON *row, bool shadow, int64_t due_ms, int64_t *ret_from_ms)
{
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "adapter"));
	const char *from = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "from"));
	const char *mode = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "mode"));
	*ret_from_ms = INT64_MIN + 1;
	if (!name || (mode && strcmp(mode, "shadow") == 0) != shadow)
		return NULL;
	if (from && !local_date(from, w->calendar.utc_offset_s, ret_from_ms))
		return NULL;
	return *ret_from_ms <= due_ms ? name : NULL;
}

const struct hd_adapter *filing_adapter_of(struct hd_filing *f, const struct filing_work *w, int64_t due_ms)
{
	char name[64] = "";
	cJSON *rows = rows_of(w);
	const cJSON *row;
	int64_t from_ms, newest = INT64_MIN;
	cJSON_ArrayForEach(row, rows)
	{
		const char *named = row_name(w, row, false, due_ms, &from_ms);
		if (named && from_ms >= newest) {
			newest = from_ms;
			(void)snprintf(name, sizeof name, "%s", named);
		}
	}
	cJSON_Delete(rows);
	return hd_adapters_pick(f->config.adapters, w->family, name, due_ms);
}

/* ---- beside it, in shadow ---- */

/* What one version would have sent: as a JSON object. False when it would have refused. */
static bool add_shadow(const struct filing_work *w, const struct hd_adapter *adapter, const hydro_filing_slot *slot, struct hd_buf *ret)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_options *options = NULL;
	hydro_filing_slot own = *slot;
	hydro_filing_payload payload;
	int rc = hd_adapter_options(adapter, w->options_json, &options, &err);
	if (rc == HYDRO_OK) {
		own.work = options ? hd_options_abi(options) : NULL;
		rc = hd_adapter_prepare(adapter, &own, &payload, &err);
	}
	hd_adapter_options_free(&options);
	hd_json_item(ret);
	(void)hd_buf_add_char(ret, '{');
	hd_json_text(ret, "adapter", hd_adapter_name(adapter));
	hd_json_text(ret, rc == HYDRO_OK ? "payload" : "refused", rc == HYDRO_OK ? payload.text : err.text);
	(void)hd_buf_add_char(ret, '}');
	return rc == HYDRO_OK;
}

static void tell(struct hd_filing *f, struct filing_work *w, const char *name)
{
	char text[160], text_en[160];
	(void)snprintf(text, sizeof text, "%s: la versión \"%.40s\", en sombra, no habría podido informar", w->code, name);
	(void)snprintf(text_en, sizeof text_en, "%s: the version \"%.40s\", in shadow, could not have filed", w->code, name);
	filing_alarm(f, HD_ALARM_AMBER, "shadow_refused", w->number, 0, 1, text, text_en);
}

char *filing_shadows(struct hd_filing *f, struct filing_work *w, const struct hd_adapter *adapter, const hydro_filing_slot *slot)
{
	cJSON *rows = rows_of(w);
	const cJSON *row;
	int64_t from_ms;
	HD_CLEANUP(hd_buf_done) struct hd_buf text = {0};
	cJSON_ArrayForEach(row, rows)
	{
		const char *name = row_name(w, row, true, slot->due_ms, &from_ms);
		const struct hd_adapter *other = name ? hd_adapters_pick(f->config.adapters, w->family, name, slot->due_ms) : NULL;
		if (!other || other == adapter)
			continue;
		if (text.len == 0)
			(void)hd_buf_add_text(&text, "{\"shadow\":[");
		if (!add_shadow(w, other, slot, &text))
			tell(f, w, name);
	}
	cJSON_Delete(rows);
	if (text.len == 0 || !hd_buf_add_text(&text, "]}"))
		return NULL;
	return hd_buf_take(&text);
}
