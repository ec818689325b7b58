/* SPDX-License-Identifier: MIT */
#include "store/snapshot_file.h"

#include "base/buf.h"
#include "base/fs.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x31544e494f504448) /* "HDPOINT1" */
#define VERSION 1u
#define THREADS_MAX 4
#define HEAD_PAGE UINT64_MAX /* the head's nonce is that of this page */
#define PAGE_BYTES_MAX (HD_POINTS_PAGE * (HD_POINT_TEXT_BYTES_MAX + sizeof(struct hd_point) + 16u))

struct head {
	uint64_t magic;
	uint32_t version, point_bytes;
	uint32_t key_id, points, pages, reserved;
	int64_t change;
	uint8_t id[HD_SNAPSHOT_ID_BYTES];
};

struct page {
	uint64_t offset, bytes;
};

struct hd_snapshot {
	int fd;
	struct hd_key key;
	struct head head;
	uint8_t *directory; /* head, pages */
	struct hd_points *points;
	uint32_t next; /* atomic: the page that is loaded next */
	uint32_t stop; /* atomic: one failed */
};

static uint32_t pages_of(uint32_t points)
{
	return points / HD_POINTS_PAGE + (points % HD_POINTS_PAGE != 0);
}

static const struct page *page_of(const struct hd_snapshot *s, uint32_t number)
{
	return (const struct page *)(const void *)(s->directory + sizeof s->head) + number;
}

static void nonce_of(const uint8_t id[HD_SNAPSHOT_ID_BYTES], uint64_t page, uint8_t ret[HD_SEAL_NONCE_BYTES])
{
	_Static_assert(HD_SNAPSHOT_ID_BYTES + sizeof page == HD_SEAL_NONCE_BYTES, "a nonce is file id and page");
	memcpy(ret, id, HD_SNAPSHOT_ID_BYTES);
	memcpy(ret + HD_SNAPSHOT_ID_BYTES, &page, sizeof page);
}

/* ---- reading ---- */

void hd_snapshot_close(struct hd_snapshot **snapshot)
{
	struct hd_snapshot *s = HD_STEAL(*snapshot);
	if (!s)
		return;
	hd_cleanup_fd(&s->fd);
	hd_key_wipe(&s->key);
	free(s->directory);
	free(s);
}

static int corrupt(struct hydro_error *err, const char *path, const char *what)
{
	return hd_error_set(err, HYDRO_E_CORRUPT, "snapshot of points %s: %s", path, what);
}

static int check_pages(const struct hd_snapshot *s, const char *path, uint64_t file_bytes, struct hydro_error *err)
{
	uint64_t at = sizeof s->head + s->head.pages * sizeof(struct page) + HD_SEAL_TAG_BYTES;
	for (uint32_t i = 0; i < s->head.pages; i++) {
		const struct page *page = page_of(s, i);
		if (page->offset != at || page->bytes <= HD_SEAL_TAG_BYTES || page->bytes > PAGE_BYTES_MAX)
			return corrupt(err, path, "has pages that do not fit");
		at += page->bytes;
	}
	return at == file_bytes ? HYDRO_OK : corrupt(err, path, "has another length than it says");
}

static int read_head(struct hd_snapshot *s, const char *path, struct hydro_error *err)
{
	struct stat st;
	size_t len = 0;
	if (fstat(s->fd, &st) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot stat %s", path);
	int rc = hd_fs_pread(s->fd, &s->head, sizeof s->head, 0, &len, err);
	if (rc != HYDRO_OK)
		return rc;
	if (len < sizeof s->head || s->head.magic != MAGIC)
		return corrupt(err, path, "is none");
	if (s->head.version != VERSION || s->head.point_bytes != sizeof(struct hd_point))
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "snapshot of points %s is of another version of this program", path);
	if (s->head.key_id != s->key.id)
		return hd_error_set(err, HYDRO_E_KEY, "snapshot of points %s is sealed with key %08x, ours is %08x", path, s->head.key_id, s->key.id);
	if (s->head.points > HD_POINTS_MAX || s->head.pages != pages_of(s->head.points))
		return corrupt(err, path, "has more pages than points");
	size_t bytes = sizeof s->head + s->head.pages * sizeof(struct page);
	uint8_t nonce[HD_SEAL_NONCE_BYTES], nothing[1];
	if (!(s->directory = malloc(bytes + HD_SEAL_TAG_BYTES)))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the snapshot of points");
	if ((rc = hd_fs_pread(s->fd, s->directory, bytes + HD_SEAL_TAG_BYTES, 0, &len, err)) != HYDRO_OK)
		return rc;
	nonce_of(s->head.id, HEAD_PAGE, nonce);
	if (len < bytes + HD_SEAL_TAG_BYTES || memcmp(s->directory, &s->head, sizeof s->head) != 0 ||
	    !hd_unseal(&s->key, nonce, s->directory, bytes, s->directory + bytes, HD_SEAL_TAG_BYTES, nothing))
		return corrupt(err, path, "does not check");
	return check_pages(s, path, (uint64_t)st.st_size, err);
}

