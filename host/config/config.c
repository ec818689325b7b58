/* SPDX-License-Identifier: MIT */
#include "config/config.h"

#include "base/fs.h"
#include "base/timefmt.h"
#include "config/chunk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_TEXT 0u
#define TYPE_INTEGER 1u
#define TYPE_BOOL 2u
#define TYPE_DURATION 3u /* ms */
#define TYPE_SIZE 4u     /* bytes: a number or "64MiB" */
#define TYPE_CHOICE 5u

/* A row per scalar key: what checks it, where it goes and what the reference says. */
struct row {
	const char *path;
	uint32_t type;
	size_t offset;
	const char *fallback;
	double min, max;
	const char *choices; /* " a b " for TYPE_CHOICE */
	const char *doc;
};

#define AT(member) offsetof(struct hd_config, member)
static const struct row rows[] = {
	{"data_dir", TYPE_TEXT, AT(data_dir), "/var/lib/hydrod", 1, 4000, NULL, "folder of journal, history and databases"},
	{"key_file", TYPE_TEXT, AT(key_file), "/etc/hydrod/key", 1, 4000, NULL, "key that seals secrets; made at first start, outside the data folder"},
	{"seal", TYPE_CHOICE, AT(seal), "secrets", 0, 0, " secrets all ", "what is sealed at rest: secrets only, or journal and history too"},
	{"listen.address", TYPE_TEXT, AT(address), "127.0.0.1", 1, 64, NULL, "address of the REST API"},
	{"listen.port", TYPE_INTEGER, AT(port), "8000", 0, 65535, NULL, "port of the REST API; 0 = any free one"},
	{"listen.threads", TYPE_INTEGER, AT(http_threads), "2", 1, 64, NULL, "threads of the REST API"},
	{"ready_file", TYPE_TEXT, AT(ready_file), "", 0, 4000, NULL, "file that gets the port once the daemon is ready"},
	{"log.level", TYPE_CHOICE, AT(log_level), "info", 0, 0, " error warn info debug ", "lines above it are left out"},
	{"log.format", TYPE_CHOICE, AT(log_format), "auto", 0, 0, " auto logfmt ecs ", "auto: logfmt on a terminal, else ECS JSON"},
	{"workers", TYPE_INTEGER, AT(workers), "0", 0, 256, NULL, "pipeline threads; 0 = one per core"},
	{"journal.segment_bytes", TYPE_SIZE, AT(segment_bytes), "64MiB", 1 << 20, 4294967296.0, NULL, "size of a journal segment"},
	{"journal.max_bytes", TYPE_SIZE, AT(journal_max_bytes), "0", 0, 1e15, NULL, "bound of the journal on disk; 0 = none"},
	{"journal.commit_ms", TYPE_DURATION, AT(commit_ms), "2ms", 0, 1000, NULL, "a record waits at most this long for its group, up to 12 times that where much comes in little by little"},
	{"journal.commit_bytes", TYPE_SIZE, AT(commit_bytes), "1MiB", 4096, 67108864, NULL, "a group is written at this size at the latest"},
	{"history.merge_after", TYPE_DURATION, AT(merge_after_ms), "1h", 0, 864e5, NULL, "a day (UTC) is merged into chunks this long after its end"},
	{"history.merge_pending", TYPE_SIZE, AT(merge_pending_bytes), "1GiB", 1 << 20, 1e15, NULL, "or when the journal holds so much that is not merged, at most half of `journal.max_bytes`: the more, the fewer bytes are written a measurement"},
	{"history.month_after", TYPE_DURATION, AT(month_after_ms), "3d", 1000, 7776e6, NULL, "a month's chunks are merged this long after its end, and what came to it later this long after it came"},
	{"pipelines.dir", TYPE_TEXT, AT(pipeline_dir), "/usr/share/hydrod/pipelines", 1, 4000, NULL, "folder of pipeline scripts"},
	{"pipelines.watch", TYPE_BOOL, AT(pipeline_watch), "true", 0, 0, NULL, "reload a script when its file changes"},
	{"pipelines.edit", TYPE_CHOICE, AT(pipeline_edit), "write", 0, 0, " write refuse ", "edits over REST are written to the folder, or refused where it comes from version control"},
	{"pipelines.step_budget_us", TYPE_INTEGER, AT(step_budget_us), "2000", 100, 1e6, NULL, "CPU time of one call of a Lua step"},
	{"pipelines.checkpoint", TYPE_DURATION, AT(checkpoint_ms), "10m", 1000, 864e5, NULL, "a round over the step state of all points, to disk: what changed of it; sooner by `pipelines.replay`"},
	{"pipelines.replay", TYPE_INTEGER, AT(replay_records), "1000000", 10000, 1e9, NULL, "a start after a crash runs at most so many records of the journal again: what the round is fast enough for"},
	{"pipelines.memory", TYPE_SIZE, AT(memory_per_state_bytes), "64MiB", 1 << 20, 4294967296.0, NULL, "memory of one Lua state"},
	{"plugins.runner", TYPE_TEXT, AT(runner), "", 0, 4000, NULL, "path of hydro-runner; empty = beside hydrod"},
	{"collect.connections", TYPE_INTEGER, AT(connections), "1000", 1, 100000, NULL, "connections open at once"},
	{"collect.ahead", TYPE_DURATION, AT(collect_ahead_ms), "6h", 0, 864e5, NULL, "windows of polls reach this far past now, for loggers whose clock is ahead"},
	{"collect.deep", TYPE_DURATION, AT(collect_deep_ms), "auto", 0, 864e6, " auto ", "twice in this time so much is asked again, for what providers take in late; 0s = never; auto: 24h, never above 200,000 points"},
	{"collect.ca_file", TYPE_TEXT, AT(ca_file), "", 0, 4000, NULL, "certificates that providers are verified against; empty = the system's"},
	{"filing.send_from", TYPE_DURATION, AT(filing_send_from_ms), "2m", 0, 36e5, NULL, "after the due time: the first turn of a fresh slot; a slot is first looked at within it"},
	{"filing.send_until", TYPE_DURATION, AT(filing_send_until_ms), "50m", 1000, 36e5, NULL, "after the due time: the last turn; slots of an hour are spread evenly between the two"},
	{"filing.reserve", TYPE_DURATION, AT(filing_reserve_ms), "3m", 1000, 36e5, NULL, "a turn comes at least this long before the deadline that the measurement sets"},
	{"filing.lease", TYPE_DURATION, AT(filing_lease_ms), "2m", 11000, 36e5, NULL, "of a claim: the right to send one slot; must be more than `filing.timeout` and 10 s for the connection together"},
	{"filing.timeout", TYPE_DURATION, AT(filing_timeout_ms), "30s", 10, 6e5, NULL, "of one call of the regulator"},
	{"filing.look_again", TYPE_DURATION, AT(filing_look_again_ms), "5m", 1000, 36e5, NULL, "a slot without measurement is looked at again after this time, later up to 1 h"},
	{"filing.amber", TYPE_DURATION, AT(filing_amber_ms), "45m", 1000, 864e5, NULL, "after the measurement, not filed: alarm"},
	{"filing.red", TYPE_DURATION, AT(filing_red_ms), "12h", 1000, 864e6, NULL, "before the end of the lag, not filed: alarm"},
	{"filing.circuit_failures", TYPE_INTEGER, AT(filing_circuit_failures), "5", 1, 1000, NULL, "failures in a row of a centre after which it is only probed"},
	{"filing.circuit_probe", TYPE_DURATION, AT(filing_circuit_probe_ms), "5m", 1000, 864e5, NULL, "between two probes, by a check or a slot that was never sent"},
	{"filing.block_works", TYPE_INTEGER, AT(filing_block_works), "8", 0, 100000, NULL, "works in a row whose connection was reset that count as a block of the centre; 0 = never"},
	{"filing.no_connection_is_unsent", TYPE_BOOL, AT(filing_no_connection_is_unsent), "false", 0, 0, NULL, "no connection (name, refused, TLS) counts as never sent: again after the spacing, not on the next day"},
	{"filing.clock_sync", TYPE_BOOL, AT(filing_clock_sync), "true", 0, 0, NULL, "nothing is sent while the kernel says that the machine's clock is not synchronised"},
	{"filing.ca_file", TYPE_TEXT, AT(filing_ca_file), "", 0, 4000, NULL, "certificates that the regulator is verified against; empty = the system's"},
	{"filing.proxy", TYPE_TEXT, AT(filing_proxy), "", 0, 4000, NULL, "proxy towards the regulator; empty = none"},
	{"filing.mark_file", TYPE_TEXT, AT(filing_mark_file), "", 0, 4000, NULL, "how far the ledger had come, kept outside data_dir so that a restored one is known; empty = key_file with `.mark`"},
	{"clock.ahead", TYPE_DURATION, AT(ahead_ms), "5m", 0, 864e5, NULL, "a logger's time further ahead than this is flagged"},
};

