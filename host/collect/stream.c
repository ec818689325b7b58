/* SPDX-License-Identifier: MIT */
/*
 * Subscriptions: messages come on the plugin's own threads, go to the worker of their point, and are acknowledged in order
 * once they are on disk. Credits bound what is in flight: a credit comes back with the acknowledgement of its message.
 */
#include "base/timefmt.h"
#include "collect/collect_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CREDITS 256u
#define CREDITS_MAX 65536u
#define KEY_BYTES_MAX 256u

enum message_state { MESSAGE_WAITING, MESSAGE_DONE, MESSAGE_FAILED };

struct message {
	struct message *next;        /* in the order of arrival */
	struct message *next_parked; /* whose worker is full */
	struct stream *stream;
	uint64_t token, epoch;
	enum message_state state;
	uint32_t point, worker, count;
	int64_t received_ns;
	hydro_raw raws[];
};

struct stream {
	struct hd_collect *collect;
	uint32_t provider;
	int key_row;
	hydro_stream abi;
	pthread_mutex_t lock; /* guards: all below */
	struct hd_map keys;   /* point key → index */
	struct message *head, *tail;
	struct message *parked_head, *parked_tail;
	uint32_t parked, in_flight; /* messages not acknowledged */
	uint32_t at_workers;        /* jobs that refer to this */
	uint32_t waiting_sync;      /* fed, not on disk */
	uint64_t epoch;             /* raised by nack: what came before is not acknowledged any more */
	bool acking, connected;
	bool stopped; /* takes nothing any more */
	bool dead;    /* the plugin is not called any more */
	char reason[REASON_BYTES];
	uint64_t messages, unknown_keys, nacks;
	int64_t link_since_ms, newest_ms;
};

static struct provider *stream_provider(const struct stream *s)
{
	return &s->collect->providers[s->provider];
}

static uint32_t stream_credits(const struct stream *s)
{
	uint32_t credits = stream_provider(s)->config.credits;
	return credits ? HD_MIN(credits, CREDITS_MAX) : CREDITS;
}

/* ---- acknowledging ---- */

/* Gives back the head's finished messages. One thread at a time, so that tokens stay in order; no lock over the plugin. */
static void stream_ack(struct stream *s)
{
	const struct hd_collect_provider *provider = &stream_provider(s)->config;
	pthread_mutex_lock(&s->lock);
	while (!s->acking && s->head && s->head->state != MESSAGE_WAITING) {
		uint32_t count = 0;
		uint64_t token = 0;
		bool failed = s->head->state == MESSAGE_FAILED;
		if (failed) {
			/* It and all after it come again: duplicates among them are known to the pipeline. */
			token = s->head->token;
			s->epoch++;
			s->nacks++;
		}
		while (s->head && (failed || s->head->state == MESSAGE_DONE)) {
			struct message *message = s->head;
			bool busy = message->state == MESSAGE_WAITING; /* its callbacks still hold it: they free it */
			s->head = message->next;
			message->next = NULL;
			token = failed ? token : message->token;
			count++;
			if (!busy)
				free(message);
		}
		if (!s->head)
			s->tail = NULL;
		s->in_flight -= count;
		s->acking = true;
		bool stopped = s->stopped, dead = s->dead;
		pthread_mutex_unlock(&s->lock);
		if (failed && !dead)
			provider->ops->nack(provider->instance, token);
		else if (!dead)
			provider->ops->ack(provider->instance, token);
		if (!stopped)
			provider->ops->credit(provider->instance, count);
		pthread_mutex_lock(&s->lock);
		s->acking = false;
	}
	pthread_mutex_unlock(&s->lock);
}

static void message_over(struct message *message, enum message_state state)
{
	struct stream *s = message->stream;
	pthread_mutex_lock(&s->lock);
	bool stale = message->epoch != s->epoch;
	message->state = state;
	pthread_mutex_unlock(&s->lock);
	if (stale)
		free(message);
	else
		stream_ack(s);
	/* Last: from here on the stream may be freed. */
	pthread_mutex_lock(&s->lock);
	s->waiting_sync--;
	pthread_mutex_unlock(&s->lock);
}

