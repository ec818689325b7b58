/* SPDX-License-Identifier: MIT */
#include "journal/internal.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX_MAGIC UINT64_C(0x5844494a4f524459) /* "YDROJIDX" */
enum { I_MAGIC = 0, I_VERSION = 8, I_BODY_CRC = 12, I_ID = 16, I_EPOCH = 24, I_FIRST = 32, I_END = 40, I_RECORDS = 48, I_POINTS = 52,
       I_BATCHES = 56, I_SPAN = 60, I_MIN = 64, I_MAX = 72, I_CRC = 80, I_BYTES = 88 };

static int slot_compare(const void *a, const void *b)
{
	uint32_t pa = ((const struct live_slot *)a)->point, pb = ((const struct live_slot *)b)->point;
	return (pa > pb) - (pa < pb);
}

/* The points that occur, sorted; `ret` has room for all. */
static void points_sorted(const struct live_index *live, struct live_slot *ret)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i <= live->slot_mask; i++)
		if (live->slots[i].last)
			ret[n++] = live->slots[i];
	HD_ASSERT(n == live->point_count);
	qsort(ret, n, sizeof *ret, slot_compare);
}

static void body_fill(const struct live_index *live, const struct live_slot *points, uint8_t *body)
{
	uint8_t *p = body;
	if (live->batch_count)
		memcpy(p, live->batches, live->batch_count * sizeof *live->batches);
	p += live->batch_count * sizeof *live->batches;
	uint8_t *entries = p + ((size_t)live->point_count + 1) * 8;
	uint32_t at = 0;
	for (uint32_t i = 0; i < live->point_count; i++) {
		hd_put_u32(p, points[i].point);
		hd_put_u32(p + 4, at);
		p += 8;
		uint32_t count = 0;
		for (uint32_t n = points[i].last; n; n = live->previous[n - 1])
			count++;
		at += count;
		uint32_t to = at;
		for (uint32_t n = points[i].last; n; n = live->previous[n - 1])
			hd_put_u32(entries + (size_t)--to * 4, live->sparse ? live->ordinals[n - 1] : n - 1);
	}
	hd_put_u32(p, UINT32_MAX);
	hd_put_u32(p + 4, at);
}

int index_write(struct hd_journal *journal, const struct segment *segment, uint64_t *ret_bytes, struct hydro_error *err)
{
	const struct live_index *live = segment->live;
	size_t body_bytes = live->batch_count * sizeof *live->batches + ((size_t)live->point_count + 1) * 8 + (size_t)live->record_count * 4;
	HD_CLEANUP(hd_cleanup_free) uint8_t *bytes = malloc(I_BYTES + body_bytes);
	HD_CLEANUP(hd_cleanup_free) struct live_slot *points = malloc(((size_t)live->point_count + 1) * sizeof *points);
	HD_CLEANUP(hd_cleanup_free) char *path = segment_path(journal, segment->header.id, ".idx");
	if (!bytes || !points || !path)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the index of a segment");
	points_sorted(live, points);
	body_fill(live, points, bytes + I_BYTES);
	memset(bytes, 0, I_BYTES);
	hd_put_u64(bytes + I_MAGIC, INDEX_MAGIC);
	hd_put_u32(bytes + I_VERSION, JOURNAL_VERSION);
	hd_put_u32(bytes + I_BODY_CRC, hd_crc32c(0, bytes + I_BYTES, body_bytes));
	hd_put_u64(bytes + I_ID, segment->header.id);
	hd_put_u64(bytes + I_EPOCH, segment->header.epoch);
	hd_put_u64(bytes + I_FIRST, segment->header.first_lsn);
	hd_put_u64(bytes + I_END, segment->end);
	hd_put_u32(bytes + I_RECORDS, live->record_count);
	hd_put_u32(bytes + I_POINTS, live->point_count);
	hd_put_u32(bytes + I_BATCHES, live->batch_count);
	hd_put_u32(bytes + I_SPAN, (uint32_t)(segment->last_lsn + 1 - segment->header.first_lsn));
	hd_put_u64(bytes + I_MIN, (uint64_t)live->min_ts);
	hd_put_u64(bytes + I_MAX, (uint64_t)live->max_ts);
	hd_put_u32(bytes + I_CRC, hd_crc32c(0, bytes, I_CRC));
	*ret_bytes = I_BYTES + body_bytes;
	return hd_fs_write_atomic(path, bytes, I_BYTES + body_bytes, 0600, err);
}