static const struct { const char *path, *type, *doc; } trees[] = {
	{"plugins.dirs", "list", "list of folders with plugins (.so)"},
	{"roles", "list", "list of collector, processor, dga, business, analytics; all by default"},
	{"providers", "table", "name = { plugin, options, isolation, concurrency, rate, timeout }"},
	{"analytics", "table", "name = { plugin, options }: what `detect` steps of pipelines may name"},
	{"filing.adapters", "table", "name = { plugin, options, isolation }: the regulators' manuals that works are filed by; none = this daemon does not file"},
};
static const char *const analytics_keys[] = {"plugin", "options"};
static const char *const adapter_keys[] = {"plugin", "options", "isolation"};
static const char *const provider_keys[] = {"plugin", "options", "isolation", "concurrency", "rate", "timeout"};
/* Beside provider_keys, in the same order. */
static const struct hd_config_setting provider_settings[] = {
	{"providers.NAME.plugin", "text", "NAME", NULL, 0, 0, "plugin that the provider is an instance of"},
	{"providers.NAME.options", "table", "", NULL, 0, 0, "the plugin's own options; `hydro-runner --probe FILE.so` lists them"},
	{"providers.NAME.isolation", "choice", "none", " none process ", 0, 0, "process: run in a hydro-runner of its own, whose crash harms nothing else"},
	{"providers.NAME.concurrency", "whole number", "64", NULL, 1, 100000, "requests under way at once, per account"},
	{"providers.NAME.rate", "number", "0", NULL, 0, 0, "requests a second, per account; 0 = no limit"},
	{"providers.NAME.timeout", "time", "30s", NULL, 0, 0, "of one request"},
};
_Static_assert(HD_ARRAY_LEN(provider_settings) == HD_ARRAY_LEN(provider_keys), "a provider's settings and their keys");
static const struct hd_config_setting analytics_settings[] = {
	{"analytics.NAME.plugin", "text", "NAME", NULL, 0, 0, "plugin that judges readings"},
	{"analytics.NAME.options", "table", "", NULL, 0, 0, "the plugin's own options; `hydro-runner --probe FILE.so` lists them"},
};
static const struct hd_config_setting adapter_settings[] = {
	{"filing.adapters.NAME.plugin", "text", "NAME", NULL, 0, 0, "sink plugin that files"},
	{"filing.adapters.NAME.options", "table", "", NULL, 0, 0, "the plugin's own options; `hydro-runner --probe FILE.so` lists them"},
	{"filing.adapters.NAME.isolation", "choice", "none", " none process ", 0, 0, "process: run in a hydro-runner of its own, whose crash harms nothing else"},
};
static const char *const role_names[] = {"collector", "processor", "dga", "business", "analytics"};