static void message_synced(void *arg, uint32_t accepted, uint32_t dropped)
{
	(void)accepted;
	(void)dropped;
	message_over(arg, MESSAGE_DONE);
}

static void message_feed(void *arg, struct hd_worker *w)
{
	struct message *message = arg;
	struct stream *s = message->stream;
	struct hd_collect *c = s->collect;
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_collect_feed how = {
		.mode = HD_COLLECT_LIVE, .source = message->token, .received_ns = message->received_ns, .synced = message_synced, .arg = message};
	pthread_mutex_lock(&s->lock);
	s->waiting_sync++;
	s->at_workers--;
	pthread_mutex_unlock(&s->lock);
	int rc = c->ops.feed(c->ops.arg, w, message->point, message->raws, message->count, &how, &err);
	if (rc == HYDRO_OK)
		return;
	/* Values that can never be taken would come again for ever. */
	health_event(c, 1, "message_refused", "provider %s: %s", stream_provider(s)->config.name, err.text);
	message_over(message, rc == HYDRO_E_INVALID || rc == HYDRO_E_LIMIT ? MESSAGE_DONE : MESSAGE_FAILED);
}

/* ---- taking ---- */

/* The lock is held. */
static bool message_post(struct stream *s, struct message *message)
{
	struct hd_collect *c = s->collect;
	return c->ops.post(c->ops.arg, message->worker, message_feed, message);
}

static void message_park(struct stream *s, struct message *message)
{
	message->next_parked = NULL;
	if (s->parked_head)
		s->parked_tail->next_parked = message;
	else
		s->parked_head = message;
	s->parked_tail = message;
	s->parked++;
}

static int32_t stream_emit(void *ctx, const char *point_key, const hydro_raw *values, uint32_t count, uint64_t token)
{
	struct stream *s = ctx;
	struct hd_collect *c = s->collect;
	if (!raws_valid(values, count))
		return HYDRO_E_INVALID;
	struct message *message = malloc(sizeof *message + count * sizeof *values);
	if (!message)
		return HYDRO_E_AGAIN;
	*message = (struct message){.stream = s, .token = token, .count = count, .received_ns = hd_clock_real_ns()};
	if (count > 0)
		memcpy(message->raws, values, count * sizeof *values);
	pthread_mutex_lock(&s->lock);
	if (s->stopped || s->in_flight >= stream_credits(s)) {
		pthread_mutex_unlock(&s->lock);
		free(message);
		return HYDRO_E_AGAIN;
	}
	message->epoch = s->epoch;
	if (s->head)
		s->tail->next = message;
	else
		s->head = message;
	s->tail = message;
	s->in_flight++;
	s->messages++;
	for (uint32_t i = 0; i < count; i++)
		s->newest_ms = HD_MAX(s->newest_ms, values[i].ts_ms);
	uint64_t index = HD_POINT_NONE;
	bool known = point_key && hd_map_get(&s->keys, point_key, strlen(point_key), &index);
	bool parked = false;
	if (known && count > 0) {
		message->point = (uint32_t)index;
		message->worker = c->ops.worker_of(c->ops.arg, message->point);
		s->at_workers++;
		/* Behind those that wait already, so that a point's messages keep their order. */
		parked = s->parked > 0 || !message_post(s, message);
		if (parked)
			message_park(s, message);
	} else {
		s->unknown_keys += !known;
		message->state = MESSAGE_DONE; /* nothing of ours in it; holding it would stop the stream */
	}
	pthread_mutex_unlock(&s->lock);
	if (parked)
		hd_net_wake(c->config.net);
	stream_ack(s);
	return HYDRO_OK;
}

static void stream_link(void *ctx, uint32_t connected, const char *reason)
{
	struct stream *s = ctx;
	pthread_mutex_lock(&s->lock);
	s->connected = connected != 0;
	s->link_since_ms = hd_clock_wall_ms();
	(void)snprintf(s->reason, sizeof s->reason, "%s", reason ? reason : "");
	pthread_mutex_unlock(&s->lock);
}

