/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "model/flags.h"

static void fake_health(void *arg, struct hd_health *health)
{
	struct api_world *w = arg;
	if (w->journal_full)
		hd_health_add(health, HD_HEALTH_FAILING, "journal", "no space left on its disk");
}

static int fake_ready(void *arg, struct hydro_error *err)
{
	struct api_world *w = arg;
	return w->journal_full ? hd_error_set(err, HYDRO_E_AGAIN, "the journal is not open") : HYDRO_OK;
}

static int fake_providers(void *arg, struct hd_buf *ret, struct hydro_error *err)
{
	(void)arg, (void)err;
	hd_buf_add_text(ret, "[{\"name\":\"twin\"}]");
	return HYDRO_OK;
}

static int fake_status(void *arg, const char *provider, struct hd_buf *ret, struct hydro_error *err)
{
	(void)arg;
	if (strcmp(provider, "twin") != 0)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no provider \"%s\"", provider);
	hd_buf_add_text(ret, "{\"name\":\"twin\",\"reachable\":true}");
	return HYDRO_OK;
}

static int fake_collect(void *arg, const char *provider, uint32_t *ret_points, struct hydro_error *err)
{
	(void)arg;
	*ret_points = 7;
	return strcmp(provider, "twin") == 0 ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOTFOUND, "there is no provider \"%s\"", provider);
}

static void fake_account_changed(void *arg, uint32_t account)
{
	((struct api_world *)arg)->accounts_changed += account;
}

static int fake_feed(void *arg, uint32_t point, const hydro_raw *raws, uint32_t count, uint32_t *ret_accepted, uint32_t *ret_dropped, struct hydro_error *err)
{
	struct api_world *w = arg;
	(void)point, (void)raws, (void)err;
	w->fed += count;
	*ret_accepted = count;
	*ret_dropped = 1;
	return HYDRO_OK;
}

/* An hourly series: flow = number of the hour, with a flag at each tenth, and a second revision at each fifth. */
static int fake_history(void *arg, const struct hd_history_query *query, hd_history_row_fn row, void *row_arg, struct hydro_error *err)
{
	struct api_world *w = arg;
	uint32_t rule = 0;
	int rc = hd_names_intern(w->names, HD_NAME_RULE, "well@1/range:flow", &rule, err);
	for (int k = 0; k < FAKE_ROWS && rc == HYDRO_OK; k++) {
		int i = query->descending ? FAKE_ROWS - 1 - k : k;
		int64_t ts = FAKE_START_MS + i * INT64_C(3600000);
		if (ts < query->from_ms || ts >= query->to_ms)
			continue;
		struct hd_value values[2] = {{(double)i, HD_METRIC_FLOW, i % 10 ? 1.0f : 0.5f}, {100.0 + i, HD_METRIC_TOTAL, 1.0f}}, raw = {i * 2.0, HD_METRIC_PULSES, 1.0f};
		struct hd_flag flag = {HD_METRIC_FLOW, HD_FLAG_OUT_OF_RANGE, 0, rule};
		int revs = query->all_revs && i % 5 == 0 ? 2 : 1;
		for (int r = 0; r < revs && rc == HYDRO_OK; r++) {
			struct hd_sample sample = {.ts_ms = ts, .point = query->point, .rev = (uint16_t)(query->descending ? revs - 1 - r : r), .raw_count = 1,
						   .value_count = 2, .flag_count = i % 10 ? 0 : 1, .raws = &raw, .values = values, .flags = &flag,
						   .bits = i == 3 ? HD_SAMPLE_LATE : 0};
			rc = row(row_arg, &sample);
		}
	}
	return rc;
}

static int fake_aggregates(void *arg, const struct hd_history_aggregate_query *query, hd_history_aggregate_fn row, void *row_arg, struct hydro_error *err)
{
	(void)arg, (void)err;
	struct hd_aggregate flow = {.start_ms = query->from_ms, .metric = HD_METRIC_FLOW, .count = 4, .suspect = 1, .min = 1, .max = 3, .sum = 8, .first = 1,
				    .last = 2, .volume = __builtin_nan("")};
	struct hd_aggregate total = flow;
	total.metric = HD_METRIC_TOTAL;
	total.volume = 12.5;
	int rc = row(row_arg, &flow);
	return rc == HYDRO_OK ? row(row_arg, &total) : rc;
}

static bool fake_latest(void *arg, uint32_t point, struct hd_latest_value *ret)
{
	struct api_world *w = arg;
	(void)point;
	*ret = (struct hd_latest_value){.ts_ms = FAKE_START_MS, .count = 1, .metrics = {{.value = 4.25, .metric = HD_METRIC_FLOW, .quality = 0.5f, .flag = HD_FLAG_FROZEN}}};
	return w->has_latest;
}

static int fake_list(void *arg, struct hd_buf *ret, struct hydro_error *err)
{
	(void)arg, (void)err;
	hd_buf_add_text(ret, "[]");
	return HYDRO_OK;
}

