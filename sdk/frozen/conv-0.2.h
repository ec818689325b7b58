/* SPDX-License-Identifier: MIT */
/* Header-only conveniences for plugins; uses the C library, adds nothing to the ABI. */
#ifndef HYDRO_CONV_H
#define HYDRO_CONV_H

#include "abi.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Flags of the host's scheme that a detector may set in hydro_annotation.flag; another number counts as a failure. */
#define HYDRO_FLAG_OUT_OF_RANGE 4u
#define HYDRO_FLAG_FROZEN 6u
#define HYDRO_FLAG_NOISE 9u
#define HYDRO_FLAG_JUMP 14u
#define HYDRO_FLAG_PUMPING_DRY 18u
#define HYDRO_FLAG_SPIKE 19u
#define HYDRO_FLAG_RATE_OF_CHANGE 20u
#define HYDRO_FLAG_ANOMALY 22u
#define HYDRO_FLAG_BALANCE 24u

/* Writes code and text; returns code. `err` may be NULL. */
__attribute__((format(printf, 3, 4))) static inline int32_t hydro_fail(struct hydro_error *err, int32_t code, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		err->code = code;
		(void)vsnprintf(err->text, sizeof err->text, fmt, ap);
		va_end(ap);
	}
	return code;
}

/* `size` bytes aligned to 16, or NULL with scratch->wanted set: return HYDRO_E_LIMIT then. */
static inline void *hydro_scratch_take(hydro_scratch *scratch, size_t size)
{
	size_t at = (scratch->used + 15u) & ~(size_t)15u;
	if (at > scratch->size || size > scratch->size - at) {
		size_t wanted = at + size;
		if (wanted > scratch->wanted)
			scratch->wanted = wanted;
		return NULL;
	}
	scratch->used = at + size;
	return scratch->mem + at;
}

/* Formatted text in the scratch, or NULL as above. */
__attribute__((format(printf, 2, 3))) static inline char *hydro_scratch_printf(hydro_scratch *scratch, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	char *text = (char *)hydro_scratch_take(scratch, (size_t)n + 1u);
	if (text) {
		va_start(ap, fmt);
		(void)vsnprintf(text, (size_t)n + 1u, fmt, ap);
		va_end(ap);
	}
	return text;
}

/* The value of row `i`; never NULL: a row outside the table reads as not set. */
static inline const hydro_option_value *hydro_option_at(const hydro_options *options, uint32_t i)
{
	static const hydro_option_value unset = {0, 0, 0, 0.0, NULL, NULL};
	if (!options || i >= options->count)
		return &unset;
	return (const hydro_option_value *)(const void *)((const char *)options->values + (size_t)i * options->value_stride);
}

static inline const char *hydro_option_text(const hydro_options *options, uint32_t i)
{
	const hydro_option_value *value = hydro_option_at(options, i);
	return value->is_set && value->text ? value->text : "";
}

static inline const hydro_map_entry *hydro_option_entry(const hydro_options *options, const hydro_option_value *value, uint32_t n)
{
	return (const hydro_map_entry *)(const void *)((const char *)value->entries + (size_t)n * options->map_stride);
}

#endif
