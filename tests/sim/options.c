/* SPDX-License-Identifier: MIT */
#include "options.h"

#include "base/timefmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_MIN_MS 1000

enum type { TYPE_U32, TYPE_U64, TYPE_SPAN, TYPE_TIME, TYPE_TEXT, TYPE_SHARE, TYPE_ON, TYPE_PERIOD, TYPE_MIX, TYPE_HELP };

#define AT(member) offsetof(struct sim_config, member)

static const struct option {
	const char *name, *argument, *doc;
	enum type type;
	size_t offset;
	double least, most;
} options[] = {
	{"port", "N", "port on 127.0.0.1; 0 (default) takes a free one and prints it", TYPE_U32, AT(port), 0, 65535},
	{"points", "N", "number of points (default 1000)", TYPE_U32, AT(points), 1, SIM_POINTS_MAX},
	{"mix", "A:B:C[:D]", "shares of twin, nettra, novus and http_json points (default 64:60:48:0)", TYPE_MIX, AT(mix), 0, 0},
	{"seed", "N", "what all is drawn from (default 1)", TYPE_U64, AT(seed), 0, 0},
	{"data", "DIR", "folder of the replayed series (default: the excerpts of the source tree)", TYPE_TEXT, AT(data_dir), 0, 0},
	{"period", "SPAN", "a logger's reading period, for all or as twin=60s,nettra=5m,… (default 60s)", TYPE_PERIOD, AT(period_ms), 0, 0},
	{"clock", "FILE", "follow the simulated clock of this file, shared with the daemon (default: real time)", TYPE_TEXT, AT(clock_file), 0, 0},
	{"start", "TIME", "where a clock file made here begins (RFC 3339, default 2026-01-01T00:00:00Z)", TYPE_TIME, AT(start_ms), 0, 0},
	{"origin", "TIME", "no logger read anything before (RFC 3339, default 2025-01-01T00:00:00Z)", TYPE_TIME, AT(origin_ms), 0, 0},
	{"retention", "SPAN", "how far back the histories go (default 30d)", TYPE_SPAN, AT(retention_ms), 0, 0},
	{"accounts", "N", "accounts per provider (default 1)", TYPE_U32, AT(accounts), 1, 1000},
	{"token-life", "SPAN", "life of a twin token (default 1h)", TYPE_SPAN, AT(token_life_ms), 0, 0},
	{"noise", "SHARE", "noise of the flow meters (default 0.005)", TYPE_SHARE, AT(noise), 0, 1},
	{"skew", "on|off", "nettra and novus variables have timestamps of their own, up to 4 s apart (default on)", TYPE_ON, AT(skew), 0, 0},
	{"hang-max", "SPAN", "when a hanging request is cut at last (default 120s)", TYPE_SPAN, AT(hang_max_ms), 0, 0},
	{"faults", "FILE", "JSON array of faults to begin with (as POST /sim/faults)", TYPE_TEXT, AT(faults_file), 0, 0},
	{"dga-ledger", "FILE", "keep the DGA's ledger in this file over restarts", TYPE_TEXT, AT(dga_ledger_file), 0, 0},
	{"dga-rate", "N", "calls a second that a control centre may make (default 1)", TYPE_U32, AT(dga_rate), 1, 100000},
	{"dga-spacing", "SPAN", "least time between two POSTs of one work (default 5m)", TYPE_SPAN, AT(dga_spacing_ms), 0, 0},
	{"dga-window", "SPAN", "before a slot, in which its reading must lie (default 1h)", TYPE_SPAN, AT(dga_window_ms), 0, 0},
	{"dga-lag", "SPAN", "longest time between measurement and filing (default 7d)", TYPE_SPAN, AT(dga_lag_ms), 0, 0},
	{"dga-tolerance", "SPAN", "by which arrivals may be too close (default 1s; 0 on a simulated clock)", TYPE_SPAN, AT(dga_tolerance_ms), -1, 0},
	{"threads", "N", "threads that serve (default 2)", TYPE_U32, AT(threads), 1, 64},
	{"connections", "N", "connections at most (default 20000)", TYPE_U32, AT(connections), 16, 200000},
	{"help", NULL, "this text", TYPE_HELP, 0, 0, 0},
};

static bool read_u64(const char *text, uint64_t *ret)
{
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text < '0' || *text > '9')
		return false;
	*ret = v;
	return true;
}

static bool read_mix(const char *text, uint32_t ret[SIM_PROVIDERS])
{
	uint32_t mix[SIM_PROVIDERS] = {0};
	char after;
	int n = sscanf(text, "%u:%u:%u:%u%c", &mix[0], &mix[1], &mix[2], &mix[3], &after);
	if (n != 3 && n != 4)
		return false;
	memcpy(ret, mix, sizeof mix);
	return true;
}

