/* SPDX-License-Identifier: MIT */
/* What a crash or a bad disk leaves: files are taken as they were while the journal ran, altered, and opened again. */
#include "kit.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POINTS 3u
#define FIRST_BATCH 4096u
#define BATCH_RECORDS 2u
#define BATCHES 5u

/* One segment's bytes as a crash would leave them: BATCHES batches, each synced alone. */
struct image {
	char name[32];
	struct hd_buf bytes;
	size_t starts[BATCHES + 1]; /* of the batches, and the end */
};

static void image_take(struct image *image, const struct hd_key *key)
{
	struct kit kit;
	kit_init(&kit);
	kit.config.seal = key;
	memset(image, 0, sizeof *image);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	for (uint32_t i = 0; i < BATCHES; i++)
		kit_append_synced(&kit, 1 + i * BATCH_RECORDS, BATCH_RECORDS, POINTS);
	char *path = kit_file(&kit, ".seg", 0);
	cr_assert_eq(hd_fs_read(path, 1u << 20, &image->bytes, &kit.err), HYDRO_OK);
	(void)snprintf(image->name, sizeof image->name, "%s", strrchr(path, '/') + 1);
	free(path);
	size_t at = FIRST_BATCH;
	for (uint32_t i = 0; i < BATCHES; i++) {
		image->starts[i] = at;
		at += (64u + hd_get_u32((uint8_t *)image->bytes.data + at + 48) + 7u) & ~7u;
	}
	image->starts[BATCHES] = at;
	kit_done(&kit);
}

/* A folder with the image's first `len` bytes as its only file. */
static void image_put(struct kit *kit, const struct image *image, size_t len, const struct hd_key *key)
{
	kit_init(kit);
	kit->config.seal = key;
	char *path = hd_fs_join(kit->dir, image->name);
	cr_assert_eq(hd_fs_write_atomic(path, image->bytes.data, len, 0600, &kit->err), HYDRO_OK);
	free(path);
}

static size_t used_bytes(const struct image *image, uint32_t batch)
{
	return 64u + hd_get_u32((uint8_t *)image->bytes.data + image->starts[batch] + 48);
}

static struct hd_key some_key(uint8_t seed)
{
	struct hd_key key = {.id = 1000u + seed};
	memset(key.bytes, seed, sizeof key.bytes);
	return key;
}

/* The tail is gone, the rest there, and the journal goes on, also over one more restart. */
static void check_cut(struct kit *kit, uint64_t last)
{
	cr_assert_eq(kit_open(kit), HYDRO_OK, "%s", kit->err.text);
	kit_check_all(kit, 1, last, POINTS);
	cr_assert_not(kit_has_event(kit, "journal_corrupt"));
	kit_append_synced(kit, last + 1, 3, POINTS);
	kit_close(kit);
	cr_assert_eq(kit_open(kit), HYDRO_OK, "%s", kit->err.text);
	kit_check_all(kit, 1, last + 3, POINTS);
	kit_done(kit);
}

Test(recover, a_tail_torn_at_any_byte_is_cut_and_nothing_before_it_is_lost)
{
	struct image image;
	image_take(&image, NULL);
	size_t from = image.starts[BATCHES - 1], used = used_bytes(&image, BATCHES - 1);
	for (size_t cut = 0; cut < used; cut++) {
		struct kit kit;
		struct image torn = image;
		image_put(&kit, &image, from + cut, NULL); /* the file ends there */
		check_cut(&kit, (BATCHES - 1) * BATCH_RECORDS);
		torn.bytes = (struct hd_buf){0}; /* the file was preallocated: zeros from there */
		cr_assert(hd_buf_add(&torn.bytes, image.bytes.data, image.bytes.len));
		memset(torn.bytes.data + from + cut, 0, torn.bytes.len - from - cut);
		if (memcmp(torn.bytes.data, image.bytes.data, image.bytes.len) != 0) {
			image_put(&kit, &torn, torn.bytes.len, NULL);
			check_cut(&kit, (BATCHES - 1) * BATCH_RECORDS);
		}
		hd_buf_done(&torn.bytes);
	}
	hd_buf_done(&image.bytes);
}

