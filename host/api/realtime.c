/* SPDX-License-Identifier: MIT */
/* The newest measurement of a point, once or as a stream of events. */
#include "api/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_BYTES (256u << 10) /* a client may lag by so much */
#define WATCHES_MAX 2000u

/* A client that watches a point. */
struct hd_watch {
	struct hd_watch *next;
	uint32_t point;
	struct hd_http_stream *stream;
};

void hd_api_watches_sweep(struct hd_api *api, bool all)
{
	(void)pthread_mutex_lock(&api->watch_lock);
	for (struct hd_watch **link = &api->watches; *link;) {
		struct hd_watch *watch = *link;
		if (!all && hd_http_stream_alive(watch->stream)) {
			link = &watch->next;
			continue;
		}
		*link = watch->next;
		hd_http_stream_unref(watch->stream);
		free(watch);
		__atomic_sub_fetch(&api->watch_count, 1, __ATOMIC_RELAXED);
	}
	(void)pthread_mutex_unlock(&api->watch_lock);
}

static void event_begin(struct hd_buf *event, int64_t ts_ms, uint32_t rev)
{
	hd_buf_printf(event, "event: measurement\nid: %" PRId64 ".%u\ndata: ", ts_ms, rev);
}

/* Under watch_lock: the sample to those who watch its point. */
static void send_sample(struct hd_api *api, const struct hd_sample *sample, struct hd_buf *event)
{
	bool written = false;
	for (struct hd_watch *watch = api->watches; watch; watch = watch->next) {
		if (watch->point != sample->point)
			continue;
		if (!written) {
			hd_buf_clear(event);
			event_begin(event, sample->ts_ms, sample->rev);
			hd_json_sample(api, event, sample, NULL, false);
			hd_buf_add_text(event, "\n\n");
			written = true;
		}
		if (!event->failed)
			(void)hd_http_stream_send(watch->stream, event->data, event->len);
	}
}

/* One bit a hash of a point: most samples of a batch are watched by nobody, and must cost next to nothing. */
#define FILTER_BITS 4096u

static void make_filter(const struct hd_api *api, uint64_t filter[FILTER_BITS / 64])
{
	memset(filter, 0, FILTER_BITS / 8);
	for (const struct hd_watch *watch = api->watches; watch; watch = watch->next)
		filter[watch->point % FILTER_BITS / 64] |= UINT64_C(1) << (watch->point % 64);
}

void hd_api_on_batch(void *arg, const struct hd_batch *batch)
{
	struct hd_api *api = HD_API(arg);
	struct hd_buf event = {0};
	uint64_t filter[FILTER_BITS / 64];
	if (__atomic_load_n(&api->watch_count, __ATOMIC_RELAXED) == 0)
		return;
	(void)pthread_mutex_lock(&api->watch_lock);
	make_filter(api, filter);
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct hd_sample *sample = &batch->samples[i];
		if (!(sample->bits & HD_SAMPLE_HELD) && (filter[sample->point % FILTER_BITS / 64] >> (sample->point % 64) & 1))
			send_sample(api, sample, &event);
	}
	(void)pthread_mutex_unlock(&api->watch_lock);
	hd_buf_done(&event);
}

/* The newest value goes first; what is synced from then on follows. */
static int begin_watch(struct hd_api *api, uint32_t point, struct hd_http_response *resp, struct hydro_error *err)
{
	struct hd_latest_value latest;
	struct hd_buf event = {0};
	hd_api_watches_sweep(api, false);
	if (__atomic_load_n(&api->watch_count, __ATOMIC_RELAXED) >= WATCHES_MAX)
		return hd_error_set(err, HYDRO_E_AGAIN, "%u clients watch already", WATCHES_MAX);
	struct hd_watch *watch = calloc(1, sizeof *watch);
	struct hd_http_stream *stream = hd_http_stream_new(STREAM_BYTES);
	if (!watch || !stream) {
		free(watch);
		hd_http_stream_unref(stream);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a stream");
	}
	resp->stream = stream;
	watch->point = point;
	watch->stream = hd_http_stream_ref(stream);
	(void)pthread_mutex_lock(&api->watch_lock);
	hd_buf_add_text(&event, "retry: 3000\n\n");
	if (api->deps.latest && api->deps.latest(api->deps.arg, point, &latest)) {
		event_begin(&event, latest.ts_ms, latest.rev);
		hd_json_latest(api, &event, &latest);
		hd_buf_add_text(&event, "\n\n");
	}
	if (!event.failed)
		(void)hd_http_stream_send(stream, event.data, event.len);
	watch->next = api->watches;
	api->watches = watch;
	__atomic_add_fetch(&api->watch_count, 1, __ATOMIC_RELAXED);
	(void)pthread_mutex_unlock(&api->watch_lock);
	hd_buf_done(&event);
	return HYDRO_OK;
}

HD_HANDLER(realtime)
{
	struct hd_api *api = HD_API(arg);
	struct hd_latest_value latest;
	uint32_t point;
	HD_NEED(api, latest);
	int rc = hd_api_find_point(api, req, &point, err);
	if (rc != HYDRO_OK)
		return rc;
	if (req->accept && strstr(req->accept, "text/event-stream") && !req->head)
		return begin_watch(api, point, resp, err);
	if (!api->deps.latest(api->deps.arg, point, &latest))
		return hd_error_set(err, HYDRO_E_NOTFOUND, "the point has no measurement yet");
	hd_json_latest(api, &resp->body, &latest);
	return HYDRO_OK;
}
