/* SPDX-License-Identifier: MIT */
#include "model/names.h"

#include "base/crc32c.h"
#include "base/fs.h"
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_NAMES 4096u
#define PAGES_MAX 1024u
#define FILE_BYTES_MAX (256u << 20)

struct kind {
	_Atomic(char **) pages[PAGES_MAX]; /* pages[n / PAGE_NAMES][n % PAGE_NAMES] */
	_Atomic uint32_t count;
	struct hd_map by_name;
};

struct hd_names {
	pthread_mutex_t lock; /* guards: by_name of each kind, adding, fd, size */
	int fd;               /* -1: in memory */
	off_t size;
	struct kind kinds[HD_NAME_KINDS];
};

#define METRIC_ROW(NAME, number, text, unit) {number, text, unit},
static const struct { uint32_t number; const char *name; const char *unit; } fixed_metrics[] = {HD_METRICS(METRIC_ROW)};
#undef METRIC_ROW

const char *hd_metric_unit(uint32_t metric)
{
	for (size_t i = 0; i < HD_ARRAY_LEN(fixed_metrics); i++)
		if (fixed_metrics[i].number == metric)
			return fixed_metrics[i].unit;
	return "";
}

static bool name_valid(uint32_t kind, const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len > HD_NAME_BYTES_MAX)
		return false;
	if (kind == HD_NAME_METRIC && !(name[0] >= 'a' && name[0] <= 'z'))
		return false;
	for (const char *p = name; *p; p++) {
		bool word = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_';
		if (kind == HD_NAME_METRIC ? !word : (unsigned char)*p < 0x20)
			return false;
	}
	return true;
}

/* Under the lock, or before anybody else has the table. */
static int add(struct kind *kind, const char *name, uint32_t number, struct hydro_error *err)
{
	uint32_t page = number / PAGE_NAMES;
	if (page >= PAGES_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "more than %u names of one kind", PAGES_MAX * PAGE_NAMES);
	char **names = atomic_load(&kind->pages[page]);
	if (!names) {
		names = calloc(PAGE_NAMES, sizeof *names);
		if (!names)
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for names");
		atomic_store(&kind->pages[page], names);
	}
	char *copy = strdup(name);
	if (!copy || !hd_map_put(&kind->by_name, name, strlen(name), number)) {
		free(copy);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for names");
	}
	names[number % PAGE_NAMES] = copy;
	if (number > atomic_load(&kind->count))
		atomic_store_explicit(&kind->count, number, memory_order_release);
	return HYDRO_OK;
}

/* A line: "crc kind number name\n", crc over what follows it. Returns false for one that does not check. */
static bool parse_line(const char *line, size_t len, uint32_t *ret_kind, uint32_t *ret_number, char ret_name[HD_NAME_BYTES_MAX + 1])
{
	char text[HD_NAME_BYTES_MAX + 64];
	unsigned crc;
	int at = 0;
	if (len >= sizeof text)
		return false;
	memcpy(text, line, len);
	text[len] = '\0';
	if (sscanf(text, "%8x %n", &crc, &at) != 1 || at == 0 || hd_crc32c(0, text + at, len - (size_t)at) != crc)
		return false;
	int name_at = 0;
	if (sscanf(text + at, "%u %u %n", ret_kind, ret_number, &name_at) != 2 || name_at == 0)
		return false;
	const char *name = text + at + name_at;
	if (*ret_kind >= HD_NAME_KINDS || *ret_number == 0 || !name_valid(*ret_kind, name))
		return false;
	(void)snprintf(ret_name, HD_NAME_BYTES_MAX + 1, "%s", name);
	return true;
}

static int load(struct hd_names *names, const char *path, struct hydro_error *err)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	int rc = hd_fs_read(path, FILE_BYTES_MAX, &buf, err);
	if (rc != HYDRO_OK)
		return rc;
	size_t at = 0;
	for (unsigned line = 1; at < buf.len; line++) {
		const char *end = memchr(buf.data + at, '\n', buf.len - at);
		if (!end)
			break; /* torn: never given out */
		uint32_t kind, number;
		char name[HD_NAME_BYTES_MAX + 1];
		size_t len = (size_t)(end - (buf.data + at));
		if (!parse_line(buf.data + at, len, &kind, &number, name)) {
			if (at + len + 1 == buf.len)
				break;
			return hd_error_set(err, HYDRO_E_CORRUPT, "%s:%u: line does not check; stored data refers to this table: restore it from a backup", path, line);
		}
		rc = add(&names->kinds[kind], name, number, err);
		if (rc != HYDRO_OK)
			return rc;
		at += len + 1;
	}
	names->size = (off_t)at;
	if (at < buf.len && ftruncate(names->fd, names->size) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot cut the torn end of %s", path);
	return HYDRO_OK;
}

