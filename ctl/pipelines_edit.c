/* SPDX-License-Identifier: MIT */
/* Writing pipelines: a new one, showing one, making one live. */
#include "ctl.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ctl_add_text(struct hd_buf *body, const char *key, const char *text, size_t len)
{
	hd_buf_printf(body, "%s\"%s\":", body->len > 1 ? "," : "", key);
	hd_buf_add_json(body, text, len);
}

int ctl_pipelines_show(struct ctl *ctl)
{
	const char *name = ctl_positional(ctl), *version = ctl_positional(ctl);
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	if (!name)
		return ctl_usage("which pipeline?");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	ctl_pipeline_path(name, version ? "/versions/" : "", &path);
	if (version)
		ctl_escape(&path, version);
	int code = ctl_get(ctl, hd_buf_text(&path), &answer);
	if (code == CTL_EXIT_OK && ctl->json)
		ctl_print_json(answer);
	else if (code == CTL_EXIT_OK)
		(void)fputs(ctl_text(answer, "source"), stdout);
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

int ctl_pipelines_put(struct ctl *ctl)
{
	const char *name = ctl_option(ctl, "--name"), *reason = ctl_option(ctl, "--reason"), *author = ctl_option(ctl, "--author");
	const char *canary = ctl_option(ctl, "--canary"), *file = ctl_positional(ctl);
	struct hd_buf source = {0}, path = {0};
	if (!file)
		return ctl_usage("which script? Give its file");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	char *copy = strdup(file), *base = copy ? basename(copy) : NULL, *dot = base ? strrchr(base, '.') : NULL;
	if (dot)
		*dot = '\0';
	ctl_pipeline_path(name ? name : base ? base : "", "", &path);
	ctl_query(&path, "reason", reason);
	ctl_query(&path, "author", author);
	ctl_query(&path, "share", canary);
	int code = ctl_read_file(file, &source) ? CTL_EXIT_OK : CTL_EXIT_FAILED;
	if (code == CTL_EXIT_OK)
		code = ctl_pipelines_change(ctl, "PUT", hd_buf_text(&path), "text/plain", source.data ? source.data : "", source.len);
	free(copy);
	hd_buf_done(&source);
	hd_buf_done(&path);
	return code;
}

/* ---- a new one ---- */

/* With the name in place of each '@'. */
static const char skeleton[] =
	"-- @: say in a sentence what these points are.\n"
	"--   hydroctl pipelines check @.lua                  is it right?\n"
	"--   hydroctl pipelines dry-run @ POINT @.lua        what would it make of a point's last day?\n"
	"--   hydroctl pipelines put @.lua --reason TEXT --canary 5     live, on 5 % of the points\n"
	"\n"
	"return pipeline {\n"
	"  name = \"@\",\n"
	"\n"
	"  -- Parameters as points may have them: each is built at every check.\n"
	"  samples = {\n"
	"    { litres_per_pulse = 10, flow_granted = 20 },\n"
	"    {},\n"
	"  },\n"
	"\n"
	"  -- Runs once per point and change. `point` has the point's params; the steps run in this order for every reading.\n"
	"  build = function (point)\n"
	"    return {\n"
	"      counter { from = \"pulses\", to = \"total\", litres_per_pulse = point.litres_per_pulse or 100 },\n"
	"      rate { from = \"total\", to = \"flow\", max_gap = \"3h\" },\n"
	"      range { \"flow\", min = 0, max = point.flow_granted or 50, tolerance = 0.05 },\n"
	"      -- A step of your own: it sees metrics by m, keeps numbers in state, and nothing that is local to build.\n"
	"      -- function (m, state, point) if m.flow and m.flow > 40 then m:flag(\"flow\", \"jump\") end end,\n"
	"    }\n"
	"  end,\n"
	"\n"
	"  -- Runs at every check and before every swap; readings an hour apart.\n"
	"  selftest = function (t)\n"
	"    local r = t:run {\n"
	"      params = { litres_per_pulse = 10, flow_granted = 20 },\n"
	"      readings = { { pulses = 1000 }, { pulses = 2440 } },\n"
	"    }\n"
	"    t:equal(r[2].total, 24.4, 1e-9, \"pulses to m3\")\n"
	"    t:equal(r[2].flow, 4, 1e-9, \"14.4 m3 in an hour\")\n"
	"    t:clean(r[2], \"flow\")\n"
	"  end,\n"
	"}\n";

/* A ready pipeline's text with the new name in its `name = "…"`; owned by ret. */
static int text_like(struct ctl *ctl, const char *like, const char *name, struct hd_buf *ret)
{
	struct hd_buf path = {0};
	cJSON *answer = NULL;
	ctl_pipeline_path(like, "", &path);
	int code = ctl_get(ctl, hd_buf_text(&path), &answer);
	const char *source = ctl_text(answer, "source"), *at = source;
	char old[96];
	(void)snprintf(old, sizeof old, "name = \"%.80s\"", like);
	const char *found = code == CTL_EXIT_OK ? strstr(at, old) : NULL;
	if (found)
		hd_buf_printf(ret, "%.*sname = \"%s\"%s", (int)(found - source), source, name, found + strlen(old));
	else if (code == CTL_EXIT_OK)
		code = CTL_EXIT_FAILED, (void)fprintf(stderr, "hydroctl: in the text of %s there is no %s to put another name into\n", like, old);
	cJSON_Delete(answer);
	hd_buf_done(&path);
	return code;
}

static void text_of_skeleton(const char *name, struct hd_buf *ret)
{
	for (const char *p = skeleton; *p; p++)
		*p == '@' ? hd_buf_add_text(ret, name) : hd_buf_add_char(ret, *p);
}

int ctl_pipelines_new(struct ctl *ctl)
{
	const char *like = ctl_option(ctl, "--like");
	const char *name = ctl_positional(ctl);
	char path[128];
	if (!name)
		return ctl_usage("what is its name?");
	if (!ctl_no_more(ctl))
		return CTL_EXIT_USAGE;
	if (!*name || strlen(name) > 63 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name))
		return ctl_usage("a pipeline's name has a-z, 0-9 and _");
	(void)snprintf(path, sizeof path, "%s.lua", name);
	struct hd_buf text = {0};
	int code = CTL_EXIT_OK;
	if (like)
		code = text_like(ctl, like, name, &text);
	else
		text_of_skeleton(name, &text);
	FILE *out = code == CTL_EXIT_OK ? fopen(path, "wxe") : NULL;
	if (!out) {
		if (code == CTL_EXIT_OK)
			(void)fprintf(stderr, "hydroctl: %s: %s\n", path, strerror(errno));
		hd_buf_done(&text);
		return CTL_EXIT_FAILED;
	}
	bool good = !text.failed && fwrite(text.data, 1, text.len, out) == text.len;
	good = fclose(out) == 0 && good;
	hd_buf_done(&text);
	if (!good)
		(void)fprintf(stderr, "hydroctl: %s could not be written\n", path);
	else
		(void)printf("%s: begin there; hydroctl pipelines check %s\n", path, path);
	return good ? CTL_EXIT_OK : CTL_EXIT_FAILED;
}
