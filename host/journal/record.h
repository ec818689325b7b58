/* SPDX-License-Identifier: MIT */
/*
 * The record codec: samples of one body (a journal batch, a history chunk) in few bytes, bit for bit. What repeats (metric
 * lists with the generation; qualities and flags) is written once per body and referred to by number; values that are
 * decimals of up to six digits behind the point take a mantissa, values equal to a raw value a reference, others 8 bytes.
 * Records can be reached by their ordinal. Layout: README.md.
 */
#ifndef HD_JOURNAL_RECORD_H
#define HD_JOURNAL_RECORD_H

#include "base/buf.h"
#include "base/error.h"
#include "model/sample.h"

/* Upper bound of one record in a body, dictionaries aside. */
#define HD_RECORD_BYTES_MAX (64u + 2u * HD_METRICS_PER_SAMPLE_MAX * 9u)

struct hd_record_writer;
struct hd_record_reader;

/* Both keep their memory from body to body; NULL without memory. One thread at a time. */
struct hd_record_writer *hd_record_writer_new(void);
void hd_record_writer_free(struct hd_record_writer **writer);
/* Starts a body at the end of `out`, which nobody else may touch until _end. [any] */
void hd_record_writer_begin(struct hd_record_writer *writer, struct hd_buf *out);
/* HYDRO_E_INVALID: counts over the limits of sample.h; HYDRO_E_NOMEM. After an error the body is of no use. [any] */
int hd_record_write(struct hd_record_writer *writer, const struct hd_sample *sample);
/* Adds the body's footer. HYDRO_E_NOMEM. [any] */
int hd_record_writer_end(struct hd_record_writer *writer);

struct hd_record_reader *hd_record_reader_new(void);
void hd_record_reader_free(struct hd_record_reader **reader);
/*
 * Opens a body of `count` records; the bytes stay the caller's and must outlive the use. HYDRO_E_CORRUPT: not a body of so
 * many records; HYDRO_E_NOMEM. Any bytes are safe. [any]
 */
int hd_record_reader_begin(struct hd_record_reader *reader, const void *body, size_t len, uint32_t count);
/* The next record, borrowed until the next call; HYDRO_E_NOTFOUND at the end, HYDRO_E_CORRUPT. [any] */
int hd_record_read(struct hd_record_reader *reader, struct hd_sample *ret);
/* The next hd_record_read gives the record of this ordinal. HYDRO_E_NOTFOUND beyond the end, HYDRO_E_CORRUPT. [any] */
int hd_record_seek(struct hd_record_reader *reader, uint32_t ordinal);
/* Where the next record begins in the body; with hd_record_jump back there at no cost. [any] */
uint32_t hd_record_tell(const struct hd_record_reader *reader);
void hd_record_jump(struct hd_record_reader *reader, uint32_t position, uint32_t ordinal);
/* Adds what makes `count` (> 0) records of this body, copied one after another, a body of their own, to be read by
 * hd_record_jump alone. false without memory. [any] */
bool hd_record_copy_footer(const struct hd_record_reader *reader, uint32_t count, struct hd_buf *ret);

#endif