static bool header_take(const uint8_t *map, size_t len, const struct segment_header *header, struct index_file *ret)
{
	if (len < I_BYTES || hd_get_u64(map + I_MAGIC) != INDEX_MAGIC || hd_get_u32(map + I_CRC) != hd_crc32c(0, map, I_CRC) ||
	    hd_get_u32(map + I_VERSION) != JOURNAL_VERSION || hd_get_u64(map + I_ID) != header->id ||
	    hd_get_u64(map + I_EPOCH) != header->epoch || hd_get_u64(map + I_FIRST) != header->first_lsn)
		return false;
	*ret = (struct index_file){.map = map, .map_bytes = len, .end = hd_get_u64(map + I_END), .span = hd_get_u32(map + I_SPAN),
				   .record_count = hd_get_u32(map + I_RECORDS), .point_count = hd_get_u32(map + I_POINTS),
				   .batch_count = hd_get_u32(map + I_BATCHES), .min_ts = (int64_t)hd_get_u64(map + I_MIN),
				   .max_ts = (int64_t)hd_get_u64(map + I_MAX)};
	const uint8_t *batches = map + I_BYTES, *points = batches + (size_t)ret->batch_count * sizeof(struct batch_entry);
	const uint8_t *ordinals = points + ((size_t)ret->point_count + 1) * 8;
	ret->batches = (const struct batch_entry *)(const void *)batches;
	ret->points = (const uint32_t *)(const void *)points;
	ret->ordinals = (const uint32_t *)(const void *)ordinals;
	return I_BYTES + (size_t)ret->batch_count * sizeof(struct batch_entry) + ((size_t)ret->point_count + 1) * 8 +
		       (size_t)ret->record_count * 4 == len;
}

int index_open(const char *path, const struct segment_header *header, struct index_file *ret, struct hydro_error *err)
{
	struct stat st;
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return hd_error_errno(err, errno == ENOENT ? HYDRO_E_NOTFOUND : HYDRO_E_IO, errno, "cannot open %s", path);
	void *map = st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (map == MAP_FAILED || !header_take(map, (size_t)st.st_size, header, ret)) {
		if (map != MAP_FAILED)
			(void)munmap(map, (size_t)st.st_size);
		*ret = (struct index_file){0};
		return hd_error_set(err, HYDRO_E_CORRUPT, "%s is not the index of its segment", path);
	}
	return HYDRO_OK;
}

void index_close(struct index_file *index)
{
	if (index->map) {
		uint8_t *map;
		memcpy(&map, &index->map, sizeof map);
		(void)munmap(map, index->map_bytes);
	}
	index->map = NULL;
}

bool index_check(struct index_file *index)
{
	uint32_t checked = atomic_load_explicit(&index->checked, memory_order_relaxed);
	if (!checked) {
		bool good = hd_crc32c(0, index->map + I_BYTES, index->map_bytes - I_BYTES) == hd_get_u32(index->map + I_BODY_CRC);
		checked = good ? INDEX_GOOD : INDEX_BAD;
		atomic_store_explicit(&index->checked, checked, memory_order_relaxed);
		index_forget(index);
	}
	return checked == INDEX_GOOD;
}

void index_forget(const struct index_file *index)
{
	uint8_t *map;
	memcpy(&map, &index->map, sizeof map);
	if (map)
		(void)madvise(map, index->map_bytes, MADV_DONTNEED);
}

/* Index of the first of the points >= point; point_count when there is none. */
static uint32_t point_place(const struct index_file *index, uint32_t point)
{
	uint32_t low = 0, high = index->point_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (index->points[(size_t)middle * 2] < point)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t index_from(const struct index_file *index, uint32_t point)
{
	uint32_t entry = index->points[(size_t)point_place(index, point) * 2 + 1];
	return HD_MIN(entry, index->record_count);
}

uint32_t index_find(const struct index_file *index, uint32_t point, const uint32_t **ret)
{
	uint32_t low = point_place(index, point);
	if (low == index->point_count || index->points[(size_t)low * 2] != point)
		return 0;
	uint32_t from = index->points[(size_t)low * 2 + 1], to = index->points[(size_t)low * 2 + 3];
	*ret = index->ordinals + from;
	return to > from && to <= index->record_count ? to - from : 0;
}