static int fake_check(void *arg, const char *name, const char *text, size_t len, struct hd_buf *ret, struct hydro_error *err)
{
	(void)arg, (void)len;
	if (text && strstr(text, "oops"))
		return hd_error_set(err, HYDRO_E_CONFIG, "%s.lua:1: oops", name);
	hd_buf_printf(ret, "{\"name\":\"%s\",\"candidate\":%s}", name, text ? "true" : "false");
	return HYDRO_OK;
}

static int fake_get(void *arg, const char *name, uint32_t version, struct hd_buf *ret, char ret_hash[17], struct hydro_error *err)
{
	(void)arg;
	if (strcmp(name, "well") != 0)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "there is no pipeline '%s'", name);
	(void)snprintf(ret_hash, 17, "00112233445566%02u", version);
	hd_buf_printf(ret, "{\"name\":\"%s\",\"version\":%u}", name, version);
	return HYDRO_OK;
}

static int fake_put(void *arg, const char *name, const char *text, size_t len, const struct hd_scripts_change *change, struct hd_buf *ret,
		    struct hydro_error *err)
{
	(void)arg;
	if (change->if_hash && strcmp(change->if_hash, "0011223344556600") != 0)
		return hd_error_set(err, HYDRO_E_STALE, "not at %s", change->if_hash);
	if (len == 4 && memcmp(text, "oops", 4) == 0) {
		hd_buf_printf(ret, "{\"result\":\"refused\",\"diagnostics\":[{\"file\":\"%s.lua\",\"line\":3,\"column\":9,\"message\":\"no step `rnge`\",\"hint\":\"range\"}]}",
			      name);
		return hd_error_set(err, HYDRO_E_CONFIG, "it is wrong");
	}
	hd_buf_printf(ret, "{\"bytes\":%zu,\"author\":\"%s\",\"reason\":\"%s\",\"share\":%u}", len, change->author, change->reason, change->share);
	return HYDRO_OK;
}

static int fake_reload(void *arg, const char *name, const struct hd_scripts_change *change, struct hd_buf *ret, struct hydro_error *err)
{
	(void)arg, (void)err;
	hd_buf_printf(ret, "{\"pipeline\":\"%s\",\"share\":%u,\"force\":%d}", name ? name : "all", change->share, change->force);
	return HYDRO_OK;
}

static int fake_rollback(void *arg, const char *name, uint32_t version, const struct hd_scripts_change *change, struct hd_buf *ret, struct hydro_error *err)
{
	(void)arg, (void)err, (void)name;
	hd_buf_printf(ret, "{\"version\":%u,\"reason\":\"%s\"}", version, change->reason);
	return HYDRO_OK;
}

static int fake_reprocess(void *arg, const char *name, uint32_t point, int64_t from_ms, int64_t to_ms, struct hd_buf *ret, struct hydro_error *err)
{
	(void)arg, (void)err, (void)name;
	hd_buf_printf(ret, "{\"point\":%u,\"minutes\":%lld}", point, (long long)(to_ms - from_ms) / 60000);
	return HYDRO_OK;
}

static int fake_reprocess_start(void *arg, const char *name, int64_t from_ms, int64_t to_ms, struct hd_buf *ret, struct hydro_error *err)
{
	(void)arg, (void)err;
	hd_buf_printf(ret, "{\"pipeline\":\"%s\",\"state\":\"running\",\"minutes\":%lld}", name, (long long)(to_ms - from_ms) / 60000);
	return HYDRO_OK;
}

static int fake_reprocess_state(void *arg, const char *name, struct hd_buf *ret, struct hydro_error *err)
{
	(void)arg;
	if (strcmp(name, "well") != 0)
		return hd_error_set(err, HYDRO_E_NOTFOUND, "not that one");
	hd_buf_add_text(ret, "{\"state\":\"cancelled\"}");
	return HYDRO_OK;
}

static int fake_eval(void *arg, uint32_t point, const struct hd_scripts_eval *what, struct hd_buf *ret, struct hydro_error *err)
{
	(void)arg;
	if (strcmp(what->code, "(") == 0) {
		hd_buf_add_text(ret, "{\"result\":\"refused\",\"diagnostics\":[{\"file\":\"line\",\"line\":1,\"column\":2,\"message\":\"no\",\"hint\":\"\"}]}");
		return hd_error_set(err, HYDRO_E_CONFIG, "line:1:2: no");
	}
	hd_buf_printf(ret, "{\"point\":%u,\"limit\":%u,\"prelude\":%s,\"from\":%lld}", point, what->limit, what->prelude ? "true" : "false", (long long)what->from_ms);
	return HYDRO_OK;
}

static int fake_dry_reading(void *arg, const char *name, const char *text, size_t len, uint32_t point, const hydro_raw *raws, uint32_t count,
			    struct hd_buf *ret, struct hydro_error *err)
{
	(void)arg, (void)err, (void)name, (void)point, (void)len;
	hd_buf_printf(ret, "{\"count\":%u,\"first\":%g,\"ts\":%lld,\"candidate\":%s}", count, raws[0].value, (long long)raws[0].ts_ms, text ? "true" : "false");
	return HYDRO_OK;
}