int hd_snapshot_open(const char *path, const struct hd_key *key, struct hd_snapshot **ret, struct hd_snapshot_info *ret_info, struct hydro_error *err)
{
	struct hd_snapshot *s = calloc(1, sizeof *s);
	if (!s)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the snapshot of points");
	hd_key_derive(key, "points__", &s->key);
	s->fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc = s->fd >= 0 ? read_head(s, path, err) : hd_error_errno(err, errno == ENOENT ? HYDRO_E_NOTFOUND : HYDRO_E_IO, errno, "cannot open %s", path);
	if (rc != HYDRO_OK) {
		hd_snapshot_close(&s);
		return rc;
	}
	*ret_info = (struct hd_snapshot_info){.points = s->head.points, .change = s->head.change};
	memcpy(ret_info->id, s->head.id, sizeof ret_info->id);
	*ret = s;
	return HYDRO_OK;
}

bool hd_snapshot_page_check(const void *page, size_t len, uint32_t count)
{
	const uint32_t *offsets = page;
	size_t table = (count + (size_t)1) * sizeof *offsets;
	if (count > HD_POINTS_PAGE || len < table || offsets[0] < table || offsets[count] != len)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = offsets[i], end = offsets[i + 1];
		if (at % _Alignof(struct hd_point) || end < at || end > len || !hd_point_fits((const struct hd_point *)(const void *)((const uint8_t *)page + at), end - at))
			return false;
	}
	return true;
}

static int load_page(struct hd_snapshot *s, uint32_t number, struct hydro_error *err)
{
	const struct page *page = page_of(s, number);
	uint8_t nonce[HD_SEAL_NONCE_BYTES];
	size_t len = 0, opened = page->bytes - HD_SEAL_TAG_BYTES;
	uint32_t first = number * HD_POINTS_PAGE, count = HD_MIN(s->head.points - first, HD_POINTS_PAGE);
	HD_CLEANUP(hd_cleanup_free) uint8_t *memory = malloc(page->bytes);
	if (!memory)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for points");
	int rc = hd_fs_pread(s->fd, memory, page->bytes, (off_t)page->offset, &len, err);
	if (rc != HYDRO_OK)
		return rc;
	nonce_of(s->head.id, number, nonce);
	if (len < page->bytes || !hd_unseal(&s->key, nonce, NULL, 0, memory, page->bytes, memory) || !hd_snapshot_page_check(memory, opened, count))
		return hd_error_set(err, HYDRO_E_CORRUPT, "page %u of the snapshot of points does not check", number);
	rc = hd_points_load_page(s->points, first, count, memory, (const uint32_t *)(const void *)memory);
	if (rc != HYDRO_OK)
		return hd_error_set(err, rc, "no memory for points");
	memory = NULL;
	return HYDRO_OK;
}

struct loader {
	struct hd_snapshot *snapshot;
	pthread_t thread;
	bool started;
	int rc;
	struct hydro_error err;
};

static void *load_pages(void *arg)
{
	struct loader *loader = arg;
	struct hd_snapshot *s = loader->snapshot;
	while (loader->rc == HYDRO_OK && !__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		uint32_t number = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED);
		if (number >= s->head.pages)
			break;
		loader->rc = load_page(s, number, &loader->err);
	}
	if (loader->rc != HYDRO_OK)
		__atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
	return NULL;
}

int hd_snapshot_load(struct hd_snapshot *snapshot, struct hd_points *points, struct hydro_error *err)
{
	struct loader loaders[THREADS_MAX];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int count = (int)HD_MIN(HD_MAX(cores, 1L), (long)THREADS_MAX);
	int rc = hd_points_load_begin(points, snapshot->head.points, err);
	if (rc != HYDRO_OK)
		return rc;
	snapshot->points = points;
	for (int i = 0; i < count; i++) {
		loaders[i] = (struct loader){.snapshot = snapshot, .err = {.struct_size = sizeof loaders[i].err}};
		/* The first of them is this thread; one that cannot be started leaves its work to the others. */
		loaders[i].started = i > 0 && hd_thread_start(&loaders[i].thread, HD_ROLE_ANY, "points-load", load_pages, &loaders[i], NULL) == HYDRO_OK;
	}
	(void)load_pages(&loaders[0]);
	for (int i = 0; i < count; i++) {
		if (loaders[i].started)
			(void)pthread_join(loaders[i].thread, NULL);
		if (loaders[i].rc != HYDRO_OK && rc == HYDRO_OK) {
			rc = loaders[i].rc;
			(void)hd_error_set(err, rc, "%s", loaders[i].err.text);
		}
	}
	if (rc == HYDRO_OK)
		hd_points_load_end(points);
	else
		hd_points_clear(points);
	return rc;
}