static size_t edit_distance(const char *a, const char *b)
{
	size_t previous[64], current[64], n = strlen(b);
	if (strlen(a) > 63 || n > 62)
		return 64;
	for (size_t j = 0; j <= n; j++)
		previous[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		current[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t swap = previous[j - 1] + (a[i - 1] != b[j - 1]);
			current[j] = HD_MIN(swap, HD_MIN(previous[j], current[j - 1]) + 1);
		}
		memcpy(previous, current, sizeof previous);
	}
	return previous[n];
}

const char *hd_nearest_name(const char *text, const char *const *names, size_t count)
{
	const char *best = NULL;
	size_t least = HD_MAX(strlen(text) / 2, (size_t)2) + 1;
	for (size_t i = 0; i < count; i++) {
		size_t distance = edit_distance(text, names[i]);
		if (distance < least) {
			least = distance;
			best = names[i];
		}
	}
	return best;
}

struct source {
	const char *name;
	const char *text;
	size_t len;
};

/*
 * The line where a path most likely stands: its words are looked for one after the other, each as `word =` or as a text.
 * A table that a program made may not have them; then it is line 0 and left out.
 */
static unsigned line_of(const struct source *source, const char *path)
{
	const char *at = source->text, *end = source->text + source->len, *found = NULL;
	char word[128];
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, ".[");
		(void)snprintf(word, sizeof word, "%.*s", (int)HD_MIN(n, sizeof word - 1), p);
		const char *hit = n ? memmem(at, (size_t)(end - at), word, strlen(word)) : NULL;
		if (hit) {
			found = hit;
			at = hit + n;
		}
		p += n;
		if (*p == '[')
			p += strcspn(p, "]");
		p += strspn(p, "].");
	}
	unsigned line = found ? 1 : 0;
	for (const char *p = source->text; found && p < found; p++)
		line += *p == '\n';
	return line;
}

