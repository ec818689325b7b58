/* SPDX-License-Identifier: MIT */
/* The real server, store and API on port 0, with fakes for the parts behind hd_api_deps. */
#ifndef HD_TESTS_API_WORLD_H
#define HD_TESTS_API_WORLD_H

#include "../http/fetch.h"
#include "../store/world.h"
#include "api/api.h"

#include <cjson/cJSON.h>

#define FAKE_START_MS INT64_C(1767225600000) /* 2026-01-01 */
#define FAKE_ROWS 50

struct api_world {
	struct store_world store;
	struct hd_points *points;
	struct hd_names *names;
	struct hd_auth *auth;
	struct hd_api *api;
	struct hd_http *http;
	uint16_t port;
	char admin[HD_AUTH_KEY_BYTES + 32], analyst[HD_AUTH_KEY_BYTES + 32], client[HD_AUTH_KEY_BYTES + 32]; /* as header lines */
	uint32_t fed, accounts_changed;
	bool journal_full, has_latest;
};

void api_world_begin(struct api_world *w);
/* With filing, but without its engine. */
void api_world_begin_with(struct api_world *w, struct hd_ledger *ledger, struct hd_adapters *adapters);
void api_world_end(struct api_world *w);
/* One call; status and that the answer holds `contains`. */
void api_expect(struct api_world *w, const char *method, const char *target, const char *headers, const char *body, long status, const char *contains);
/* One call whose JSON answer is returned, to be freed. */
cJSON *api_json(struct api_world *w, const char *method, const char *target, const char *headers, const char *body, long status);
/* Makes a point and gives its path "/api/v1/points/<id>". */
void api_make_point(struct api_world *w, const char *name, char ret_path[96]);

#endif
