/* SPDX-License-Identifier: MIT */
/* Inside of the test kit. */
#ifndef HYDRO_TESTKIT_KIT_H
#define HYDRO_TESTKIT_KIT_H

#include "hydro/testkit.h"

#include "base/buf.h"
#include "hostside/module.h"
#include "hostside/options.h"

#include <pthread.h>

#define KIT_METRICS_MAX 512u
#define KIT_RAWS_MAX 1000000u
#define KIT_SCRATCH_MAX (1u << 20)

struct kit_message {
	struct kit_message *next;
	hydro_testkit_message message;
};

struct hydro_testkit {
	struct hd_module module; /* handle NULL: the plugin is linked in */
	hydro_host host;
	void *instance;
	struct hd_options *options, *account, *point, *state_options, *work;
	hydro_poll poll;
	hydro_http_request request;
	char *scratch;
	size_t scratch_bytes, scratch_start;
	uint32_t scratch_calls;
	hydro_token token;
	struct hydro_error error;
	hydro_raw *raws;
	uint32_t raw_count, raw_cap, refused;
	unsigned char continuation[HYDRO_CONTINUATION_BYTES];
	void *state;
	hydro_stream stream;
	pthread_mutex_t lock; /* guards: now_ms, log, metrics, messages, link */
	pthread_cond_t arrived;
	int64_t now_ms;
	struct hd_buf log;
	char *metrics[KIT_METRICS_MAX]; /* id - 1 */
	uint32_t metric_count;
	struct kit_message *first, **last;
	int32_t link;
};

/* Options of a scope from JSON text. */
int kit_options(hydro_testkit *kit, uint32_t scope, const char *json, struct hd_options **ret, struct hydro_error *err);
typedef int32_t (*kit_request_fn)(hydro_testkit *kit, const void *arg, hydro_scratch *scratch, struct hydro_error *err);
/* kit->request by `call`, as the host does: again with more memory while the plugin asks for it, and checked. */
int32_t kit_request(hydro_testkit *kit, kit_request_fn call, const void *arg, struct hydro_error *err);
/* The body as the host passes it: exactly len bytes, so that reading past them is seen by a sanitizer. To be freed. */
char *kit_exact_copy(const char *body, size_t len);
hydro_http_response kit_response(hydro_testkit *kit, uint32_t status, const char *body, size_t len);
/* Fills kit->host. */
void kit_host_init(hydro_testkit *kit);
void kit_host_done(hydro_testkit *kit);

#endif
