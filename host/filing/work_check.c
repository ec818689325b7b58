/* SPDX-License-Identifier: MIT */
/* A work from its document, with every check that a work must pass. */
#include "base/timefmt.h"
#include "filing/work_form.h"
#include "lua/diag.h"
#include "plugin/options.h"

#include <hydro/abi.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_FAMILY "dga"

struct check {
	const struct hd_work_context *context;
	const cJSON *document;
	struct hd_work *row;
	uint32_t problems;
};

static void problem(struct check *c, const char *field, const char *fmt, ...) HD_PRINTF(3, 4);
static void problem(struct check *c, const char *field, const char *fmt, ...)
{
	char why[400];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	c->problems++;
	if (c->context->problem)
		c->context->problem(c->context->problem_arg, field, why);
}

static const cJSON *member(const struct check *c, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(c->document, name);
	return cJSON_IsNull(item) ? NULL : item;
}

static const char *text(const struct check *c, const char *name)
{
	const cJSON *item = member(c, name);
	return cJSON_IsString(item) ? item->valuestring : "";
}

static double number(const struct check *c, const char *name, double none)
{
	const cJSON *item = member(c, name);
	return cJSON_IsNumber(item) ? item->valuedouble : none;
}

static int64_t when(const struct check *c, const char *name)
{
	const char *t = text(c, name);
	int64_t ms = 0;
	return hd_time_parse(t, strlen(t), false, &ms) ? ms : 0;
}

static uint32_t choice(const struct check *c, const char *name, const char *const *names, uint32_t count, uint32_t none)
{
	const char *t = text(c, name);
	for (uint32_t i = 0; i < count; i++)
		if (*t && strcmp(t, names[i]) == 0)
			return i;
	return none;
}

/* ---- names with hints -------------------------------------------------------------------------------------------------------- */

static const char *kind_name(const void *arg, uint32_t i)
{
	const hydro_filing_info *info = arg;
	return ((const hydro_filing_kind *)((const char *)info->kinds + (size_t)i * info->kind_stride))->name;
}

static const char *standard_name(const void *arg, uint32_t i)
{
	const hydro_filing_info *info = arg;
	return ((const hydro_filing_standard *)((const char *)info->standards + (size_t)i * info->standard_stride))->name;
}

static void unknown_name(struct check *c, const char *field, const char *word, const char *(*name)(const void *, uint32_t), const void *arg, uint32_t count)
{
	char known[240] = "";
	const char *nearest = hd_diag_nearest(word, name, arg, count);
	for (uint32_t i = 0; i < count; i++)
		(void)snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", name(arg, i));
	if (nearest)
		problem(c, field, "\"%.60s\" is none of %s: did you mean \"%s\"?", word, known, nearest);
	else
		problem(c, field, "\"%.60s\" is none of %s", word, known);
}

static const char *adapter_name(const void *arg, uint32_t i)
{
	return hd_adapter_name(hd_adapters_at(arg, i));
}

static uint32_t adapter_count(const struct hd_adapters *adapters)
{
	uint32_t n = 0;
	while (adapters && hd_adapters_at(adapters, n))
		n++;
	return n;
}

/* ---- references -------------------------------------------------------------------------------------------------------------- */

/* The row that a text names by id, name or identifier; 0 after a problem. */
static uint32_t find_row(struct check *c, const char *field, const struct hd_registry_row *rows, uint32_t count)
{
	const char *t = text(c, field);
	struct hd_uuid id;
	bool is_id = hd_uuid_parse(t, &id);
	uint32_t found = 0, hits = 0;
	if (!*t)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		if (is_id ? !hd_uuid_equal(&rows[i].id, &id) : strcmp(rows[i].name, t) != 0 && strcmp(rows[i].identifier, t) != 0)
			continue;
		found = rows[i].number;
		hits++;
	}
	if (hits == 0)
		problem(c, field, "there is no %s \"%.100s\"", field, t);
	else if (hits > 1)
		problem(c, field, "%u are called \"%.100s\": give the id", hits, t);
	return hits == 1 ? found : 0;
}

static void take_references(struct check *c)
{
	const struct hd_work_context *context = c->context;
	struct hydro_error why = {.struct_size = sizeof why};
	const char *point = text(c, "point");
	c->row->centre = find_row(c, "centre", context->ids->centres, context->ids->centre_count);
	c->row->informant = find_row(c, "informant", context->ids->informants, context->ids->informant_count);
	c->row->point = (struct hd_uuid){{0}};
	if (*point && context->point) {
		if (context->point(context->arg, point, &c->row->point, &why) != HYDRO_OK)
			problem(c, "point", "%s", why.text);
	} else if (*point && !hd_uuid_parse(point, &c->row->point)) {
		problem(c, "point", "a UUID is wanted");
	}
}

