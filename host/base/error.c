/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct hd_error_info error_table[] = {
	{HYDRO_OK, "HYDRO_OK", "ok", 200, HD_RETRY_NEVER, "OK"},
	{HYDRO_E_CONFIG, "HYDRO_E_CONFIG", "config", 422, HD_RETRY_CHANGED, "Configuration refused"},
	{HYDRO_E_INVALID, "HYDRO_E_INVALID", "invalid", 400, HD_RETRY_CHANGED, "Invalid input"},
	{HYDRO_E_PARSE, "HYDRO_E_PARSE", "parse", 400, HD_RETRY_CHANGED, "Input does not parse"},
	{HYDRO_E_IO, "HYDRO_E_IO", "io", 503, HD_RETRY_LATER, "Input or output failed"},
	{HYDRO_E_AGAIN, "HYDRO_E_AGAIN", "again", 503, HD_RETRY_LATER, "Busy, try again"},
	{HYDRO_E_TIMEOUT, "HYDRO_E_TIMEOUT", "timeout", 504, HD_RETRY_LATER, "Time ran out"},
	{HYDRO_E_NOMEM, "HYDRO_E_NOMEM", "nomem", 503, HD_RETRY_LATER, "Out of memory"},
	{HYDRO_E_FULL, "HYDRO_E_FULL", "full", 507, HD_RETRY_LATER, "No space left"},
	{HYDRO_E_LIMIT, "HYDRO_E_LIMIT", "limit", 413, HD_RETRY_CHANGED, "A limit was exceeded"},
	{HYDRO_E_NOTFOUND, "HYDRO_E_NOTFOUND", "not-found", 404, HD_RETRY_CHANGED, "Not found"},
	{HYDRO_E_EXISTS, "HYDRO_E_EXISTS", "exists", 409, HD_RETRY_CHANGED, "Already exists"},
	{HYDRO_E_CONFLICT, "HYDRO_E_CONFLICT", "conflict", 409, HD_RETRY_CHANGED, "Conflicts with the present state"},
	{HYDRO_E_STALE, "HYDRO_E_STALE", "stale", 412, HD_RETRY_CHANGED, "Changed by somebody else meanwhile"},
	{HYDRO_E_UNAUTHORIZED, "HYDRO_E_UNAUTHORIZED", "unauthorized", 401, HD_RETRY_CHANGED, "Not authenticated"},
	{HYDRO_E_DENIED, "HYDRO_E_DENIED", "denied", 403, HD_RETRY_NEVER, "Not allowed"},
	{HYDRO_E_UNSUPPORTED, "HYDRO_E_UNSUPPORTED", "unsupported", 501, HD_RETRY_NEVER, "Not supported"},
	{HYDRO_E_ABI, "HYDRO_E_ABI", "abi", 422, HD_RETRY_CHANGED, "Plugin does not fit this host"},
	{HYDRO_E_PROTOCOL, "HYDRO_E_PROTOCOL", "protocol", 502, HD_RETRY_LATER, "The other side broke the protocol"},
	{HYDRO_E_CORRUPT, "HYDRO_E_CORRUPT", "corrupt", 500, HD_RETRY_NEVER, "Stored data does not check"},
	{HYDRO_E_KEY, "HYDRO_E_KEY", "key", 500, HD_RETRY_CHANGED, "Wrong or missing key"},
	{HYDRO_E_CANCELLED, "HYDRO_E_CANCELLED", "cancelled", 503, HD_RETRY_LATER, "Cancelled"},
	{HYDRO_E_FATAL, "HYDRO_E_FATAL", "fatal", 500, HD_RETRY_NEVER, "Internal error"},
};

const struct hd_error_info *hd_error_info(int32_t code)
{
	for (size_t i = 0; i < HD_ARRAY_LEN(error_table); i++)
		if (error_table[i].code == code)
			return &error_table[i];
	return &error_table[HD_ARRAY_LEN(error_table) - 1];
}

int hd_error_setv(struct hydro_error *err, int32_t code, const char *fmt, va_list ap)
{
	if (err) {
		err->code = code;
		(void)vsnprintf(err->text, sizeof err->text, fmt, ap);
	}
	return code;
}

int hd_error_set(struct hydro_error *err, int32_t code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	hd_error_setv(err, code, fmt, ap);
	va_end(ap);
	return code;
}

static void append(struct hydro_error *err, const char *before, const char *text, const char *after)
{
	size_t used = strnlen(err->text, sizeof err->text);
	if (used < sizeof err->text)
		(void)snprintf(err->text + used, sizeof err->text - used, "%s%s%s", before, text, after);
}

int hd_error_errno(struct hydro_error *err, int32_t code, int errno_value, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	hd_error_setv(err, code, fmt, ap);
	va_end(ap);
	if (err) {
		char text[128];
		append(err, ": ", strerror_r(errno_value, text, sizeof text), "");
	}
	return code;
}

int hd_error_while(struct hydro_error *err, const char *fmt, ...)
{
	if (!err)
		return HYDRO_E_FATAL;
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	append(err, " (while ", text, ")");
	return err->code;
}

void hd_error_clear(struct hydro_error *err)
{
	if (err) {
		err->code = HYDRO_OK;
		err->text[0] = '\0';
	}
}

_Noreturn void hd_assert_failed(const char *cond, const char *file, int line, const char *func)
{
	(void)fprintf(stderr, "hydrod: assertion failed: %s at %s:%d in %s\n", cond, file, line, func);
	(void)fflush(stderr);
	abort();
}

void hd_cleanup_free(void *pointer_to_pointer)
{
	void **p = pointer_to_pointer;
	free(*p);
	*p = NULL;
}

void hd_cleanup_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}