static int refuse(const struct source *source, const char *path, struct hydro_error *err, const char *fmt, ...) HD_PRINTF(4, 5);
static int refuse(const struct source *source, const char *path, struct hydro_error *err, const char *fmt, ...)
{
	char why[320], where[24] = "";
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	unsigned line = line_of(source, path);
	if (line)
		(void)snprintf(where, sizeof where, ":%u", line);
	return hd_error_set(err, HYDRO_E_CONFIG, "%s%s: %s: %s", source->name, where, path, why);
}

static bool size_parse(const char *text, double *ret)
{
	static const struct { const char *unit; double factor; } units[] = {{"", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824.0}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}};
	char *end;
	if (*text < '0' || *text > '9')
		return false;
	double value = strtod(text, &end);
	for (size_t i = 0; i < HD_ARRAY_LEN(units); i++)
		if (strcmp(end, units[i].unit) == 0) {
			*ret = value * units[i].factor;
			return true;
		}
	return false;
}

static int set_number(const struct source *source, const struct row *row, double value, struct hd_config *config, struct hydro_error *err)
{
	if (value != floor(value) || value < row->min || value > row->max)
		return refuse(source, row->path, err, "%.15g is not a whole number of %.15g to %.15g%s", value, row->min, row->max,
			      row->type == TYPE_DURATION ? " ms" : "");
	*(int64_t *)(void *)((char *)config + row->offset) = (int64_t)value;
	return HYDRO_OK;
}

static int set_text(const struct source *source, const struct row *row, const char *text, struct hd_config *config, struct hydro_error *err)
{
	char word[64];
	(void)snprintf(word, sizeof word, " %s ", text);
	if (row->type == TYPE_CHOICE && !strstr(row->choices, word))
		return refuse(source, row->path, err, "\"%s\" is not one of:%s", text, row->choices);
	if (row->type == TYPE_TEXT && ((double)strlen(text) < row->min || (double)strlen(text) > row->max))
		return refuse(source, row->path, err, "text of %.0f to %.0f characters expected", row->min, row->max);
	*(const char **)(void *)((char *)config + row->offset) = text;
	return HYDRO_OK;
}

static int set_row(const struct source *source, const struct row *row, const cJSON *node, struct hd_config *config, struct hydro_error *err)
{
	static const char *const expected[] = {"text", "a number", "true or false", "a time like \"90s\"", "a size like \"64MiB\"", "text"};
	const char *text = node ? cJSON_GetStringValue(node) : row->fallback;
	int64_t ms;
	double bytes;
	if (row->type == TYPE_BOOL && (!node || cJSON_IsBool(node))) {
		*(bool *)((char *)config + row->offset) = node ? cJSON_IsTrue(node) : strcmp(row->fallback, "true") == 0;
		return HYDRO_OK;
	}
	if ((row->type == TYPE_TEXT || row->type == TYPE_CHOICE) && text)
		return set_text(source, row, text, config, err);
	if (row->type == TYPE_DURATION && row->choices && text && strcmp(text, "auto") == 0) {
		*(int64_t *)(void *)((char *)config + row->offset) = HD_CONFIG_AUTO;
		return HYDRO_OK;
	}
	if (row->type == TYPE_DURATION && text && hd_duration_parse(text, &ms))
		return set_number(source, row, (double)ms, config, err);
	if ((row->type == TYPE_SIZE || (row->type == TYPE_INTEGER && !node)) && text && size_parse(text, &bytes))
		return set_number(source, row, bytes, config, err);
	if ((row->type == TYPE_INTEGER || row->type == TYPE_SIZE) && cJSON_IsNumber(node))
		return set_number(source, row, node->valuedouble, config, err);
	return refuse(source, row->path, err, "%s expected", expected[row->type]);
}