/* ---- the adapter's word --------------------------------------------------------------------------------------------------------- */

static void check_adapter_entry(struct check *c, const cJSON *entry)
{
	const struct hd_adapters *adapters = c->context->adapters;
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "adapter"));
	const char *from = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "from"));
	const char *mode = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "mode"));
	char date[40];
	int64_t ms;
	if (!name || !hd_adapters_pick(adapters, c->row->family, name, c->context->now_ms))
		unknown_name(c, "adapters", name ? name : "", adapter_name, adapters, adapter_count(adapters));
	(void)snprintf(date, sizeof date, "%.10sT00:00:00Z", from ? from : "");
	if (!from || strlen(from) != 10 || !hd_time_parse(date, strlen(date), false, &ms))
		problem(c, "adapters", "from: a date as 2027-01-31 is wanted");
	if (mode && strcmp(mode, "live") != 0 && strcmp(mode, "shadow") != 0)
		problem(c, "adapters", "mode: live or shadow is wanted");
}

/* Options and the work as a whole, asked of the plugin. */
static void ask_adapter(struct check *c, const struct hd_adapter *adapter, const char *options)
{
	struct hydro_error why = {.struct_size = sizeof why};
	struct hd_options *parsed = NULL;
	hydro_filing_slot slot = {.struct_size = sizeof slot, .code = c->row->code, .kind = c->row->kind, .standard = c->row->standard,
				  .due_ms = c->context->now_ms, .measured_ms = c->context->now_ms, .values = {NAN, NAN, NAN}};
	if (hd_adapter_options(adapter, options, &parsed, &why) != HYDRO_OK) {
		problem(c, "options", "%s", why.text);
		return;
	}
	slot.work = hd_options_abi(parsed);
	if (hd_adapter_check_work(adapter, &slot, &why) != HYDRO_OK) {
		/* "code: …" and "options.x: …" name their field. */
		const char *colon = strstr(why.text, ": ");
		char field[64];
		size_t len = colon ? (size_t)(colon - why.text) : 0;
		bool named = colon && len < sizeof field && strcspn(why.text, " ") >= len;
		(void)snprintf(field, sizeof field, "%.*s", (int)(named ? len : 4), named ? why.text : "code");
		problem(c, field, "%s", named ? colon + 2 : why.text);
	}
	hd_adapter_options_free(&parsed);
}

