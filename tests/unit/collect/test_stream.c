/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/clock.h"
#include "collect/fake.h"

#include <string.h>

/* A subscribing plugin, in the test's hands. */
static struct {
	const hydro_stream *stream;
	uint64_t acks[512], nacks[16];
	uint32_t ack_count, nack_count, credits, stops;
} plugin;

static int32_t subscribe(void *instance, const hydro_stream *stream, struct hydro_error *err)
{
	(void)instance, (void)err;
	plugin.stream = stream;
	stream->link(stream->ctx, 1, "connected");
	return HYDRO_OK;
}

static void ack(void *instance, uint64_t token)
{
	(void)instance;
	plugin.acks[plugin.ack_count++] = token;
}

static void nack(void *instance, uint64_t token)
{
	(void)instance;
	plugin.nacks[plugin.nack_count++] = token;
}

static void credit(void *instance, uint32_t credits)
{
	(void)instance;
	plugin.credits += credits;
}

static void stop(void *instance)
{
	(void)instance;
	plugin.stops++;
}

static const hydro_option rows[] = {{.key = "topic", .type = HYDRO_OPT_STRING, .scope = HYDRO_SCOPE_POINT, .flags = HYDRO_OPT_REQUIRED}};

static struct fake *with_stream(uint32_t credits)
{
	struct fake *f = fake_new();
	memset(&plugin, 0, sizeof plugin);
	f->ops = (hydro_provider_ops){.struct_size = sizeof f->ops,
				      .capabilities = HYDRO_PROVIDER_SUBSCRIBE,
				      .subscribe = subscribe,
				      .ack = ack,
				      .nack = nack,
				      .credit = credit,
				      .stop = stop};
	f->provider.rows = rows;
	f->provider.row_count = 1;
	f->provider.credits = credits;
	fake_point(f, 60, 0);
	fake_point(f, 60, 0);
	fake_open(f);
	return f;
}

/* Topics are the numbers of the points. */
static int32_t emit(const char *key, uint64_t token)
{
	hydro_raw raw = {.ts_ms = fake_now() + (int64_t)token, .value = 1, .metric = 1};
	int32_t rc = plugin.stream->emit(plugin.stream->ctx, key, &raw, 1, token);
	if (rc == HYDRO_OK)
		plugin.credits--;
	return rc;
}

Test(stream, a_message_is_fed_to_its_point_and_acknowledged_after_the_sync)
{
	struct fake *f = with_stream(4);
	cr_assert_eq(plugin.credits, 4);
	f->hold_syncs = true;
	cr_assert_eq(emit("1", 10), HYDRO_OK);
	fake_pump(f);
	cr_assert_eq(f->feed_count, 1);
	cr_assert_eq(f->feeds[0].point, 1);
	cr_assert_eq(plugin.ack_count, 0, "not on disk yet");
	cr_assert_eq(plugin.credits, 3);
	f->syncs[0].synced(f->syncs[0].arg, 1, 0);
	cr_assert_eq(plugin.ack_count, 1);
	cr_assert_eq(plugin.acks[0], 10);
	cr_assert_eq(plugin.credits, 4);
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	cr_assert_eq(hd_collect_status_json(f->collect, "fake", &buf, NULL), HYDRO_OK);
	cr_assert_not_null(strstr(hd_buf_text(&buf), "\"connected\":true"), "%s", hd_buf_text(&buf));
	fake_free(f);
	cr_assert_eq(plugin.stops, 1);
}

Test(stream, acknowledgements_keep_the_order_of_the_messages)
{
	struct fake *f = with_stream(8);
	f->hold_syncs = true;
	for (uint64_t token = 1; token <= 4; token++)
		cr_assert_eq(emit(token % 2 ? "0" : "1", token), HYDRO_OK);
	fake_pump(f);
	cr_assert_eq(f->sync_count, 4);
	f->syncs[2].synced(f->syncs[2].arg, 1, 0);
	f->syncs[1].synced(f->syncs[1].arg, 1, 0);
	cr_assert_eq(plugin.ack_count, 0, "the first is not on disk");
	f->syncs[0].synced(f->syncs[0].arg, 1, 0);
	cr_assert_eq(plugin.acks[plugin.ack_count - 1], 3, "one for all three");
	f->syncs[3].synced(f->syncs[3].arg, 1, 0);
	cr_assert_eq(plugin.acks[plugin.ack_count - 1], 4);
	cr_assert_eq(plugin.credits, 8);
	fake_free(f);
}