static const cJSON *find_path(const cJSON *node, const char *path)
{
	char word[64];
	for (const char *p = path; node && *p;) {
		size_t n = strcspn(p, ".");
		(void)snprintf(word, sizeof word, "%.*s", (int)n, p);
		node = cJSON_GetObjectItemCaseSensitive(node, word);
		p += n + (p[n] == '.');
	}
	return node;
}

/* Whether path is a row or tree, or (then *ret_inner) a table on the way to one. */
static bool known(const char *path, bool *ret_inner)
{
	size_t n = strlen(path), count = HD_ARRAY_LEN(rows) + HD_ARRAY_LEN(trees);
	for (size_t i = 0; i < count; i++) {
		const char *have = i < HD_ARRAY_LEN(rows) ? rows[i].path : trees[i - HD_ARRAY_LEN(rows)].path;
		if (strncmp(have, path, n) == 0 && (have[n] == '\0' || have[n] == '.')) {
			*ret_inner = have[n] == '.';
			return true;
		}
	}
	return false;
}

/* The setting, or table on the way to one, that a wrong path most likely meant; "" when none is near. */
static void nearest_setting(const char *path, char *ret, size_t size)
{
	char cut[HD_ARRAY_LEN(rows) + HD_ARRAY_LEN(trees)][64];
	const char *names[HD_ARRAY_LEN(cut)];
	size_t words = 1;
	for (const char *p = path; (p = strchr(p, '.')); p++)
		words++;
	for (size_t i = 0; i < HD_ARRAY_LEN(cut); i++) {
		const char *full = i < HD_ARRAY_LEN(rows) ? rows[i].path : trees[i - HD_ARRAY_LEN(rows)].path, *end = full;
		for (size_t w = 0; w < words && *end; w++)
			end += strcspn(end + 1, ".") + 1;
		(void)snprintf(cut[i], sizeof cut[i], "%.*s", (int)(end - full), full);
		names[i] = cut[i];
	}
	const char *near = hd_nearest_name(path, names, HD_ARRAY_LEN(names));
	(void)snprintf(ret, size, "%s", near ? near : "");
}

