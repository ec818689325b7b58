/* SPDX-License-Identifier: MIT */
#include "observe/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/timefmt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A burst of LINES per event in WINDOW, then silence until the window ends. */
#define LINES_PER_WINDOW 10u
#define WINDOW_NS (10 * HD_NS_PER_S)
#define EVENT_SLOTS 256u

struct event_slot {
	uint64_t hash;
	int64_t since_ns;
	uint32_t lines;
	uint32_t left_out;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static _Atomic uint32_t log_level = HD_LOG_INFO;
static _Atomic uint32_t log_format = HD_LOG_AUTO;
static pthread_mutex_t event_lock = PTHREAD_MUTEX_INITIALIZER; /* guards: events */
static struct event_slot events[EVENT_SLOTS];

void hd_log_setup(uint32_t level, uint32_t format)
{
	atomic_store(&log_level, level);
	if (format == HD_LOG_AUTO)
		format = isatty(STDERR_FILENO) ? HD_LOG_LOGFMT : HD_LOG_ECS;
	atomic_store(&log_format, format);
}

bool hd_log_level_parse(const char *text, uint32_t *ret)
{
	for (uint32_t i = 0; i < HD_ARRAY_LEN(level_names); i++)
		if (strcmp(text, level_names[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

/* True when the line may go out; then *ret_left_out is the number of lines before it that did not. */
static bool admit(const char *subsystem, const char *event, uint32_t *ret_left_out)
{
	uint64_t hash = hd_hash(subsystem, strlen(subsystem)) ^ hd_hash_u64(hd_hash(event, strlen(event)));
	int64_t now = hd_clock_real_ns();
	(void)pthread_mutex_lock(&event_lock);
	struct event_slot *slot = &events[hash % EVENT_SLOTS];
	*ret_left_out = 0;
	if (slot->hash != hash || now - slot->since_ns > WINDOW_NS) {
		*ret_left_out = slot->hash == hash ? slot->left_out : 0;
		*slot = (struct event_slot){hash, now, 0, 0};
	}
	bool admitted = slot->lines < LINES_PER_WINDOW;
	if (admitted)
		slot->lines++;
	else
		slot->left_out++;
	(void)pthread_mutex_unlock(&event_lock);
	return admitted;
}

static void add_logfmt_text(struct hd_buf *line, const char *text)
{
	bool plain = *text != '\0';
	for (const char *p = text; *p && plain; p++)
		plain = (unsigned char)*p > ' ' && *p != '"' && *p != '=' && *p != '\\';
	if (plain)
		hd_buf_add_text(line, text);
	else
		hd_buf_add_json(line, text, strlen(text));
}

static void add_value(struct hd_buf *line, const struct hd_field *field, bool json)
{
	const char *text = field->text ? field->text : "";
	if (field->type == HD_FIELD_INTEGER)
		hd_buf_printf(line, "%lld", (long long)field->integer);
	else if (field->type == HD_FIELD_NUMBER)
		hd_buf_add_number(line, field->number);
	else if (json)
		hd_buf_add_json(line, text, strlen(text));
	else
		add_logfmt_text(line, text);
}

static void compose(struct hd_buf *line, bool json, uint32_t level, const char *subsystem, const char *event)
{
	char now[HD_TIME_TEXT];
	hd_time_format(hd_clock_wall_ms(), now);
	if (json)
		hd_buf_printf(line, "{\"@timestamp\":\"%s\",\"log.level\":\"%s\",\"log.logger\":\"%s\",\"event.action\":\"%s\",\"ecs.version\":\"8.11\"",
			      now, level_names[level], subsystem, event);
	else
		hd_buf_printf(line, "%s level=%s subsystem=%s event=%s", now, level_names[level], subsystem, event);
}

static void compose_field(struct hd_buf *line, bool json, const struct hd_field *field)
{
	if (json) {
		bool is_message = strcmp(field->key, "message") == 0;
		hd_buf_printf(line, is_message ? ",\"%s\":" : ",\"hydro.%s\":", field->key);
	} else {
		hd_buf_printf(line, " %s=", field->key);
	}
	add_value(line, field, json);
}

void hd_log_fields(uint32_t level, const char *subsystem, const char *event, const struct hd_field *fields, size_t count)
{
	uint32_t left_out;
	if (level > atomic_load_explicit(&log_level, memory_order_relaxed) || !admit(subsystem, event, &left_out))
		return;
	bool json = atomic_load_explicit(&log_format, memory_order_relaxed) == HD_LOG_ECS;
	struct hd_buf line = {0};
	compose(&line, json, level, subsystem, event);
	for (size_t i = 0; i < count; i++)
		compose_field(&line, json, &fields[i]);
	if (left_out)
		compose_field(&line, json, &HD_I("left_out", left_out));
	hd_buf_add_text(&line, json ? "}\n" : "\n");
	if (!line.failed)
		(void)fwrite(line.data, 1, line.len, stderr);
	hd_buf_done(&line);
}

void hd_log_error(uint32_t level, const char *subsystem, const char *event, const struct hydro_error *err)
{
	hd_log(level, subsystem, event, HD_S("code", hd_error_info(err->code)->name), HD_S("message", err->text));
}