Test(recover, any_byte_flipped_in_the_last_batch_cuts_it_and_in_a_synced_one_sets_it_aside)
{
	struct image image;
	image_take(&image, NULL);
	for (uint32_t batch = 1; batch < BATCHES; batch += BATCHES - 2) {
		size_t used = used_bytes(&image, batch);
		for (size_t i = 0; i < used; i += batch == 1 ? 3 : 1) {
			struct kit kit;
			image.bytes.data[image.starts[batch] + i] ^= 0x10;
			image_put(&kit, &image, image.bytes.len, NULL);
			image.bytes.data[image.starts[batch] + i] ^= 0x10;
			if (batch == BATCHES - 1) {
				check_cut(&kit, (BATCHES - 1) * BATCH_RECORDS);
				continue;
			}
			cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
			cr_assert(kit_has_event(&kit, "journal_corrupt"), "byte %zu", i);
			cr_assert(kit_has_event(&kit, "journal_gap: records 3-4 are lost"), "byte %zu", i);
			char *aside = hd_fs_join(kit.dir, "set-aside");
			cr_assert_eq(access(aside, F_OK), 0);
			free(aside);
			struct hd_journal_reader *reader = NULL;
			struct hd_sample sample;
			uint64_t lsn, seen = 0;
			cr_assert_eq(hd_journal_reader_open(kit.journal, "r", 0, 0, &reader, &kit.err), HYDRO_OK);
			for (; hd_journal_reader_next(reader, &sample, &lsn, &kit.err) == HYDRO_OK; seen++) {
				cr_assert(lsn != 3 && lsn != 4);
				kit_check(&sample, lsn, POINTS);
			}
			cr_assert_eq(seen, (BATCHES - 1) * BATCH_RECORDS);
			hd_journal_reader_close(&reader);
			kit_done(&kit);
		}
	}
	hd_buf_done(&image.bytes);
}

/* What another life of the file left behind its last batch has good checksums and LSNs that go on; the epoch tells. */
Test(recover, batches_of_another_epoch_are_never_taken_even_if_their_numbers_fit)
{
	struct image image, other;
	struct kit kit;
	image_take(&image, NULL);
	image_take(&other, NULL);
	cr_assert_eq(image.starts[BATCHES], other.starts[BATCHES]);
	memcpy(image.bytes.data + image.starts[3], other.bytes.data + other.starts[3], image.starts[BATCHES] - image.starts[3]);
	image_put(&kit, &image, image.bytes.len, NULL);
	check_cut(&kit, 3 * BATCH_RECORDS);
	hd_buf_done(&image.bytes);
	hd_buf_done(&other.bytes);
}

/* Everything in the folder, names and bytes. */
static uint32_t fingerprint(struct kit *kit)
{
	uint32_t crc = 0;
	char *path;
	for (unsigned n = 0; (path = kit_file(kit, "", n)); n++) {
		struct hd_buf bytes = {0};
		if (hd_fs_read(path, 1u << 20, &bytes, NULL) == HYDRO_OK)
			crc = hd_crc32c(crc, bytes.data, bytes.len);
		crc = hd_crc32c(crc, path, strlen(path));
		hd_buf_done(&bytes);
		free(path);
	}
	return crc;
}

static void check_refused(struct kit *kit, int code)
{
	uint32_t before = fingerprint(kit);
	cr_assert_eq(kit_open(kit), code, "%d %s", kit->err.code, kit->err.text);
	cr_assert_eq(fingerprint(kit), before, "nothing was changed");
	kit_done(kit);
}

Test(recover, a_wrong_or_missing_key_is_refused_and_nothing_is_changed)
{
	struct hd_key key = some_key(1), other = some_key(2), liar = some_key(2);
	struct image image;
	struct kit kit;
	liar.id = key.id;
	image_take(&image, &key);
	image_put(&kit, &image, image.bytes.len, &other);
	check_refused(&kit, HYDRO_E_KEY);
	image_put(&kit, &image, image.bytes.len, &liar);
	check_refused(&kit, HYDRO_E_KEY);
	image_put(&kit, &image, image.bytes.len, NULL);
	check_refused(&kit, HYDRO_E_KEY);
	image_put(&kit, &image, image.bytes.len, &key);
	check_cut(&kit, BATCHES * BATCH_RECORDS);
	/* a batch whose CRCs are good and whose tag is not: also the last one is not cut */
	uint8_t *batch = (uint8_t *)image.bytes.data + image.starts[BATCHES - 1];
	batch[64] ^= 1;
	hd_put_u32(batch + 56, hd_crc32c(0, batch + 64, hd_get_u32(batch + 48)));
	hd_put_u32(batch + 60, hd_crc32c(0, batch, 60));
	image_put(&kit, &image, image.bytes.len, &key);
	check_refused(&kit, HYDRO_E_KEY);
	hd_buf_done(&image.bytes);
}

Test(recover, a_segment_of_a_newer_format_is_refused_and_nothing_is_changed)
{
	struct image image;
	struct kit kit;
	image_take(&image, NULL);
	uint8_t *header = (uint8_t *)image.bytes.data;
	hd_put_u32(header + 8, 2);
	hd_put_u32(header + 56, hd_crc32c(0, header, 56));
	image_put(&kit, &image, image.bytes.len, NULL);
	check_refused(&kit, HYDRO_E_UNSUPPORTED);
	hd_buf_done(&image.bytes);
}