static int check_unknown(const struct source *source, const cJSON *node, const char *prefix, struct hydro_error *err)
{
	const cJSON *child;
	cJSON_ArrayForEach(child, node) {
		char path[256];
		bool inner;
		(void)snprintf(path, sizeof path, "%s%s%s", prefix, prefix[0] ? "." : "", child->string ? child->string : "?");
		if (!known(path, &inner)) {
			char near[64];
			nearest_setting(path, near, sizeof near);
			return near[0] ? refuse(source, path, err, "no such setting; did you mean %s?", near) : refuse(source, path, err, "no such setting");
		}
		if (inner && !cJSON_IsObject(child) && !(cJSON_IsArray(child) && cJSON_GetArraySize(child) == 0))
			return refuse(source, path, err, "a table expected");
		int rc = inner ? check_unknown(source, child, path, err) : HYDRO_OK;
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}

static int set_list(const struct source *source, const cJSON *root, const char *path, const char **ret, uint32_t *ret_count, struct hydro_error *err)
{
	const cJSON *list = find_path(root, path), *item;
	if (!list)
		return HYDRO_OK;
	cJSON_ArrayForEach(item, list) {
		if (!cJSON_IsString(item) || *ret_count == HD_CONFIG_LIST_MAX)
			return refuse(source, path, err, "a list of at most %u texts expected", HD_CONFIG_LIST_MAX);
		ret[(*ret_count)++] = item->valuestring;
	}
	return HYDRO_OK;
}

static int set_roles(const struct source *source, struct hd_config *config, struct hydro_error *err)
{
	int rc = set_list(source, config->root, "roles", config->roles, &config->role_count, err);
	if (rc != HYDRO_OK)
		return rc;
	for (uint32_t i = 0; i < config->role_count; i++) {
		bool valid = false;
		for (size_t k = 0; k < HD_ARRAY_LEN(role_names); k++)
			valid |= strcmp(role_names[k], config->roles[i]) == 0;
		if (!valid)
			return refuse(source, "roles", err, "\"%s\" is not a role (collector, processor, dga, business, analytics)", config->roles[i]);
	}
	for (size_t k = 0; config->role_count < HD_ARRAY_LEN(role_names) && k < HD_ARRAY_LEN(role_names) && !find_path(config->root, "roles"); k++)
		config->roles[config->role_count++] = role_names[k];
	return HYDRO_OK;
}

static int set_provider(const struct source *source, const cJSON *node, struct hd_config_provider *ret, struct hydro_error *err)
{
	char path[256];
	*ret = (struct hd_config_provider){.name = node->string, .plugin = node->string, .isolation = "none", .concurrency = 64, .rate = 0, .timeout_ms = 30000};
	const cJSON *child;
	cJSON_ArrayForEach(child, node) {
		const char *key = child->string ? child->string : "?", *text = cJSON_GetStringValue(child);
		(void)snprintf(path, sizeof path, "providers.%s.%s", node->string, key);
		if (strcmp(key, "plugin") == 0 && text)
			ret->plugin = text;
		else if (strcmp(key, "isolation") == 0 && text && (strcmp(text, "none") == 0 || strcmp(text, "process") == 0))
			ret->isolation = text;
		else if (strcmp(key, "options") == 0 && (cJSON_IsObject(child) || cJSON_IsArray(child)))
			ret->options = cJSON_IsObject(child) ? child : NULL;
		else if (strcmp(key, "concurrency") == 0 && cJSON_IsNumber(child) && child->valuedouble >= 1 && child->valuedouble <= 100000)
			ret->concurrency = (int64_t)child->valuedouble;
		else if (strcmp(key, "rate") == 0 && cJSON_IsNumber(child) && child->valuedouble >= 0)
			ret->rate = child->valuedouble;
		else if (strcmp(key, "timeout") == 0 && text && hd_duration_parse(text, &ret->timeout_ms) && ret->timeout_ms > 0)
			continue;
		else if (!hd_nearest_name(key, provider_keys, HD_ARRAY_LEN(provider_keys)))
			return refuse(source, path, err, "no such setting of a provider (plugin, options, isolation, concurrency, rate, timeout)");
		else
			return refuse(source, path, err, "not a setting, or not a value for it; nearest: %s", hd_nearest_name(key, provider_keys, HD_ARRAY_LEN(provider_keys)));
	}
	return HYDRO_OK;
}

/* `keys`: what such an instance takes; "isolation" where it may run in a process of its own. */
static int set_instance(const struct source *source, const char *tree, const cJSON *node, const char *const *keys, size_t key_count, struct hd_config_instance *ret,
			struct hydro_error *err)
{
	bool may_be_apart = strcmp(keys[key_count - 1], "isolation") == 0;
	*ret = (struct hd_config_instance){.name = node->string, .plugin = node->string};
	const cJSON *child;
	cJSON_ArrayForEach(child, node) {
		const char *key = child->string ? child->string : "?", *text = cJSON_GetStringValue(child);
		char path[256];
		(void)snprintf(path, sizeof path, "%s.%s.%s", tree, node->string, key);
		const char *near = hd_nearest_name(key, keys, key_count);
		if (strcmp(key, "plugin") == 0 && text)
			ret->plugin = text;
		else if (strcmp(key, "options") == 0 && (cJSON_IsObject(child) || cJSON_IsArray(child)))
			ret->options = cJSON_IsObject(child) ? child : NULL;
		else if (may_be_apart && strcmp(key, "isolation") == 0 && text && (strcmp(text, "none") == 0 || strcmp(text, "process") == 0))
			ret->isolated = strcmp(text, "process") == 0;
		else if (near)
			return refuse(source, path, err, "not a setting, or not a value for it; nearest: %s", near);
		else
			return refuse(source, path, err, "no such setting of an instance of %s (plugin, options%s)", tree, may_be_apart ? ", isolation" : "");
	}
	return HYDRO_OK;
}

/* Calls set_one for each table of the tree `name`. */
static int set_instances(const struct source *source, struct hd_config *config, const char *name, uint32_t max,
			 int (*set_one)(const struct source *source, const cJSON *node, struct hd_config *config, struct hydro_error *err), struct hydro_error *err)
{
	const cJSON *instances = find_path(config->root, name), *node;
	uint32_t count = 0;
	if (instances && !cJSON_IsObject(instances) && cJSON_GetArraySize(instances) > 0)
		return refuse(source, name, err, "a table of name = { … } expected");
	cJSON_ArrayForEach(node, instances) {
		char path[256];
		(void)snprintf(path, sizeof path, "%s.%s", name, node->string);
		if (count++ == max)
			return refuse(source, path, err, "more than %u %s", max, name);
		if (!cJSON_IsObject(node) && !(cJSON_IsArray(node) && cJSON_GetArraySize(node) == 0)) /* {} may read as a list */
			return refuse(source, path, err, "a table expected");
		int rc = set_one(source, node, config, err);
		if (rc != HYDRO_OK)
			return rc;
	}
	return HYDRO_OK;
}

static int add_provider(const struct source *source, const cJSON *node, struct hd_config *config, struct hydro_error *err)
{
	return set_provider(source, node, &config->providers[config->provider_count++], err);
}

static int add_analytics(const struct source *source, const cJSON *node, struct hd_config *config, struct hydro_error *err)
{
	return set_instance(source, "analytics", node, analytics_keys, HD_ARRAY_LEN(analytics_keys), &config->analytics[config->analytics_count++], err);
}

static int add_adapter(const struct source *source, const cJSON *node, struct hd_config *config, struct hydro_error *err)
{
	return set_instance(source, "filing.adapters", node, adapter_keys, HD_ARRAY_LEN(adapter_keys), &config->adapters[config->adapter_count++], err);
}

static int check_filing(const struct source *source, const struct hd_config *config, struct hydro_error *err)
{
	if (config->filing_send_until_ms < config->filing_send_from_ms)
		return refuse(source, "filing.send_until", err, "before filing.send_from");
	if (config->filing_lease_ms <= config->filing_timeout_ms + 10000)
		return refuse(source, "filing.lease", err, "must be more than filing.timeout and 10 s for the connection together");
	return HYDRO_OK;
}

static int fill(const struct source *source, struct hd_config *config, struct hydro_error *err)
{
	int rc = check_unknown(source, config->root, "", err);
	for (size_t i = 0; rc == HYDRO_OK && i < HD_ARRAY_LEN(rows); i++)
		rc = set_row(source, &rows[i], find_path(config->root, rows[i].path), config, err);
	if (rc == HYDRO_OK)
		rc = set_list(source, config->root, "plugins.dirs", config->plugin_dirs, &config->plugin_dir_count, err);
	if (rc == HYDRO_OK)
		rc = set_roles(source, config, err);
	if (rc == HYDRO_OK)
		rc = set_instances(source, config, "providers", HD_CONFIG_PROVIDERS_MAX, add_provider, err);
	if (rc == HYDRO_OK)
		rc = set_instances(source, config, "analytics", HD_CONFIG_ANALYTICS_MAX, add_analytics, err);
	if (rc == HYDRO_OK)
		rc = set_instances(source, config, "filing.adapters", HD_CONFIG_ADAPTERS_MAX, add_adapter, err);
	return rc == HYDRO_OK ? check_filing(source, config, err) : rc;
}

int hd_config_parse(const char *name, const char *text, size_t len, struct hd_config **ret, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_config) struct hd_config *config = calloc(1, sizeof *config);
	if (!config || !(config->path = strdup(name)))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for configuration");
	int rc = hd_chunk_run(name, text, len, &config->root, err);
	if (rc != HYDRO_OK)
		return rc;
	struct source source = {name, text, len};
	rc = fill(&source, config, err);
	if (rc == HYDRO_OK)
		*ret = HD_STEAL(config);
	return rc;
}