/* ---- writing ---- */

static bool add_padding(struct hd_buf *buf)
{
	static const uint8_t zero[_Alignof(struct hd_point)];
	return hd_buf_add(buf, zero, (sizeof zero - buf->len % sizeof zero) % sizeof zero);
}

/* The points of a page as they are now, with room for the tag behind. */
static bool make_page(struct hd_points *points, uint32_t first, uint32_t count, struct hd_buf *buf)
{
	static const uint32_t refs = 0; /* not its own: others count there meanwhile */
	hd_buf_clear(buf);
	uint32_t offsets[HD_POINTS_PAGE + 1];
	if (!hd_buf_add(buf, offsets, (count + (size_t)1) * sizeof *offsets))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		HD_CLEANUP(hd_cleanup_point) const struct hd_point *point = hd_points_get(points, first + i);
		HD_ASSERT(point);
		(void)add_padding(buf);
		offsets[i] = (uint32_t)buf->len;
		(void)hd_buf_add(buf, &refs, sizeof refs);
		(void)hd_buf_add(buf, (const uint8_t *)point + sizeof refs, hd_point_bytes(point) - sizeof refs);
	}
	offsets[count] = (uint32_t)buf->len;
	if (buf->failed || !hd_buf_reserve(buf, HD_SEAL_TAG_BYTES))
		return false;
	memcpy(buf->data, offsets, (count + (size_t)1) * sizeof *offsets);
	return true;
}

struct writer {
	int fd;
	const char *path;
	struct hd_key key;
	struct hd_buf buf, directory;
};

static int write_pages(struct writer *w, struct hd_points *points, const struct hd_snapshot_info *info, struct hydro_error *err)
{
	uint32_t pages = pages_of(info->points);
	struct head head = {.magic = MAGIC, .version = VERSION, .point_bytes = sizeof(struct hd_point), .key_id = w->key.id, .points = info->points,
			    .pages = pages, .change = info->change};
	memcpy(head.id, info->id, sizeof head.id);
	struct page page = {.offset = sizeof head + pages * sizeof page + HD_SEAL_TAG_BYTES};
	uint8_t nonce[HD_SEAL_NONCE_BYTES];
	(void)hd_buf_add(&w->directory, &head, sizeof head);
	int rc = HYDRO_OK;
	for (uint32_t i = 0; i < pages && rc == HYDRO_OK; i++) {
		uint32_t first = i * HD_POINTS_PAGE;
		if (!make_page(points, first, HD_MIN(info->points - first, HD_POINTS_PAGE), &w->buf))
			return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a snapshot of the points");
		nonce_of(info->id, i, nonce);
		page.bytes = w->buf.len + HD_SEAL_TAG_BYTES;
		hd_seal(&w->key, nonce, NULL, 0, w->buf.data, w->buf.len, (uint8_t *)w->buf.data);
		rc = hd_fs_pwrite(w->fd, w->buf.data, page.bytes, (off_t)page.offset, err);
		(void)hd_buf_add(&w->directory, &page, sizeof page);
		page.offset += page.bytes;
	}
	if (rc != HYDRO_OK)
		return rc;
	if (!hd_buf_reserve(&w->directory, HD_SEAL_TAG_BYTES) || w->directory.failed)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a snapshot of the points");
	nonce_of(info->id, HEAD_PAGE, nonce);
	hd_seal(&w->key, nonce, w->directory.data, w->directory.len, NULL, 0, (uint8_t *)w->directory.data + w->directory.len);
	rc = hd_fs_pwrite(w->fd, w->directory.data, w->directory.len + HD_SEAL_TAG_BYTES, 0, err);
	return rc == HYDRO_OK && fsync(w->fd) != 0 ? hd_error_errno(err, HYDRO_E_IO, errno, "cannot sync %s", w->path) : rc;
}

int hd_snapshot_write(const char *path, const struct hd_key *key, struct hd_points *points, struct hd_snapshot_info *info, struct hydro_error *err)
{
	struct writer w = {.path = path, .fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
	if (w.fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot create %s", path);
	hd_key_derive(key, "points__", &w.key);
	hd_random_bytes(info->id, sizeof info->id);
	int rc = write_pages(&w, points, info, err);
	hd_cleanup_fd(&w.fd);
	hd_key_wipe(&w.key);
	hd_buf_done(&w.buf);
	hd_buf_done(&w.directory);
	if (rc != HYDRO_OK)
		(void)unlink(path);
	return rc;
}