void streams_repost(struct hd_collect *c)
{
	for (uint32_t i = 0; i < c->provider_count; i++) {
		struct stream *s = c->providers[i].stream;
		if (!s)
			continue;
		pthread_mutex_lock(&s->lock);
		while (s->parked_head && !s->stopped && message_post(s, s->parked_head)) {
			s->parked_head = s->parked_head->next_parked;
			s->parked--;
		}
		pthread_mutex_unlock(&s->lock);
	}
}

bool streams_parked(struct hd_collect *c)
{
	bool parked = false;
	for (uint32_t i = 0; i < c->provider_count && !parked; i++) {
		struct stream *s = c->providers[i].stream;
		if (!s)
			continue;
		pthread_mutex_lock(&s->lock);
		parked = s->parked > 0;
		pthread_mutex_unlock(&s->lock);
	}
	return parked;
}

bool streams_busy(struct hd_collect *c)
{
	bool busy = false;
	for (uint32_t i = 0; i < c->provider_count && !busy; i++) {
		struct stream *s = c->providers[i].stream;
		if (!s)
			continue;
		pthread_mutex_lock(&s->lock);
		busy = s->at_workers > 0 || s->waiting_sync > 0;
		pthread_mutex_unlock(&s->lock);
	}
	return busy;
}

/* ---- keys ---- */

static int key_row_find(const struct hd_collect_provider *provider)
{
	for (uint32_t i = 0; i < provider->row_count; i++) {
		const hydro_option *row = &provider->rows[i];
		if (row->scope != HYDRO_SCOPE_POINT || row->type != HYDRO_OPT_STRING)
			continue;
		if (provider->point_key ? strcmp(row->key, provider->point_key) == 0 : (row->flags & HYDRO_OPT_REQUIRED) != 0)
			return (int)i;
	}
	return -1;
}

static void keys_drop(struct stream *s, uint32_t index)
{
	size_t iter = 0, len;
	const void *key;
	uint64_t at;
	while (hd_map_next(&s->keys, &iter, &key, &len, &at))
		if (at == index) {
			char copy[KEY_BYTES_MAX];
			memcpy(copy, key, len);
			hd_map_remove(&s->keys, copy, len);
			return;
		}
}

