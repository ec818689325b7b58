/* SPDX-License-Identifier: MIT */
#include "regulator.h"

#include "../check.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <hydro/conv.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define UTC_OFFSET_S (-14400)

/* ---- the books ---- */

static bool accepts(const struct seen *s)
{
	return !s->is_check && (s->reply == REPLY_ACCEPT || s->reply == REPLY_NO_RECEIPT || s->reply == REPLY_CUT_BOOKED || s->reply == REPLY_SILENT_BOOKED);
}

static bool says_so(const struct seen *s)
{
	return s->reply == REPLY_ACCEPT || s->reply == REPLY_NO_RECEIPT;
}

static const struct seen *booked(const struct regulator *r, const char *code, long long due_ms)
{
	for (uint32_t i = 0; i < r->seen_count; i++)
		if (accepts(&r->seen[i]) && r->seen[i].due_ms == due_ms && strcmp(r->seen[i].code, code) == 0)
			return &r->seen[i];
	return NULL;
}

static const struct seen *by_receipt(const struct regulator *r, const char *receipt)
{
	for (uint32_t i = 0; i < r->seen_count; i++)
		if (accepts(&r->seen[i]) && strcmp(r->seen[i].receipt, receipt) == 0)
			return &r->seen[i];
	return NULL;
}

static const struct seen *take(struct regulator *r, struct seen *s)
{
	s->at_ms = hd_clock_wall_ms();
	s->reply = s->is_check ? REPLY_CHECK : REPLY_ACCEPT;
	if (r->answer)
		s->reply = r->answer(r, s);
	const struct seen *before = s->is_check ? by_receipt(r, s->receipt) : booked(r, s->code, s->due_ms);
	s->again = !s->is_check && before && says_so(before);
	if (!s->is_check && accepts(s) && !before)
		(void)snprintf(s->receipt, sizeof s->receipt, "R%u", ++r->receipts);
	if (r->seen_count < REGULATOR_SEEN_MAX)
		r->seen[r->seen_count++] = *s;
	return before;
}

/* ---- HTTP ---- */