Test(stream, a_message_of_no_point_is_counted_and_acknowledged_in_its_turn)
{
	struct fake *f = with_stream(8);
	f->hold_syncs = true;
	cr_assert_eq(emit("0", 1), HYDRO_OK);
	cr_assert_eq(emit("stranger", 2), HYDRO_OK);
	fake_pump(f);
	cr_assert_eq(plugin.ack_count, 0);
	f->syncs[0].synced(f->syncs[0].arg, 1, 0);
	cr_assert_eq(plugin.acks[plugin.ack_count - 1], 2);
	cr_assert_eq(fake_counters(f).unknown_keys, 1);
	cr_assert_eq(fake_counters(f).messages, 2);
	fake_free(f);
}

Test(stream, without_credit_nothing_is_taken)
{
	struct fake *f = with_stream(2);
	f->hold_syncs = true;
	cr_assert_eq(emit("0", 1), HYDRO_OK);
	cr_assert_eq(emit("0", 2), HYDRO_OK);
	cr_assert_eq(emit("0", 3), HYDRO_E_AGAIN);
	fake_pump(f);
	f->syncs[0].synced(f->syncs[0].arg, 1, 0);
	cr_assert_eq(emit("0", 3), HYDRO_OK);
	fake_pump(f);
	f->syncs[1].synced(f->syncs[1].arg, 1, 0);
	f->syncs[2].synced(f->syncs[2].arg, 1, 0);
	cr_assert_eq(plugin.acks[plugin.ack_count - 1], 3);
	fake_free(f);
}

Test(stream, messages_wait_in_order_for_a_full_worker)
{
	struct fake *f = with_stream(8);
	f->workers_full = true;
	for (uint64_t token = 1; token <= 3; token++)
		cr_assert_eq(emit("0", token), HYDRO_OK);
	fake_pump(f);
	cr_assert_eq(f->feed_count, 0);
	f->workers_full = false;
	cr_assert_eq(emit("0", 4), HYDRO_OK);
	fake_pump(f);
	cr_assert_eq(f->feed_count, 4);
	for (uint32_t i = 1; i < 4; i++)
		cr_assert_gt(f->feeds[i].first_ms, f->feeds[i - 1].first_ms);
	cr_assert_eq(plugin.acks[plugin.ack_count - 1], 4);
	fake_free(f);
}

Test(stream, what_cannot_be_a_value_is_refused_and_what_the_pipeline_refuses_does_not_come_for_ever)
{
	struct fake *f = with_stream(8);
	hydro_raw raw = {.ts_ms = 5, .value = 1, .metric = 1};
	cr_assert_eq(plugin.stream->emit(plugin.stream->ctx, "0", &raw, 1, 1), HYDRO_E_INVALID);
	f->refuse_feed = true;
	cr_assert_eq(emit("0", 2), HYDRO_OK);
	fake_pump(f);
	cr_assert_eq(plugin.ack_count, 1);
	cr_assert_eq(plugin.nack_count, 0);
	cr_assert_str_eq(f->last_event, "message_refused");
	fake_free(f);
}

Test(stream, at_the_end_what_no_worker_has_is_given_back)
{
	struct fake *f = with_stream(8);
	cr_assert_eq(emit("0", 1), HYDRO_OK);
	fake_pump(f);
	f->workers_full = true;
	cr_assert_eq(emit("0", 2), HYDRO_OK);
	cr_assert_eq(emit("1", 3), HYDRO_OK);
	hd_collect_drain_begin(f->collect);
	fake_pump(f);
	cr_assert_eq(plugin.ack_count, 1);
	cr_assert_eq(plugin.nack_count, 1);
	cr_assert_eq(plugin.nacks[0], 2);
	cr_assert_eq(emit("0", 2), HYDRO_E_AGAIN);
	cr_assert(hd_collect_is_drained(f->collect));
	fake_free(f);
	cr_assert_eq(plugin.stops, 1);
}

Test(stream, keys_follow_the_points)
{
	struct fake *f = with_stream(8);
	fake_point_set(f, 1, 60, HD_POINT_ACTIVE, "moved");
	fake_pump(f);
	cr_assert_eq(emit("1", 1), HYDRO_OK);
	cr_assert_eq(emit("moved", 2), HYDRO_OK);
	fake_pump(f);
	cr_assert_eq(f->feed_count, 1);
	cr_assert_eq(f->feeds[0].point, 1);
	fake_point_set(f, 1, 60, 0, "moved");
	fake_pump(f);
	cr_assert_eq(emit("moved", 3), HYDRO_OK);
	cr_assert_eq(f->feed_count, 1);
	cr_assert_eq(fake_counters(f).unknown_keys, 2);
	fake_free(f);
}