void stream_key(struct hd_collect *c, uint32_t provider, uint32_t index, const struct options *options, bool gone)
{
	struct stream *s = c->providers[provider].stream;
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	if (gone) {
		keys_drop(s, index);
	} else if (s->key_row >= 0 && (uint32_t)s->key_row < options->view->count) {
		const hydro_option_value *value = (const hydro_option_value *)(const void *)((const char *)options->view->values +
											     (size_t)s->key_row * options->view->value_stride);
		size_t len = value->is_set && value->text ? strlen(value->text) : 0;
		if (len > 0 && len <= KEY_BYTES_MAX)
			(void)hd_map_put(&s->keys, value->text, len, index);
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- life ---- */

int streams_prepare(struct hd_collect *c, struct hydro_error *err)
{
	for (uint32_t i = 0; i < c->provider_count; i++) {
		const struct hd_collect_provider *provider = &c->providers[i].config;
		if (!(provider->ops->capabilities & HYDRO_PROVIDER_SUBSCRIBE))
			continue;
		struct stream *s = calloc(1, sizeof *s);
		if (!s)
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a subscription");
		s->collect = c;
		s->provider = i;
		s->key_row = key_row_find(provider);
		s->stopped = true;
		s->abi = (hydro_stream){.struct_size = sizeof s->abi, .ctx = s, .emit = stream_emit, .link = stream_link};
		pthread_mutex_init(&s->lock, NULL);
		c->providers[i].stream = s;
	}
	return HYDRO_OK;
}

int streams_open(struct hd_collect *c, struct hydro_error *err)
{
	for (uint32_t i = 0; i < c->provider_count; i++) {
		struct stream *s = c->providers[i].stream;
		const struct hd_collect_provider *provider = &c->providers[i].config;
		if (!s)
			continue;
		s->stopped = false;
		int rc = provider->ops->subscribe(provider->instance, &s->abi, err);
		if (rc != HYDRO_OK) {
			s->stopped = true;
			(void)hd_error_while(err, "subscribing provider %s", provider->name);
			return rc;
		}
		provider->ops->credit(provider->instance, stream_credits(s));
	}
	return HYDRO_OK;
}

/* What is parked never was at a worker: it and all after it come again. What a worker or the journal has is still
 * acknowledged once it is on disk. */
static void stream_quiesce(struct stream *s)
{
	const struct hd_collect_provider *provider = &stream_provider(s)->config;
	pthread_mutex_lock(&s->lock);
	s->stopped = true;
	struct message *rest = HD_STEAL(s->parked_head), *before = NULL;
	bool nack = rest != NULL && !s->dead;
	uint64_t token = rest ? rest->token : 0;
	s->at_workers -= s->parked;
	s->parked = 0;
	for (struct message *m = s->head; rest && m != rest; m = m->next)
		before = m;
	if (rest) {
		s->tail = before;
		if (before)
			before->next = NULL;
		else
			s->head = NULL;
	}
	while (rest) {
		/* All of them are parked or without a point of ours: parking is in order. */
		struct message *next = rest->next;
		s->in_flight--;
		free(rest);
		rest = next;
	}
	pthread_mutex_unlock(&s->lock);
	if (nack)
		provider->ops->nack(provider->instance, token);
}

void streams_quiesce(struct hd_collect *c)
{
	for (uint32_t i = 0; i < c->provider_count; i++)
		if (c->providers[i].stream)
			stream_quiesce(c->providers[i].stream);
}

static void stream_end(struct stream *s)
{
	struct hd_collect *c = s->collect;
	const struct hd_collect_provider *provider = &stream_provider(s)->config;
	pthread_mutex_lock(&s->lock);
	bool ended = s->dead;
	s->dead = true;
	while (s->acking) {
		pthread_mutex_unlock(&s->lock);
		(void)usleep(100);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	if (ended)
		return;
	if (c->ops.stop)
		c->ops.stop(c->ops.arg, provider);
	else if (provider->ops->stop)
		provider->ops->stop(provider->instance);
}

void streams_end(struct hd_collect *c)
{
	for (uint32_t i = 0; i < c->provider_count; i++)
		if (c->providers[i].stream)
			stream_end(c->providers[i].stream);
}

void streams_free(struct hd_collect *c)
{
	for (uint32_t i = 0; i < c->provider_count; i++) {
		struct stream *s = HD_STEAL(c->providers[i].stream);
		if (!s)
			continue;
		while (s->head) {
			struct message *next = s->head->next;
			free(s->head);
			s->head = next;
		}
		hd_map_done(&s->keys);
		pthread_mutex_destroy(&s->lock);
		free(s);
	}
}

void stream_sum(struct provider *provider)
{
	struct stream *s = provider->stream;
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	provider->counters.messages = s->messages;
	provider->counters.unknown_keys = s->unknown_keys;
	provider->reachable = s->connected;
	provider->reachable_since_ms = s->link_since_ms;
	if (s->newest_ms <= hd_clock_wall_ms())
		provider->newest_ms = HD_MAX(provider->newest_ms, s->newest_ms);
	pthread_mutex_unlock(&s->lock);
}

void stream_status(const struct provider *provider, struct hd_buf *ret)
{
	struct stream *s = provider->stream;
	if (!s)
		return;
	char since[HD_TIME_TEXT];
	pthread_mutex_lock(&s->lock);
	hd_time_format(s->link_since_ms, since);
	hd_buf_printf(ret, ",\"subscription\":{\"connected\":%s,\"since\":", s->connected ? "true" : "false");
	hd_buf_printf(ret, s->link_since_ms ? "\"%s\"" : "null", since);
	hd_buf_add_text(ret, ",\"reason\":");
	hd_buf_add_json(ret, s->reason, strlen(s->reason));
	hd_buf_printf(ret, ",\"messages\":%llu,\"unknown_keys\":%llu,\"nacks\":%llu,\"in_flight\":%u,\"credits\":%u}",
		      (unsigned long long)s->messages, (unsigned long long)s->unknown_keys, (unsigned long long)s->nacks, s->in_flight,
		      stream_credits(s));
	pthread_mutex_unlock(&s->lock);
}