int hd_config_load(const char *path, struct hd_config **ret, struct hydro_error *err)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf text = {0};
	int rc = hd_fs_read(path, HD_CONFIG_FILE_BYTES_MAX, &text, err);
	return rc == HYDRO_OK ? hd_config_parse(path, text.len ? text.data : "", text.len, ret, err) : rc;
}

void hd_config_free(struct hd_config **config)
{
	if (!*config)
		return;
	cJSON_Delete((*config)->root);
	free((*config)->path);
	free(*config);
	*config = NULL;
}

void hd_cleanup_config(struct hd_config **config)
{
	hd_config_free(config);
}

void hd_config_json(const struct hd_config *config, struct hd_buf *ret)
{
	hd_buf_add_text(ret, "{\"path\":");
	hd_buf_add_json(ret, config->path, strlen(config->path));
	for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
		const void *at = (const char *)config + rows[i].offset;
		hd_buf_printf(ret, ",\"%s\":", rows[i].path);
		if (rows[i].type == TYPE_BOOL)
			hd_buf_add_text(ret, *(const bool *)at ? "true" : "false");
		else if (rows[i].type == TYPE_TEXT || rows[i].type == TYPE_CHOICE)
			hd_buf_add_json(ret, *(const char *const *)at, strlen(*(const char *const *)at));
		else if (rows[i].choices && *(const int64_t *)at == HD_CONFIG_AUTO)
			hd_buf_add_text(ret, "\"auto\"");
		else
			hd_buf_printf(ret, "%lld", (long long)*(const int64_t *)at);
	}
	hd_buf_add_text(ret, ",\"providers\":[");
	for (uint32_t i = 0; i < config->provider_count; i++)
		hd_buf_printf(ret, "%s{\"name\":\"%s\",\"plugin\":\"%s\",\"concurrency\":%lld,\"rate\":%g}", i ? "," : "", config->providers[i].name,
			      config->providers[i].plugin, (long long)config->providers[i].concurrency, config->providers[i].rate);
	hd_buf_add_text(ret, "],\"analytics\":[");
	for (uint32_t i = 0; i < config->analytics_count; i++)
		hd_buf_printf(ret, "%s{\"name\":\"%s\",\"plugin\":\"%s\"}", i ? "," : "", config->analytics[i].name, config->analytics[i].plugin);
	hd_buf_add_text(ret, "],\"adapters\":[");
	for (uint32_t i = 0; i < config->adapter_count; i++)
		hd_buf_printf(ret, "%s{\"name\":\"%s\",\"plugin\":\"%s\"}", i ? "," : "", config->adapters[i].name, config->adapters[i].plugin);
	hd_buf_add_text(ret, "]}");
}