static void say(int fd, unsigned status, const char *body)
{
	char text[512];
	int len = snprintf(text, sizeof text, "HTTP/1.1 %u X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status, strlen(body), body);
	ssize_t n = send(fd, text, (size_t)len, MSG_NOSIGNAL);
	(void)n;
}

static bool read_request(int fd, char *buf, size_t size)
{
	size_t len = 0;
	for (;;) {
		ssize_t n = recv(fd, buf + len, size - 1 - len, 0);
		if (n <= 0)
			return false;
		len += (size_t)n;
		buf[len] = '\0';
		const char *end = strstr(buf, "\r\n\r\n"), *length = strcasestr(buf, "content-length:");
		size_t body = end && length && length < end ? strtoul(length + 15, NULL, 10) : 0;
		if (end && len >= (size_t)(end + 4 - buf) + body)
			return true;
		if (len == size - 1)
			return false;
	}
}

static bool parse_request(const char *buf, struct seen *s)
{
	*s = (struct seen){0};
	const char *body = strstr(buf, "\r\n\r\n") + 4;
	if (sscanf(buf, "POST /file/%31[^/]/%lld HTTP", s->code, &s->due_ms) == 2) {
		(void)snprintf(s->payload, sizeof s->payload, "%s", body);
		return true;
	}
	s->is_check = sscanf(buf, "GET /check/%31[^/]/%31s HTTP", s->code, s->receipt) == 2;
	return s->is_check;
}

static void answer_filing(int fd, const struct seen *s, const struct seen *before)
{
	char text[128];
	if (before && accepts(s)) {
		(void)snprintf(text, sizeof text, "DUPLICATE %s", before->receipt);
		say(fd, 400, text);
		return;
	}
	(void)snprintf(text, sizeof text, "FILED %s", s->receipt);
	switch (s->reply) {
	case REPLY_NO_RECEIPT:
		say(fd, 200, "FILED");
		break;
	case REPLY_HELD:
		say(fd, 400, "HELD not the informant");
		break;
	case REPLY_ERROR:
		say(fd, 500, "oops");
		break;
	case REPLY_REFUSE:
		say(fd, 400, "no");
		break;
	case REPLY_BLOCKED:
		say(fd, 403, "BLOCKED");
		break;
	default:
		say(fd, 200, text);
	}
}

static void answer_check(int fd, const struct seen *s, const struct seen *before)
{
	char text[256];
	if (s->reply == REPLY_BLOCKED)
		say(fd, 403, "BLOCKED");
	else if (s->reply == REPLY_ERROR)
		say(fd, 500, "oops");
	else if (s->reply == REPLY_CHECK_ABSENT || !before)
		say(fd, 404, "ABSENT");
	else {
		(void)snprintf(text, sizeof text, "HAS %s", s->reply == REPLY_CHECK_DIFFERS ? "other" : before->payload);
		say(fd, 200, text);
	}
}

static void at(struct regulator *r, const char *step)
{
	if (r->at)
		r->at(r, step);
}

static void serve(struct regulator *r, int fd)
{
	char buf[4096];
	struct seen s;
	at(r, "connected");
	if (!read_request(fd, buf, sizeof buf) || !parse_request(buf, &s)) {
		close(fd);
		return;
	}
	at(r, "read");
	pthread_mutex_lock(&r->lock);
	const struct seen *before = take(r, &s);
	struct seen copy = before ? *before : (struct seen){0};
	bool silent = s.reply == REPLY_SILENT || s.reply == REPLY_SILENT_BOOKED;
	if (silent)
		r->hanging[r->hanging_count++ % REGULATOR_HANGING_MAX] = fd;
	pthread_mutex_unlock(&r->lock);
	at(r, "booked");
	if (silent)
		return;
	if (s.reply == REPLY_CUT || s.reply == REPLY_CUT_BOOKED) {
		struct linger reset = {1, 0};
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	} else if (s.is_check) {
		answer_check(fd, &s, before ? &copy : NULL);
	} else {
		answer_filing(fd, &s, before ? &copy : NULL);
	}
	close(fd);
	at(r, "answered");
}

static void *thread_main(void *arg)
{
	struct regulator *r = arg;
	while (!atomic_load(&r->stopping)) {
		struct pollfd ready = {.fd = r->fd, .events = POLLIN};
		if (poll(&ready, 1, 50) <= 0)
			continue;
		int fd = accept(r->fd, NULL, NULL);
		if (fd >= 0)
			serve(r, fd);
	}
	return NULL;
}

void regulator_start(struct regulator *r)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	pthread_mutex_init(&r->lock, NULL);
	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(r->fd >= 0 && bind(r->fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(r->fd, 64) == 0);
	cr_assert_eq(getsockname(r->fd, (struct sockaddr *)&address, &len), 0);
	r->port = ntohs(address.sin_port);
	cr_assert_eq(pthread_create(&r->thread, NULL, thread_main, r), 0);
}

void regulator_stop(struct regulator *r)
{
	atomic_store(&r->stopping, true);
	(void)pthread_join(r->thread, NULL);
	for (uint32_t i = 0; i < HD_MIN(r->hanging_count, REGULATOR_HANGING_MAX); i++)
		close(r->hanging[i]);
	close(r->fd);
	pthread_mutex_destroy(&r->lock);
}

uint32_t regulator_count(struct regulator *r, bool checks)
{
	uint32_t count = 0;
	pthread_mutex_lock(&r->lock);
	for (uint32_t i = 0; i < r->seen_count; i++)
		count += r->seen[i].is_check == checks;
	pthread_mutex_unlock(&r->lock);
	return count;
}

uint32_t regulator_count_of(struct regulator *r, const char *code)
{
	uint32_t count = 0;
	pthread_mutex_lock(&r->lock);
	for (uint32_t i = 0; i < r->seen_count; i++)
		count += !r->seen[i].is_check && strcmp(r->seen[i].code, code) == 0;
	pthread_mutex_unlock(&r->lock);
	return count;
}

struct seen regulator_get(struct regulator *r, bool checks, uint32_t index)
{
	struct seen ret = {0};
	pthread_mutex_lock(&r->lock);
	for (uint32_t i = 0; i < r->seen_count; i++)
		if (r->seen[i].is_check == checks && index-- == 0) {
			ret = r->seen[i];
			break;
		}
	pthread_mutex_unlock(&r->lock);
	return ret;
}

uint32_t regulator_twice(struct regulator *r)
{
	uint32_t count = 0;
	pthread_mutex_lock(&r->lock);
	for (uint32_t i = 0; i < r->seen_count; i++)
		count += r->seen[i].again;
	pthread_mutex_unlock(&r->lock);
	return count;
}

void regulator_book(struct regulator *r, const char *code, int64_t due_ms, const char *payload)
{
	struct seen s = {.due_ms = due_ms, .reply = REPLY_ACCEPT};
	(void)snprintf(s.code, sizeof s.code, "%s", code);
	(void)snprintf(s.payload, sizeof s.payload, "%s", payload);
	pthread_mutex_lock(&r->lock);
	(void)snprintf(s.receipt, sizeof s.receipt, "R%u", ++r->receipts);
	r->seen[r->seen_count++] = s;
	pthread_mutex_unlock(&r->lock);
}

/* ---- the adapter ---- */

struct fake {
	struct hd_sink sink;
	hydro_filing_info info;
	uint16_t port;
};

static const hydro_filing_standard standards[] = {
	{.name = "mayor", .every = HYDRO_EVERY_HOUR, .lag_ms = INT64_C(604800000), .doc = "each hour"},
	{.name = "medio", .every = HYDRO_EVERY_DAY, .lag_ms = INT64_C(1296000000), .doc = "each day"},
	{.name = "menor", .every = HYDRO_EVERY_MONTH, .lag_months = 1, .flags = HYDRO_STANDARD_BY_SHEET, .doc = "each month"},
};
static const hydro_filing_kind kinds[] = {{.name = "well", .fields = 7, .level_metric = "water_table", .level_unit = "m", .doc = "a well"}};

static const hydro_filing_info *info(void *self)
{
	return &((struct fake *)self)->info;
}

static int32_t check_identifier(void *self, const char *text, struct hydro_error *err)
{
	(void)self, (void)text, (void)err;
	return HYDRO_OK;
}

static int32_t check_work(void *self, const hydro_filing_slot *work, struct hydro_error *err)
{
	(void)self, (void)work, (void)err;
	return HYDRO_OK;
}

static int32_t prepare(void *self, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err)
{
	(void)self;
	if (slot->values[HYDRO_FIELD_TOTAL] > 1e15) {
		(void)snprintf(err->text, sizeof err->text, "total: too long");
		return HYDRO_E_INVALID;
	}
	ret->len = (uint32_t)snprintf(ret->text, sizeof ret->text, "%.2f|%.0f|%.2f", slot->values[0], slot->values[1], slot->values[2]);
	return HYDRO_OK;
}

static int32_t request(void *self, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	const struct fake *fake = self;
	(void)err;
	/* The slot's time is not in the request's terms: the test's payload goes with the work and a due time of its own. */
	ret->method = HYDRO_HTTP_POST;
	ret->url = hydro_scratch_printf(scratch, "http://127.0.0.1:%u/file/%s/%lld", fake->port, send->code, strtoll(strrchr(send->payload, '@') + 1, NULL, 10));
	ret->body = send->payload;
	ret->body_len = send->payload_len;
	return ret->url ? HYDRO_OK : HYDRO_E_LIMIT;
}

static int32_t check_request(void *self, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	const struct fake *fake = self;
	(void)err;
	ret->method = HYDRO_HTTP_GET;
	ret->url = hydro_scratch_printf(scratch, "http://127.0.0.1:%u/check/%s/%s", fake->port, send->code, send->receipt);
	return ret->url ? HYDRO_OK : HYDRO_E_LIMIT;
}

static void body_text(const hydro_http_response *response, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%.*s", (int)response->body_len, response->body);
}

static int32_t parse(void *self, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_answer *ret, struct hydro_error *err)
{
	char text[256];
	(void)self, (void)send, (void)err;
	body_text(response, text, sizeof text);
	(void)snprintf(ret->text, sizeof ret->text, "%.150s", text);
	if (response->status == 200 && sscanf(text, "FILED %63s", ret->receipt) == 1)
		ret->outcome = HYDRO_FILING_FILED;
	else if (response->status == 200)
		ret->outcome = HYDRO_FILING_NO_RECEIPT;
	else if (sscanf(text, "DUPLICATE %63s", ret->receipt) == 1)
		ret->outcome = HYDRO_FILING_DUPLICATE;
	else if (strncmp(text, "HELD", 4) == 0)
		ret->outcome = HYDRO_FILING_HELD;
	else
		ret->outcome = response->status == 403 ? HYDRO_FILING_BLOCKED : HYDRO_FILING_REFUSED;
	return HYDRO_OK;
}

static int32_t check_parse(void *self, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_check *ret, struct hydro_error *err)
{
	char text[256];
	(void)self, (void)err;
	body_text(response, text, sizeof text);
	if (strncmp(text, "HAS ", 4) == 0)
		ret->outcome = strncmp(text + 4, send->payload, send->payload_len) == 0 ? HYDRO_CHECK_SAME : HYDRO_CHECK_DIFFERS;
	else if (strcmp(text, "ABSENT") == 0)
		ret->outcome = HYDRO_CHECK_ABSENT;
	else
		ret->outcome = response->status == 403 ? HYDRO_CHECK_BLOCKED : HYDRO_CHECK_UNCLEAR;
	return HYDRO_OK;
}

static int32_t prepare_with_due(void *self, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err)
{
	int32_t rc = prepare(self, slot, ret, err);
	if (rc == HYDRO_OK)
		ret->len += (uint32_t)snprintf(ret->text + ret->len, sizeof ret->text - ret->len, "@%lld", (long long)slot->due_ms);
	return rc;
}

int fake_adapter_add(struct hd_adapters *adapters, const char *name, const char *valid_from, const struct regulator *r, struct hydro_error *err)
{
	static struct fake fakes[4];
	static unsigned used;
	struct fake *fake = &fakes[used++ % HD_ARRAY_LEN(fakes)];
	*fake = (struct fake){
		.port = r->port,
		.info = {.struct_size = sizeof fake->info, .utc_offset_s = UTC_OFFSET_S, .family = "fake", .valid_from = valid_from, .deadline_ms = 3600000,
			 .spacing_ms = 300000, .standards = standards, .kinds = kinds, .standard_count = HD_ARRAY_LEN(standards),
			 .standard_stride = sizeof standards[0], .kind_count = 1, .kind_stride = sizeof kinds[0]},
		.sink = {.ops = {.struct_size = sizeof fake->sink.ops, .capabilities = HYDRO_SINK_FILING, .filing_info = info, .filing_check_identifier = check_identifier,
				 .filing_check_work = check_work, .filing_prepare = prepare_with_due, .filing_request = request, .filing_parse = parse,
				 .filing_check_request = check_request, .filing_check_parse = check_parse},
			 .self = fake, .instance = name, .plugin = name, .version = "1.0.0"},
	};
	return hd_adapters_add_sink(adapters, name, &fake->sink, err);
}
