/* SPDX-License-Identifier: MIT */
#include "api/internal.h"

#include "base/clock.h"
#include "observe/metrics.h"

#include <string.h>

#define FAILURE_SHOWN_NS (60 * HD_NS_PER_S)

static const char *const state_names[] = {"ok", "degraded", "failing"};

void hd_health_add(struct hd_health *health, uint32_t state, const char *part, const char *why)
{
	HD_ASSERT(state < HD_ARRAY_LEN(state_names));
	health->state = HD_MAX(health->state, state);
	if (health->reasons.len)
		hd_buf_add_char(&health->reasons, ',');
	hd_buf_printf(&health->reasons, "{\"status\":\"%s\"", state_names[state]);
	hd_json_text(&health->reasons, "part", part);
	hd_json_text(&health->reasons, "detail", why);
	hd_buf_add_char(&health->reasons, '}');
}

HD_HANDLER(health)
{
	struct hd_api *api = HD_API(arg);
	struct hd_health health = {.state = HD_HEALTH_OK};
	struct hd_store_stats stats;
	(void)req, (void)err;
	hd_store_stats(api->deps.store, &stats);
	/* Writes are rare: a failure long ago says nothing of now. */
	if (stats.last_error != HYDRO_OK && hd_clock_real_ns() - stats.last_failure_ns < FAILURE_SHOWN_NS)
		hd_health_add(&health, HD_HEALTH_FAILING, "store", hd_error_info(stats.last_error)->title);
	if (api->deps.health)
		api->deps.health(api->deps.arg, &health);
	/* Degraded still answers 200: a load balancer must not take away what works. */
	resp->status = health.state == HD_HEALTH_FAILING ? 503 : 200;
	hd_buf_add_char(&resp->body, '{');
	hd_json_text(&resp->body, "status", state_names[health.state]);
	hd_json_text(&resp->body, "version", api->deps.version);
	hd_json_time(&resp->body, "time", hd_clock_wall_ms());
	hd_buf_add_text(&resp->body, ",\"reasons\":[");
	hd_buf_add(&resp->body, health.reasons.data ? health.reasons.data : "", health.reasons.len);
	hd_buf_add_text(&resp->body, "]}");
	hd_buf_done(&health.reasons);
	return HYDRO_OK;
}

HD_HANDLER(livez)
{
	(void)arg, (void)req, (void)err;
	hd_buf_add_text(&resp->body, "{\"status\":\"ok\"}");
	return HYDRO_OK;
}

HD_HANDLER(readyz)
{
	struct hd_api *api = HD_API(arg);
	(void)req;
	int rc = api->deps.ready ? api->deps.ready(api->deps.arg, err) : HYDRO_OK;
	resp->status = rc == HYDRO_OK ? 200 : 503;
	hd_buf_add_text(&resp->body, "{\"status\":\"ready\"}");
	return rc;
}

HD_HANDLER(metrics_get)
{
	(void)arg, (void)req, (void)err;
	hd_metrics_render(&resp->body);
	return HYDRO_OK;
}