Test(recover, a_segment_without_a_good_header_is_moved_aside_and_its_numbers_are_not_given_again)
{
	struct image image;
	struct kit kit;
	struct hd_journal_status status;
	image_take(&image, NULL);
	image.bytes.data[20] ^= 1;
	image_put(&kit, &image, image.bytes.len, NULL);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	cr_assert(kit_has_event(&kit, "journal_corrupt"));
	hd_journal_status(kit.journal, &status);
	cr_assert_gt(status.next_lsn, BATCHES * BATCH_RECORDS);
	kit_done(&kit);
	hd_buf_done(&image.bytes);
}

/* Flips a byte of the file's batch that begins at `offset`. */
static void flip_in_file(const char *path, size_t at)
{
	struct hd_buf bytes = {0};
	cr_assert_eq(hd_fs_read(path, 1u << 20, &bytes, NULL), HYDRO_OK);
	cr_assert_lt(at, bytes.len);
	bytes.data[at] ^= 4;
	cr_assert_eq(hd_fs_write_atomic(path, bytes.data, bytes.len, 0600, NULL), HYDRO_OK);
	hd_buf_done(&bytes);
}

static int count_row(void *arg, const struct hd_sample *sample, uint64_t lsn)
{
	kit_check(sample, lsn, POINTS);
	++*(uint32_t *)arg;
	return HYDRO_OK;
}

Test(recover, damage_in_a_sealed_segment_is_met_by_readers_queries_and_scans_which_go_on_after_it)
{
	struct kit kit;
	struct hd_journal_reader *reader = NULL;
	struct hd_journal_sealed sealed;
	struct hd_sample sample;
	uint64_t lsn, seen = 0;
	uint32_t rows = 0, damaged = 0;
	int rc;
	kit_init(&kit);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	for (uint32_t i = 0; i < 10; i++)
		kit_append_synced(&kit, 1 + i * 30, 30, POINTS);
	kit_close(&kit); /* seals */
	char *path = kit_file(&kit, ".seg", 0);
	flip_in_file(path, FIRST_BATCH + 200);
	free(path);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_journal_reader_open(kit.journal, "r", 0, 0, &reader, &kit.err), HYDRO_OK);
	while ((rc = hd_journal_reader_next(reader, &sample, &lsn, &kit.err)) != HYDRO_E_AGAIN) {
		if (rc == HYDRO_OK) {
			kit_check(&sample, lsn, POINTS);
			seen++;
		} else {
			cr_assert_eq(rc, HYDRO_E_CORRUPT);
			damaged++;
		}
	}
	cr_assert_eq(seen, 270);
	cr_assert_eq(damaged, 1);
	cr_assert(kit_has_event(&kit, "journal_corrupt"));
	cr_assert_eq(hd_journal_query(kit.journal, 0, INT64_MIN, INT64_MAX, 0, count_row, &rows, &kit.err), HYDRO_E_CORRUPT);
	cr_assert_eq(rows, 90);
	cr_assert_eq(hd_journal_sealed_list(kit.journal, 0, &sealed, 1), 1);
	rows = 0;
	cr_assert_eq(hd_journal_segment_foreach_by_point(kit.journal, sealed.id, count_row, &rows, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(rows, 270);
	struct hd_journal_status status;
	hd_journal_status(kit.journal, &status);
	cr_assert_eq(status.set_aside, 1, "one place is reported once");
	hd_journal_reader_close(&reader);
	kit_done(&kit);
}

Test(recover, a_lost_or_damaged_index_is_made_again)
{
	struct kit kit;
	kit_init(&kit);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	for (uint32_t i = 0; i < 10; i++)
		kit_append_synced(&kit, 1 + i * 30, 30, POINTS);
	for (int round = 0; round < 3; round++) {
		uint32_t rows = 0;
		kit_close(&kit);
		cr_assert_eq(kit_count(&kit, ".idx"), 1);
		char *path = kit_file(&kit, ".idx", 0);
		if (round == 0)
			cr_assert_eq(unlink(path), 0);
		else
			flip_in_file(path, round == 1 ? 20 : 100);
		free(path);
		cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
		kit_check_all(&kit, 1, 300, POINTS);
		int rc = hd_journal_query(kit.journal, 1, INT64_MIN, INT64_MAX, 0, count_row, &rows, &kit.err);
		if (round == 2) { /* in its body: found at the first use, made again at the next start */
			cr_assert_eq(rc, HYDRO_E_CORRUPT);
			kit_close(&kit);
			cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
			rc = hd_journal_query(kit.journal, 1, INT64_MIN, INT64_MAX, 0, count_row, &rows, &kit.err);
		}
		cr_assert_eq(rc, HYDRO_OK, "%s", kit.err.text);
		cr_assert_eq(rows, 100);
	}
	kit_done(&kit);
}
