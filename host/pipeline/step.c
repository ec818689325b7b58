/* SPDX-License-Identifier: MIT */
#include "pipeline/step.h"

#include "lua/lua.h"
#include "model/flags.h"
#include "pipeline/detect.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define KINDS_MAX 48u
#define DOC_BYTES 256u

static struct {
	pthread_once_t once;
	struct hd_step_kind kinds[KINDS_MAX];
	struct hd_lua_step_doc docs[KINDS_MAX];
	char options[KINDS_MAX][DOC_BYTES];
	uint32_t count;
} table = {.once = PTHREAD_ONCE_INIT};

static void add_kind(const struct hd_step_kind *kind)
{
	HD_ASSERT(table.count < KINDS_MAX && kind->option_count <= HD_STEP_OPTIONS_MAX);
	uint32_t at = table.count++;
	table.kinds[at] = *kind;
	size_t len = 0;
	for (uint32_t i = 0; i < kind->option_count; i++) {
		int n = snprintf(table.options[at] + len, DOC_BYTES - len, "%s%s", i ? " " : "", kind->options[i].name);
		HD_ASSERT(n > 0 && (size_t)n < DOC_BYTES - len);
		len += (size_t)n;
	}
	/* What is not there yet must say so itself, whatever options it is given. */
	table.docs[at] = (struct hd_lua_step_doc){.name = kind->name, .options = kind->bits & HD_STEP_NOT_YET ? "*" : table.options[at]};
}

static void fill_table(void)
{
	add_kind(&hd_step_counter);
	for (uint32_t i = 0; i < hd_steps_flow_count; i++)
		add_kind(&hd_steps_flow[i]);
	for (uint32_t i = 0; i < hd_steps_quality_count; i++)
		add_kind(&hd_steps_quality[i]);
	add_kind(&hd_step_budget);
	add_kind(&hd_step_spike_average);
	add_kind(&hd_step_detect);
	for (uint32_t i = 0; i < hd_steps_out_count; i++)
		add_kind(&hd_steps_out[i]);
}

const struct hd_step_kind *hd_step_kinds(uint32_t *ret_count)
{
	(void)pthread_once(&table.once, fill_table);
	*ret_count = table.count;
	return table.kinds;
}

const struct hd_step_kind *hd_step_kind_find(const char *name)
{
	uint32_t count;
	const struct hd_step_kind *kinds = hd_step_kinds(&count);
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

const struct hd_lua_step_doc *hd_steps_lua_docs(uint32_t *ret_count)
{
	(void)hd_step_kinds(ret_count);
	return table.docs;
}

bool hd_step_take_state(const struct hd_step *step, const uint8_t *from, uint32_t from_bytes, uint8_t *state)
{
	if (step->detector)
		return hd_detector_take_state(step->detector, from, from_bytes, state + step->state);
	if (from_bytes != step->state_bytes)
		return false;
	memcpy(state + step->state, from, from_bytes);
	return true;
}

static void add_default(struct hd_buf *ret, const struct hd_step_option *option)
{
	if (option->flags & HD_OPT_REQUIRED)
		hd_buf_add_text(ret, "required");
	else if (option->metric)
		hd_buf_printf(ret, "`%s`", option->metric);
	else if (option->type == HD_OPT_DURATION)
		hd_buf_printf(ret, "%.0f s", option->fallback / 1000.0);
	else if (!(option->flags & HD_OPT_ABSENT) && (option->type == HD_OPT_PARAM || option->type == HD_OPT_CONST))
		hd_buf_add_number(ret, option->fallback);
	else if (option->type == HD_OPT_BOOL)
		hd_buf_add_text(ret, "false");
	else
		hd_buf_add_text(ret, "none");
}

static void add_scheme(struct hd_buf *ret)
{
	hd_buf_add_text(ret, "## Flags and quality\n\n"
			     "Each value has a quality from 0 (bad) over 0.5 (suspect) to 1 (good). A flag caps it; where several do, the lowest holds, and a flag of the whole\n"
			     "measurement caps all its metrics. A metric without a value is missing, never filled. The score of a measurement is the mean of its qualities.\n"
			     "QARTOD's flags: 1 GOOD = quality 1, 3 SUSPECT = below 1, 4 FAIL = 0, 2 UNKNOWN = `unjudged`, 9 MISSING = no value.\n\n"
			     "A flag carries its rule: `<script>@<hash>/<step>` (`well@3f2a91c0/range:flow`), `plugin <name> <version>/<step>` for a detector's, `intake/<flag>` for\n"
			     "what no script judged. The measurement says which script and hash made it. A Lua step's own flag is shown by the name it was given; in its rule that\n"
			     "name stands behind a `!`.\n\n| flag | caps quality at | |\n|---|---|---|\n");
	for (uint32_t i = 1; i < HD_FLAG_END; i++) {
		const struct hd_flag_info *info = hd_flag_info(i);
		if (info)
			hd_buf_printf(ret, "| `%s` | %g | %s |\n", info->name, (double)info->quality, info->doc);
	}
}

bool hd_steps_markdown(struct hd_buf *ret)
{
	hd_buf_add_text(ret, "# Steps\n\nMade from the table of steps that the compiler checks scripts by (`host/pipeline/step*.c`); `test_plan` tells when it is not.\n"
			     "A step whose input is missing in a reading is skipped. Units are checked between steps. State is kept for each point, through reloads and\n"
			     "restarts, by the step's kind and target, or its `id`. A number \"of the point\" may differ from point to point without another plan.\n\n");
	static const char *const types[] = {"", "metric", "metric (made)", "number of the point", "number", "duration", "true/false",
					    "table of numbers", "metrics", "names", "unit", "numbers", "dated tables"};
	uint32_t count;
	const struct hd_step_kind *kinds = hd_step_kinds(&count);
	for (uint32_t k = 0; k < count; k++) {
		const struct hd_step_kind *kind = &kinds[k];
		hd_buf_printf(ret, "## %s\n\n%s\n\n", kind->name, kind->doc);
		if (kind->bits & HD_STEP_NOT_YET)
			hd_buf_add_text(ret, "Not available yet: a pipeline that names it is refused.\n\n");
		if (kind->formula[0])
			hd_buf_printf(ret, "Formula: %s\n\n", kind->formula);
		if (kind->state_bytes)
			hd_buf_printf(ret, "Remembers: %s (%u bytes a point)\n\n", kind->state, kind->state_bytes);
		else if (kind->state[0])
			hd_buf_printf(ret, "Remembers: %s\n\n", kind->state);
		if (kind->flags[0])
			hd_buf_printf(ret, "Flags: %s\n\n", kind->flags);
		for (uint32_t i = 0; i < kind->option_count; i++) {
			const struct hd_step_option *option = &kind->options[i];
			if (i == 0)
				hd_buf_add_text(ret, "| option | type | unit | default | |\n|---|---|---|---|---|\n");
			hd_buf_printf(ret, "| `%s`%s | %s | %s | ", option->name, option->flags & HD_OPT_POSITIONAL ? " (first)" : "", types[option->type],
				      option->unit);
			add_default(ret, option);
			hd_buf_printf(ret, " | %s |\n", option->doc);
		}
		hd_buf_add_char(ret, '\n');
	}
	add_scheme(ret);
	return !ret->failed;
}
