/* SPDX-License-Identifier: MIT */
#include "filing/ledger_mark.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Layout of a place: magic (8), counter (8), at (8), anchored day (8), ledger (16), machine (65, ended by NUL), CRC (4) of all before. */
#define MAGIC UINT64_C(0x314b52414d445948)
#define CRC_AT (48u + HD_MACHINE_BYTES)
#define BYTES (CRC_AT + 4u)

static bool parse_place(const uint8_t *p, struct hd_mark *ret)
{
	if (hd_get_u64(p) != MAGIC || hd_get_u32(p + CRC_AT) != hd_crc32c(0, p, CRC_AT) || p[CRC_AT - 1] != 0)
		return false;
	memset(ret, 0, sizeof *ret);
	ret->counter = hd_get_u64(p + 8);
	ret->at_ms = (int64_t)hd_get_u64(p + 16);
	ret->anchored_day = (int64_t)hd_get_u64(p + 24);
	memcpy(ret->ledger.bytes, p + 32, sizeof ret->ledger.bytes);
	memcpy(ret->machine, p + 48, HD_MACHINE_BYTES);
	return true;
}

bool hd_mark_parse(const void *data, size_t len, struct hd_mark *ret)
{
	struct hd_mark mark;
	bool good = false;
	for (size_t at = 0; at + BYTES <= len && at < HD_MARK_FILE_BYTES; at += HD_MARK_PLACE_BYTES) {
		if (parse_place((const uint8_t *)data + at, &mark) && (!good || mark.counter > ret->counter)) {
			*ret = mark;
			good = true;
		}
	}
	return good;
}

/* A file of its full size, so that later writes change no metadata. */
static int make(const char *path, struct hydro_error *err)
{
	static const char zeros[HD_MARK_FILE_BYTES];
	HD_CLEANUP(hd_cleanup_free) char *copy = strdup(path);
	if (!copy)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a path");
	int rc = hd_fs_mkdirs(dirname(copy), 0700, err);
	return rc == HYDRO_OK ? hd_fs_write_atomic(path, zeros, sizeof zeros, 0600, err) : rc;
}

static int read_old(const char *path, struct hd_mark_file *file, bool *ret_there, struct hydro_error *err)
{
	struct hd_buf data = {0};
	int rc = hd_fs_read(path, HD_MARK_FILE_BYTES, &data, err);
	if (rc == HYDRO_OK)
		*ret_there = hd_mark_parse(data.data, data.len, &file->last);
	if (rc == HYDRO_E_NOTFOUND || rc == HYDRO_E_LIMIT || (rc == HYDRO_OK && data.len != HD_MARK_FILE_BYTES && !*ret_there)) {
		hd_error_clear(err);
		rc = make(path, err);
	}
	hd_buf_done(&data);
	return rc;
}

int hd_mark_open(const char *path, struct hd_mark_file *ret, bool *ret_there, struct hydro_error *err)
{
	*ret = (struct hd_mark_file){.fd = -1};
	*ret_there = false;
	int rc = read_old(path, ret, ret_there, err);
	if (rc == HYDRO_OK && (ret->fd = open(path, O_RDWR | O_CLOEXEC)) < 0)
		rc = hd_error_errno(err, HYDRO_E_IO, errno, "cannot open %s", path);
	return rc == HYDRO_OK ? rc : hd_error_while(err, "opening the mark of the filing ledger");
}

int hd_mark_write(struct hd_mark_file *file, const struct hd_mark *mark, struct hydro_error *err)
{
	uint8_t place[BYTES] = {0};
	hd_put_u64(place, MAGIC);
	hd_put_u64(place + 8, mark->counter);
	hd_put_u64(place + 16, (uint64_t)mark->at_ms);
	hd_put_u64(place + 24, (uint64_t)mark->anchored_day);
	memcpy(place + 32, mark->ledger.bytes, sizeof mark->ledger.bytes);
	memcpy(place + 48, mark->machine, strnlen(mark->machine, HD_MACHINE_BYTES - 1));
	hd_put_u32(place + CRC_AT, hd_crc32c(0, place, CRC_AT));
	int rc = hd_fs_pwrite(file->fd, place, sizeof place, (off_t)(mark->counter & 1) * HD_MARK_PLACE_BYTES, err);
	if (rc == HYDRO_OK && fdatasync(file->fd) != 0)
		rc = hd_error_errno(err, HYDRO_E_IO, errno, "cannot sync it");
	if (rc != HYDRO_OK)
		return hd_error_while(err, "writing the mark of the filing ledger");
	file->last = *mark;
	return HYDRO_OK;
}

void hd_mark_close(struct hd_mark_file *file)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	file->fd = -1;
}