static void check_against_adapter(struct check *c, const char *options)
{
	struct hd_work *row = c->row;
	const struct hd_adapters *adapters = c->context->adapters;
	const struct hd_adapter *adapter = adapters ? hd_adapters_pick(adapters, row->family, "", c->context->now_ms) : NULL;
	if (!adapter) {
		problem(c, "family", "no adapter of \"%.40s\" is loaded: see the setting filing.adapters of hydro.lua", row->family);
		return;
	}
	const hydro_filing_info *info = hd_adapter_info(adapter);
	const hydro_filing_standard *standard = hd_adapter_standard(adapter, row->standard);
	uint32_t before = c->problems;
	if (!hd_adapter_kind(adapter, row->kind))
		unknown_name(c, "kind", row->kind, kind_name, info, info->kind_count);
	if (!standard)
		unknown_name(c, "standard", row->standard, standard_name, info, info->standard_count);
	else if (row->by_sheet && !(standard->flags & HYDRO_STANDARD_BY_SHEET))
		problem(c, "by_sheet", "works of the standard %s are filed online alone", row->standard);
	const cJSON *entry;
	cJSON_ArrayForEach(entry, member(c, "adapters"))
		check_adapter_entry(c, entry);
	if (c->problems == before)
		ask_adapter(c, adapter, options);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------- */

static void check_live(struct check *c)
{
	const struct hd_work *row = c->row;
	const struct hd_registry_row *centre = hd_registry_centre(c->context->ids, row->centre);
	const struct hd_registry_row *informant = hd_registry_informant(c->context->ids, row->informant);
	static const struct hd_uuid none;
	if (row->mode == HD_MODE_OFF)
		return;
	if (hd_uuid_equal(&row->point, &none))
		problem(c, "point", "a work in %s needs the point that measures it", hd_work_mode_name(row->mode));
	if (row->starts_ms == 0)
		problem(c, "starts", "a work in %s needs its start of compliance", hd_work_mode_name(row->mode));
	if (row->mode != HD_MODE_LIVE || row->by_sheet)
		return;
	if (!centre)
		problem(c, "centre", "a live work needs a control centre");
	else if (!centre->ready)
		problem(c, "centre", "\"%.100s\" has no registration recorded: no work of it may be live", centre->name);
	if (!informant)
		problem(c, "informant", "a live work needs who informs");
	else if (!informant->ready)
		problem(c, "informant", "\"%.100s\" has no password yet", informant->name);
}

static void take_row(struct check *c)
{
	static const char *const modes[] = {"off", "shadow", "live"}, *const picks[] = {"", "nearest", "mean"}, *const everys[] = {"", "hour", "day", "month", "half_year"};
	struct hd_work *row = c->row;
	row->code = text(c, "code");
	row->name = text(c, "name");
	row->kind = text(c, "kind");
	row->standard = text(c, "standard");
	row->family = *text(c, "family") ? text(c, "family") : DEFAULT_FAMILY;
	row->client = text(c, "client");
	row->region = text(c, "region");
	row->shac = text(c, "shac");
	row->notes = text(c, "notes");
	row->flow_metric = text(c, "flow_metric");
	row->total_metric = text(c, "total_metric");
	row->level_metric = text(c, "level_metric");
	row->mode = choice(c, "mode", modes, HD_ARRAY_LEN(modes), HD_MODE_OFF);
	row->pick = choice(c, "pick", picks, HD_ARRAY_LEN(picks), HD_PICK_NEAREST);
	row->every = choice(c, "every", everys, HD_ARRAY_LEN(everys), 0);
	row->starts_ms = when(c, "starts");
	row->ends_ms = when(c, "ends");
	row->granted_lps = number(c, "granted_lps", NAN);
	row->granted_m3_year = number(c, "granted_m3_year", NAN);
	row->window_ms = (int64_t)number(c, "window_s", 0) * 1000;
	row->at_ms = member(c, "at_s") ? (int64_t)number(c, "at_s", 0) * 1000 : -1;
	row->lag_ms = (int64_t)number(c, "lag_s", 0) * 1000;
	row->lag_months = (uint32_t)number(c, "lag_months", 0);
	row->by_sheet = cJSON_IsTrue(member(c, "by_sheet"));
	if (row->lag_ms && row->lag_months)
		problem(c, "lag_months", "give lag_s or lag_months, not both");
	if (row->ends_ms && row->ends_ms <= row->starts_ms)
		problem(c, "ends", "is not after starts");
}

/* What the row points to: texts of the document and of the draft. */
static int take_texts(struct check *c, struct hd_work_draft *draft, struct hydro_error *err)
{
	const cJSON *options = cJSON_GetObjectItemCaseSensitive(c->document, "options"), *adapters = cJSON_GetObjectItemCaseSensitive(c->document, "adapters");
	hd_work_draft_done(draft);
	draft->options = cJSON_IsObject(options) && options->child ? cJSON_PrintUnformatted(options) : strdup("");
	draft->adapters = cJSON_IsArray(adapters) && adapters->child ? cJSON_PrintUnformatted(adapters) : strdup("");
	if (!draft->options || !draft->adapters)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	draft->row.options = draft->options;
	draft->row.adapters = draft->adapters;
	draft->row.held_why = text(c, "held_why");
	take_row(c);
	return HYDRO_OK;
}

int hd_work_draft_take(const cJSON *document, const struct hd_work_context *context, struct hd_work_draft *ret, struct hydro_error *err)
{
	struct check c = {context, document, &ret->row, 0};
	int rc = take_texts(&c, ret, err);
	if (rc != HYDRO_OK)
		return rc;
	take_references(&c);
	check_against_adapter(&c, ret->options[0] ? ret->options : NULL);
	check_live(&c);
	return c.problems ? hd_error_set(err, HYDRO_E_INVALID, "the work does not fit") : HYDRO_OK;
}

int hd_work_draft_copy(const struct hd_work *work, const struct hd_registry_ids *ids, cJSON **ret_document, struct hd_work_draft *ret, struct hydro_error *err)
{
	static const struct hd_work_context none;
	struct hd_buf text_of = {0};
	hd_work_print(&text_of, work, ids);
	*ret_document = text_of.failed ? NULL : cJSON_ParseWithLength(text_of.data, text_of.len);
	hd_buf_done(&text_of);
	if (!*ret_document)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory");
	struct check c = {&none, *ret_document, &ret->row, 0};
	ret->row = *work;
	return take_texts(&c, ret, err);
}

void hd_work_draft_done(struct hd_work_draft *draft)
{
	free(draft->options);
	free(draft->adapters);
	draft->options = draft->adapters = NULL;
}