/* "60s", or "twin=60s,novus=5m" for some. */
static bool read_periods(const char *text, int64_t ret[SIM_PROVIDERS])
{
	char copy[256];
	if ((size_t)snprintf(copy, sizeof copy, "%s", text) >= sizeof copy)
		return false;
	char *save = NULL;
	for (char *item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		char *span = strchr(item, '=');
		if (span)
			*span++ = '\0';
		int64_t ms;
		if (!hd_duration_parse(span ? span : item, &ms) || ms < PERIOD_MIN_MS)
			return false;
		bool found = false;
		for (uint32_t p = 0; p < SIM_PROVIDERS; p++)
			if (!span || strcmp(item, sim_service_names[p]) == 0) {
				ret[p] = ms;
				found = true;
			}
		if (!found)
			return false;
	}
	return true;
}

static bool read_value(const struct option *o, const char *text, struct sim_config *config)
{
	void *at = (char *)config + o->offset;
	uint64_t whole;
	char *end;
	switch (o->type) {
	case TYPE_U32:
		if (!read_u64(text, &whole) || (double)whole < o->least || (double)whole > o->most)
			return false;
		*(uint32_t *)at = (uint32_t)whole;
		return true;
	case TYPE_U64:
		return read_u64(text, at);
	case TYPE_SPAN:
		return hd_duration_parse(text, at) && (*(int64_t *)at > 0 || (o->least < 0 && *(int64_t *)at == 0));
	case TYPE_TIME:
		return hd_time_parse(text, strlen(text), false, at);
	case TYPE_TEXT:
		*(const char **)at = text;
		return *text != '\0';
	case TYPE_SHARE:
		*(double *)at = strtod(text, &end);
		return *text && !*end && *(double *)at >= o->least && *(double *)at <= o->most;
	case TYPE_ON:
		*(bool *)at = strcmp(text, "on") == 0;
		return *(bool *)at || strcmp(text, "off") == 0;
	case TYPE_PERIOD:
		return read_periods(text, at);
	default:
		return read_mix(text, at);
	}
}

static const struct option *find(const char *name, size_t len)
{
	for (size_t i = 0; i < HD_ARRAY_LEN(options); i++)
		if (strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
			return &options[i];
	return NULL;
}

int sim_options_read(int argc, char **argv, struct sim_config *ret, struct hydro_error *err)
{
	*ret = (struct sim_config){.seed = 1, .points = 1000, .mix = {64, 60, 48, 0}, .accounts = 1, .threads = 2, .connections = 20000,
	                           .period_ms = {60000, 60000, 60000, 60000}, .retention_ms = INT64_C(30) * 86400000, .token_life_ms = 3600000,
	                           .hang_max_ms = 120000, .dga_rate = 1, .dga_spacing_ms = 300000, .dga_window_ms = 3600000,
	                           .dga_lag_ms = INT64_C(7) * 86400000, .dga_tolerance_ms = -1, .noise = 0.005, .skew = true, .data_dir = SIM_DATA_DIR};
	(void)hd_time_parse("2026-01-01T00:00:00Z", 20, false, &ret->start_ms);
	(void)hd_time_parse("2025-01-01T00:00:00Z", 20, false, &ret->origin_ms);
	for (int i = 1; i < argc; i++) {
		const char *name = strncmp(argv[i], "--", 2) == 0 ? argv[i] + 2 : "", *value = strchr(name, '=');
		const struct option *o = find(name, value ? (size_t)(value - name) : strlen(name));
		if (!o)
			return hd_error_set(err, HYDRO_E_INVALID, "unknown option %s (--help)", argv[i]);
		if (o->type == TYPE_HELP)
			return SIM_OPTIONS_HELP;
		value = value ? value + 1 : i + 1 < argc ? argv[++i] : "";
		if (!read_value(o, value, ret))
			return hd_error_set(err, HYDRO_E_INVALID, "--%s %s: wrong value (--help)", o->name, value);
	}
	return SIM_OPTIONS_RUN;
}

void sim_options_help(void)
{
	(void)puts("hydro-sim: the providers twin, nettra, novus and http_json and the DGA, simulated over HTTP\n");
	for (size_t i = 0; i < HD_ARRAY_LEN(options); i++) {
		char head[48];
		(void)snprintf(head, sizeof head, "--%s %s", options[i].name, options[i].argument ? options[i].argument : "");
		(void)printf("  %-22s %s\n", head, options[i].doc);
	}
}
