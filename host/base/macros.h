/* SPDX-License-Identifier: MIT */
#ifndef HD_BASE_MACROS_H
#define HD_BASE_MACROS_H

#include <stddef.h>
#include <stdint.h>

#define HD_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define HD_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HD_MAX(a, b) ((a) > (b) ? (a) : (b))
#define HD_LIKELY(x) __builtin_expect(!!(x), 1)
#define HD_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define HD_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define HD_NODISCARD __attribute__((warn_unused_result))

/* Runs fn(&variable) when the variable leaves its scope. Never in a function that can raise a Lua error. */
#define HD_CLEANUP(fn) __attribute__((cleanup(fn)))
/* Hands over what a pointer owns: yields the pointer and leaves NULL behind. */
#define HD_STEAL(p) (__extension__({ __typeof__(p) hd_stolen_ = (p); (p) = NULL; hd_stolen_; }))

/* The one cast back from `void *` for long-lived heap structs, which begin with `uint32_t magic`. */
#define HD_CAST(type, magic_value, p) (__extension__({ \
	type *hd_cast_ = (p);                              \
	HD_ASSERT(hd_cast_ && hd_cast_->magic == (magic_value)); \
	hd_cast_; }))

/* Our own bug: on in release too. Never for input, I/O, memory or a plugin's mistake. */
#define HD_ASSERT(cond) (HD_LIKELY(cond) ? (void)0 : hd_assert_failed(#cond, __FILE__, __LINE__, __func__))

_Noreturn void hd_assert_failed(const char *cond, const char *file, int line, const char *func);

/* For HD_CLEANUP on malloc'ed memory and file descriptors. [any] */
void hd_cleanup_free(void *pointer_to_pointer);
void hd_cleanup_fd(int *fd);

#endif