bool hd_config_setting_at(size_t index, struct hd_config_setting *ret)
{
	static const char *const types[] = {"text", "whole number", "true or false", "time", "size", "choice"};
	if (index < HD_ARRAY_LEN(rows)) {
		const struct row *row = &rows[index];
		bool bounded = row->type == TYPE_INTEGER || row->type == TYPE_DURATION || row->type == TYPE_SIZE;
		*ret = (struct hd_config_setting){row->path, types[row->type], row->fallback, row->choices, bounded ? row->min : 0, bounded ? row->max : 0, row->doc};
		return true;
	}
	index -= HD_ARRAY_LEN(rows);
	if (index < HD_ARRAY_LEN(trees)) {
		*ret = (struct hd_config_setting){trees[index].path, trees[index].type, "", NULL, 0, 0, trees[index].doc};
		return true;
	}
	index -= HD_ARRAY_LEN(trees);
	if (index < HD_ARRAY_LEN(provider_settings)) {
		*ret = provider_settings[index];
		return true;
	}
	index -= HD_ARRAY_LEN(provider_settings);
	if (index < HD_ARRAY_LEN(analytics_settings)) {
		*ret = analytics_settings[index];
		return true;
	}
	index -= HD_ARRAY_LEN(analytics_settings);
	if (index >= HD_ARRAY_LEN(adapter_settings))
		return false;
	*ret = adapter_settings[index];
	return true;
}

void hd_config_reference(struct hd_buf *ret)
{
	struct hd_config_setting setting;
	hd_buf_add_text(ret, "| setting | default | what it is |\n| --- | --- | --- |\n");
	for (size_t i = 0; hd_config_setting_at(i, &setting); i++)
		hd_buf_printf(ret, setting.fallback[0] ? "| `%s` | `%s` | %s |\n" : "| `%s` | %s | %s |\n", setting.path, setting.fallback, setting.doc);
}