static int fake_dry_run(void *arg, const char *name, const char *text, size_t len, uint32_t point, int64_t from_ms, int64_t to_ms, struct hd_buf *ret,
			struct hydro_error *err)
{
	(void)arg, (void)err, (void)name, (void)text, (void)len, (void)point;
	hd_buf_printf(ret, "{\"minutes\":%lld}", (long long)(to_ms - from_ms) / 60000);
	return HYDRO_OK;
}

static void make_key(struct api_world *w, const char *name, uint32_t role, char *ret)
{
	char key[HD_AUTH_KEY_BYTES];
	struct hd_auth_key made;
	cr_assert_eq(hd_auth_key_create(w->auth, name, role, key, &made, &w->store.err), HYDRO_OK);
	(void)snprintf(ret, HD_AUTH_KEY_BYTES + 32, "Authorization: Bearer %s", key);
}

void api_world_begin(struct api_world *w)
{
	api_world_begin_with(w, NULL, NULL);
}

void api_world_begin_with(struct api_world *w, struct hd_ledger *ledger, struct hd_adapters *adapters)
{
	struct hydro_error *err = &w->store.err;
	struct hd_http_config config = {.workers = 8};
	memset(w, 0, sizeof *w);
	store_world_begin(&w->store);
	cr_assert_eq(hd_points_new(&w->points), HYDRO_OK);
	cr_assert_eq(hd_store_points_load(w->store.store, w->points, err), HYDRO_OK);
	cr_assert_eq(hd_names_open(NULL, &w->names, err), HYDRO_OK);
	cr_assert_eq(hd_auth_open(w->store.store, &w->auth, err), HYDRO_OK);
	make_key(w, "admin", HD_AUTH_ADMIN, w->admin);
	make_key(w, "analyst", HD_AUTH_ANALYST, w->analyst);
	make_key(w, "client", HD_AUTH_CLIENT, w->client);
	struct hd_api_deps deps = {.version = "0.1.0-test", .ledger = ledger, .adapters = adapters, .store = w->store.store, .auth = w->auth, .points = w->points, .names = w->names,
				   .checks = store_world_checks, .arg = w, .health = fake_health, .ready = fake_ready, .providers = fake_providers,
				   .provider_status = fake_status, .collect_provider = fake_collect, .account_changed = fake_account_changed, .feed = fake_feed,
				   .history = fake_history, .aggregates = fake_aggregates, .latest = fake_latest, .pipelines = fake_list, .pipeline_check = fake_check,
				   .pipeline_get = fake_get, .pipeline_put = fake_put, .pipeline_reload = fake_reload, .pipeline_rollback = fake_rollback,
				   .pipeline_reprocess = fake_reprocess, .reprocess_start = fake_reprocess_start,
				   .reprocess_state = fake_reprocess_state, .reprocess_cancel = fake_reprocess_state, .pipeline_eval = fake_eval,
				   .pipeline_dry_run = fake_dry_run, .pipeline_dry_reading = fake_dry_reading};
	cr_assert_eq(hd_api_new(&deps, &w->api, err), HYDRO_OK);
	hd_api_serve(w->api, &config);
	cr_assert_eq(hd_http_start(&config, &w->http, err), HYDRO_OK, "%s", err->text);
	w->port = hd_http_port(w->http);
}

void api_world_end(struct api_world *w)
{
	hd_http_stop(&w->http);
	hd_api_free(&w->api);
	hd_auth_close(&w->auth);
	hd_store_close(&w->store.store);
	hd_names_close(&w->names);
	hd_points_free(&w->points);
	store_world_end(&w->store);
}

void api_expect(struct api_world *w, const char *method, const char *target, const char *headers, const char *body, long status, const char *contains)
{
	struct fetch answer = fetch(w->port, method, target, headers, body);
	cr_assert_eq(answer.status, status, "%s %s: %ld %s", method, target, answer.status, hd_buf_text(&answer.body));
	cr_assert_not_null(strstr(hd_buf_text(&answer.body), contains), "%s %s: no %s in %s", method, target, contains, hd_buf_text(&answer.body));
	fetch_done(&answer);
}

cJSON *api_json(struct api_world *w, const char *method, const char *target, const char *headers, const char *body, long status)
{
	struct fetch answer = fetch(w->port, method, target, headers, body);
	cr_assert_eq(answer.status, status, "%s %s: %ld %s", method, target, answer.status, hd_buf_text(&answer.body));
	cJSON *json = cJSON_Parse(hd_buf_text(&answer.body));
	cr_assert_not_null(json, "%s %s: no JSON: %s", method, target, hd_buf_text(&answer.body));
	fetch_done(&answer);
	return json;
}

void api_make_point(struct api_world *w, const char *name, char ret_path[96])
{
	char body[256];
	(void)snprintf(body, sizeof body, "{\"name\":\"%s\",\"provider\":\"twin\",\"pipeline\":\"well\",\"options\":{\"secret\":\"tok\",\"keys\":{\"flow\":\"5001\"}}}", name);
	cJSON *json = api_json(w, "POST", "/api/v1/points/", w->admin, body, 201);
	(void)snprintf(ret_path, 96, "/api/v1/points/%s", cJSON_GetObjectItem(json, "id")->valuestring);
	cJSON_Delete(json);
}
