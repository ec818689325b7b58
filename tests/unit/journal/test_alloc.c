/* SPDX-License-Identifier: MIT */
/* The n-th allocation of each constructor fails, for n = 1, 2, … until it gets through. */
#include "kit.h"

#include "journal/record.h"
#include "store/seal.h"

#include <stdlib.h>
#include <string.h>

/* By the linker's --wrap; the thread that is armed counts down, others are not touched. */
static _Thread_local long until_failure;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
	return until_failure > 0 && --until_failure == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

#define N_MAX 1000
#define POINTS 5u

/* `call` is tried with the n-th allocation failing; it must give NOMEM and leave nothing, until no failure is left to hit. */
#define FOR_EACH_ALLOCATION(code, call)                                                                        \
	for (long n_ = 1;; n_++) {                                                                             \
		cr_assert_lt(n_, N_MAX);                                                                       \
		until_failure = n_;                                                                            \
		int code = (call);                                                                             \
		bool reached_ = until_failure == 0;                                                            \
		until_failure = 0;                                                                             \
		if (!reached_) {                                                                               \
			cr_assert_eq(code, HYDRO_OK);                                                          \
			cr_assert_gt(n_, 1, "nothing was allocated");                                          \
			break;                                                                                 \
		}                                                                                              \
		cr_assert_eq(code, HYDRO_E_NOMEM, "allocation %d", (int)n_);                                   \
	}

static int count_row(void *arg, const struct hd_sample *sample, uint64_t lsn)
{
	(void)sample;
	(void)lsn;
	++*(uint32_t *)arg;
	return HYDRO_OK;
}

static int query_all(struct kit *kit)
{
	uint32_t rows = 0;
	int rc = hd_journal_query(kit->journal, 2, INT64_MIN, INT64_MAX, 0, count_row, &rows, &kit->err);
	if (rc == HYDRO_OK)
		cr_assert_eq(rows, 400 / POINTS);
	return rc;
}

/* Half of its records are sealed, half have to be recovered. */
Test(alloc, open_reader_query_scan_and_append_survive_each_failing_allocation)
{
	struct kit kit;
	struct hd_journal_reader *reader = NULL;
	struct hd_journal_scan *scan = NULL;
	struct hd_journal_sealed sealed;
	kit_init(&kit);
	cr_assert_eq(kit_open(&kit), HYDRO_OK, "%s", kit.err.text);
	kit_append_synced(&kit, 1, 200, POINTS);
	kit_close(&kit);
	FOR_EACH_ALLOCATION(rc, kit_open(&kit));
	kit_append_synced(&kit, 201, 200, POINTS);
	FOR_EACH_ALLOCATION(rc, hd_journal_reader_open(kit.journal, "r", 0, 0, &reader, &kit.err));
	hd_journal_reader_close(&reader);
	FOR_EACH_ALLOCATION(rc, query_all(&kit));
	cr_assert_eq(hd_journal_roll(kit.journal, KIT_WAIT_MS, &kit.err), HYDRO_OK, "%s", kit.err.text);
	cr_assert_eq(hd_journal_sealed_list(kit.journal, 0, &sealed, 1), 1);
	FOR_EACH_ALLOCATION(rc, hd_journal_scan_open(kit.journal, sealed.id, 0, UINT32_MAX, &scan, &kit.err));
	hd_journal_scan_close(&scan);
	struct hd_batch *batch = kit_batch(401, 100, POINTS);
	FOR_EACH_ALLOCATION(rc, hd_journal_append(kit.journal, batch, &kit.err));
	cr_assert_eq(hd_journal_flush(kit.journal, KIT_WAIT_MS), HYDRO_OK);
	kit_check_all(&kit, 1, 500, POINTS);
	kit_done(&kit);
}

static int write_body(struct hd_record_writer *writer, const struct hd_batch *batch, struct hd_buf *body)
{
	int rc = HYDRO_OK;
	hd_buf_done(body);
	hd_record_writer_begin(writer, body);
	for (uint32_t i = 0; i < batch->count && rc == HYDRO_OK; i++)
		rc = hd_record_write(writer, &batch->samples[i]);
	return rc == HYDRO_OK ? hd_record_writer_end(writer) : rc;
}

Test(alloc, the_record_codec_survives_each_failing_allocation)
{
	struct hd_batch *batch = kit_batch(1, 200, POINTS);
	struct hd_record_writer *writer = hd_record_writer_new();
	struct hd_record_reader *reader = hd_record_reader_new();
	struct hd_buf body = {0};
	FOR_EACH_ALLOCATION(rc, write_body(writer, batch, &body));
	FOR_EACH_ALLOCATION(rc, hd_record_reader_begin(reader, body.data, body.len, 200));
	for (uint64_t n = 1; n <= 200; n++) {
		struct hd_sample sample;
		cr_assert_eq(hd_record_read(reader, &sample), HYDRO_OK);
		kit_check(&sample, n, POINTS);
	}
	hd_record_reader_free(&reader);
	hd_record_writer_free(&writer);
	hd_buf_done(&body);
	hd_batch_free(&batch);
}

static int seal_text(const struct hd_key *key, struct hd_buf *ret)
{
	hd_buf_done(ret);
	return hd_seal_text(key, "t/1", "secret", 6, ret, NULL);
}

static int unseal_text(const struct hd_key *key, const struct hd_buf *sealed, struct hd_buf *ret)
{
	hd_buf_done(ret);
	return hd_unseal_text(key, "t/1", sealed->data, sealed->len, ret, NULL);
}

Test(alloc, sealing_a_text_survives_each_failing_allocation)
{
	struct hd_key key = {.id = 7};
	struct hd_buf sealed = {0}, open = {0};
	FOR_EACH_ALLOCATION(rc, seal_text(&key, &sealed));
	FOR_EACH_ALLOCATION(rc, unseal_text(&key, &sealed, &open));
	cr_assert_str_eq(hd_buf_text(&open), "secret");
	hd_buf_done(&sealed);
	hd_buf_done(&open);
}