int hd_names_open(const char *path, struct hd_names **ret, struct hydro_error *err)
{
	struct hd_names *names = calloc(1, sizeof *names);
	if (!names)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for names");
	names->fd = -1;
	(void)pthread_mutex_init(&names->lock, NULL);
	int rc = HYDRO_OK;
	for (size_t i = 0; rc == HYDRO_OK && i < HD_ARRAY_LEN(fixed_metrics); i++)
		rc = add(&names->kinds[HD_NAME_METRIC], fixed_metrics[i].name, fixed_metrics[i].number, err);
	if (rc == HYDRO_OK && path) {
		names->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		rc = names->fd < 0 ? hd_error_errno(err, HYDRO_E_IO, errno, "cannot open %s", path) : load(names, path, err);
	}
	if (rc != HYDRO_OK) {
		hd_names_close(&names);
		return rc;
	}
	*ret = names;
	return HYDRO_OK;
}

void hd_names_close(struct hd_names **names)
{
	if (!*names)
		return;
	for (uint32_t k = 0; k < HD_NAME_KINDS; k++) {
		struct kind *kind = &(*names)->kinds[k];
		for (uint32_t p = 0; p < PAGES_MAX; p++) {
			char **page = atomic_load(&kind->pages[p]);
			for (uint32_t i = 0; page && i < PAGE_NAMES; i++)
				free(page[i]);
			free(page);
		}
		hd_map_done(&kind->by_name);
	}
	hd_cleanup_fd(&(*names)->fd);
	(void)pthread_mutex_destroy(&(*names)->lock);
	free(*names);
	*names = NULL;
}

static int append(struct hd_names *names, uint32_t kind, uint32_t number, const char *name, struct hydro_error *err)
{
	if (names->fd < 0)
		return HYDRO_OK;
	char body[HD_NAME_BYTES_MAX + 64], line[HD_NAME_BYTES_MAX + 80];
	int body_len = snprintf(body, sizeof body, "%u %u %s", kind, number, name);
	int len = snprintf(line, sizeof line, "%08x %s\n", hd_crc32c(0, body, (size_t)body_len), body);
	int rc = hd_fs_pwrite(names->fd, line, (size_t)len, names->size, err);
	if (rc == HYDRO_OK && fdatasync(names->fd) != 0)
		rc = hd_error_errno(err, HYDRO_E_IO, errno, "cannot sync the table of names");
	if (rc == HYDRO_OK)
		names->size += len;
	return rc;
}

int hd_names_intern(struct hd_names *names, uint32_t kind, const char *name, uint32_t *ret, struct hydro_error *err)
{
	HD_ASSERT(kind < HD_NAME_KINDS);
	if (!name_valid(kind, name))
		return hd_error_set(err, HYDRO_E_INVALID, "not a valid %s name: \"%.80s\"", kind == HD_NAME_METRIC ? "metric" : "rule", name);
	struct kind *table = &names->kinds[kind];
	uint64_t number;
	int rc = HYDRO_OK;
	(void)pthread_mutex_lock(&names->lock);
	if (!hd_map_get(&table->by_name, name, strlen(name), &number)) {
		number = (uint64_t)atomic_load(&table->count) + 1;
		rc = append(names, kind, (uint32_t)number, name, err);
		if (rc == HYDRO_OK)
			rc = add(table, name, (uint32_t)number, err);
	}
	(void)pthread_mutex_unlock(&names->lock);
	if (rc == HYDRO_OK)
		*ret = (uint32_t)number;
	return rc;
}

uint32_t hd_names_find(struct hd_names *names, uint32_t kind, const char *name)
{
	HD_ASSERT(kind < HD_NAME_KINDS);
	uint64_t number = 0;
	(void)pthread_mutex_lock(&names->lock);
	bool found = hd_map_get(&names->kinds[kind].by_name, name, strlen(name), &number);
	(void)pthread_mutex_unlock(&names->lock);
	return found ? (uint32_t)number : 0;
}

const char *hd_names_get(const struct hd_names *names, uint32_t kind, uint32_t number)
{
	HD_ASSERT(kind < HD_NAME_KINDS);
	const struct kind *table = &names->kinds[kind];
	if (number == 0 || number > atomic_load_explicit(&table->count, memory_order_acquire))
		return NULL;
	char **page = atomic_load_explicit(&table->pages[number / PAGE_NAMES], memory_order_acquire);
	return page ? page[number % PAGE_NAMES] : NULL;
}

uint32_t hd_names_count(const struct hd_names *names, uint32_t kind)
{
	return atomic_load_explicit(&names->kinds[kind].count, memory_order_acquire);
}
