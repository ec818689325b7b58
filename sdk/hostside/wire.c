/* SPDX-License-Identifier: MIT */
/* Frames and plain values; the ABI's structs are in wire_abi.c. */
#include "hostside/wire.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_BYTES 8u
#define NO_TEXT UINT32_MAX

void hd_wire_begin(struct hd_buf *buf, uint32_t type)
{
	hd_buf_clear(buf);
	buf->failed = false;
	hd_wire_u32(buf, 0);
	hd_wire_u32(buf, type);
}

void hd_wire_u32(struct hd_buf *buf, uint32_t value)
{
	(void)hd_buf_add(buf, &value, sizeof value);
}

void hd_wire_i64(struct hd_buf *buf, int64_t value)
{
	(void)hd_buf_add(buf, &value, sizeof value);
}

void hd_wire_f64(struct hd_buf *buf, double value)
{
	(void)hd_buf_add(buf, &value, sizeof value);
}

void hd_wire_bytes(struct hd_buf *buf, const void *data, size_t len)
{
	hd_wire_u32(buf, (uint32_t)len);
	if (len >= HD_WIRE_BYTES_MAX)
		buf->failed = true;
	else if (len)
		(void)hd_buf_add(buf, data, len);
}

void hd_wire_text(struct hd_buf *buf, const char *text)
{
	if (!text) {
		hd_wire_u32(buf, NO_TEXT);
		return;
	}
	hd_wire_bytes(buf, text, strlen(text) + 1);
}

void hd_wire_error(struct hd_buf *buf, int32_t rc, const struct hydro_error *err)
{
	char text[HYDRO_ERROR_TEXT_BYTES];
	memcpy(text, err->text, sizeof text);
	text[sizeof text - 1] = '\0';
	hd_wire_u32(buf, (uint32_t)rc);
	hd_wire_text(buf, rc == HYDRO_OK ? NULL : text);
}

void hd_wire_reader_init(struct hd_wire_reader *reader, const char *body, size_t len)
{
	*reader = (struct hd_wire_reader){.at = body, .end = body + len};
}

void hd_wire_reader_done(struct hd_wire_reader *reader)
{
	for (size_t i = 0; i < reader->owned_count; i++)
		free(reader->owned[i]);
	free(reader->owned);
	*reader = (struct hd_wire_reader){.bad = true};
}

static bool take(struct hd_wire_reader *reader, void *ret, size_t size)
{
	if (reader->bad || (size_t)(reader->end - reader->at) < size) {
		reader->bad = true;
		memset(ret, 0, size);
		return false;
	}
	memcpy(ret, reader->at, size);
	reader->at += size;
	return true;
}

uint32_t hd_wire_get_u32(struct hd_wire_reader *reader)
{
	uint32_t value;
	(void)take(reader, &value, sizeof value);
	return value;
}

int64_t hd_wire_get_i64(struct hd_wire_reader *reader)
{
	int64_t value;
	(void)take(reader, &value, sizeof value);
	return value;
}

double hd_wire_get_f64(struct hd_wire_reader *reader)
{
	double value;
	(void)take(reader, &value, sizeof value);
	return value;
}

const void *hd_wire_get_bytes(struct hd_wire_reader *reader, size_t *ret_len)
{
	uint32_t len = hd_wire_get_u32(reader);
	*ret_len = 0;
	if (reader->bad || (size_t)(reader->end - reader->at) < len) {
		reader->bad = true;
		return NULL;
	}
	const char *data = reader->at;
	reader->at += len;
	*ret_len = len;
	return data;
}

const char *hd_wire_get_text(struct hd_wire_reader *reader)
{
	uint32_t len;
	size_t size;
	if (reader->bad || (size_t)(reader->end - reader->at) < sizeof len) {
		reader->bad = true;
		return NULL;
	}
	memcpy(&len, reader->at, sizeof len);
	if (len == NO_TEXT) {
		reader->at += sizeof len;
		return NULL;
	}
	const char *text = hd_wire_get_bytes(reader, &size);
	if (!text || size == 0 || memchr(text, '\0', size) != text + size - 1) {
		reader->bad = true;
		return NULL;
	}
	return text;
}

int32_t hd_wire_get_error(struct hd_wire_reader *reader, struct hydro_error *err)
{
	int32_t rc = (int32_t)hd_wire_get_u32(reader);
	const char *text = hd_wire_get_text(reader);
	if (reader->bad)
		return hd_error_set(err, HYDRO_E_PROTOCOL, "the isolated plugin's process answers in another form than the daemon reads");
	if (rc == HYDRO_OK)
		return HYDRO_OK;
	return hd_error_set(err, hd_error_info(rc)->code, "%s", text ? text : "");
}

/* Waits for the socket; false when the deadline has passed. */
static bool ready(int fd, short events, int64_t deadline_ns)
{
	for (;;) {
		int64_t left_ms = deadline_ns ? (deadline_ns - hd_clock_real_ns() + HD_NS_PER_MS - 1) / HD_NS_PER_MS : -1;
		struct pollfd p = {.fd = fd, .events = events};
		int n = poll(&p, 1, deadline_ns ? (int)HD_MAX(left_ms, 0) : -1);
		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

int hd_wire_send(int fd, struct hd_buf *buf, int64_t deadline_ns)
{
	if (buf->failed || buf->len > HD_WIRE_BYTES_MAX)
		return HYDRO_E_NOMEM;
	uint32_t len = (uint32_t)(buf->len - HEAD_BYTES);
	memcpy(buf->data, &len, sizeof len);
	for (size_t done = 0; done < buf->len;) {
		ssize_t n = send(fd, buf->data + done, buf->len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno == EAGAIN) {
			if (!ready(fd, POLLOUT, deadline_ns))
				return HYDRO_E_TIMEOUT;
		} else if (n == 0 || errno != EINTR)
			return HYDRO_E_IO;
	}
	return HYDRO_OK;
}

static int receive_exactly(int fd, char *ret, size_t len, int64_t deadline_ns)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = recv(fd, ret + done, len - done, MSG_DONTWAIT);
		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno == EAGAIN) {
			if (!ready(fd, POLLIN, deadline_ns))
				return HYDRO_E_TIMEOUT;
		} else if (n == 0 || errno != EINTR)
			return HYDRO_E_IO;
	}
	return HYDRO_OK;
}

int hd_wire_receive(int fd, struct hd_buf *buf, uint32_t *ret_type, int64_t deadline_ns)
{
	uint32_t head[2];
	char raw[HEAD_BYTES];
	int rc = receive_exactly(fd, raw, sizeof raw, deadline_ns);
	if (rc != HYDRO_OK)
		return rc;
	memcpy(head, raw, sizeof head);
	if (head[0] > HD_WIRE_BYTES_MAX)
		return HYDRO_E_PROTOCOL;
	hd_buf_clear(buf);
	buf->failed = false;
	if (!hd_buf_reserve(buf, head[0] + 1u))
		return HYDRO_E_NOMEM;
	rc = receive_exactly(fd, buf->data, head[0], deadline_ns);
	if (rc != HYDRO_OK)
		return rc;
	buf->len = head[0];
	*ret_type = head[1];
	return HYDRO_OK;
}
