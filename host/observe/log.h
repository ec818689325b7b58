/* SPDX-License-Identifier: MIT */
/*
 * Structured log lines on stderr: logfmt where stderr is a terminal, ECS JSON elsewhere. error = somebody must act;
 * warn = will need an act if it goes on; info = life-cycle only; nothing per point above debug. A repeated event is
 * rate-limited and says how many lines were left out. Secrets never get here: the caller passes "***".
 */
#ifndef HD_OBSERVE_LOG_H
#define HD_OBSERVE_LOG_H

#include "base/error.h"

#include <stdbool.h>

#define HD_LOG_ERROR 0u
#define HD_LOG_WARN 1u
#define HD_LOG_INFO 2u
#define HD_LOG_DEBUG 3u

#define HD_FIELD_TEXT 0u
#define HD_FIELD_INTEGER 1u
#define HD_FIELD_NUMBER 2u

struct hd_field {
	const char *key;
	uint32_t type;
	int64_t integer;
	double number;
	const char *text;
};

#define HD_S(key, value) ((struct hd_field){(key), HD_FIELD_TEXT, 0, 0, (value)})
#define HD_I(key, value) ((struct hd_field){(key), HD_FIELD_INTEGER, (int64_t)(value), 0, NULL})
#define HD_N(key, value) ((struct hd_field){(key), HD_FIELD_NUMBER, 0, (value), NULL})

#define HD_LOG_AUTO 0u
#define HD_LOG_LOGFMT 1u
#define HD_LOG_ECS 2u

/* Lines above `level` are left out; format HD_LOG_*. [control, before the threads start] */
void hd_log_setup(uint32_t level, uint32_t format);
/* "error", "warn", "info", "debug"; false for anything else. */
bool hd_log_level_parse(const char *text, uint32_t *ret);
/* At least one field, by the macros above. [any] */
#define hd_log(level, subsystem, event, ...)                                                                   \
	hd_log_fields((level), (subsystem), (event), (const struct hd_field[]){__VA_ARGS__},                   \
		      sizeof((const struct hd_field[]){__VA_ARGS__}) / sizeof(struct hd_field))
void hd_log_fields(uint32_t level, const char *subsystem, const char *event, const struct hd_field *fields, size_t count);
/* One error with its code, rate-limited by event. [any] */
void hd_log_error(uint32_t level, const char *subsystem, const char *event, const struct hydro_error *err);

#endif
