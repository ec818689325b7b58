/* SPDX-License-Identifier: MIT */
/*
 * An image of state: points of one shard as they were when everything up to an LSN had gone through them. Little-endian.
 * Files hold images packed (state_frame.h); before version 2 a file was one image as it is.
 *
 *   header    magic, version, shard, shapes, points, LSN, bytes, CRC-32C of all that follows
 *   shapes    hash, generation, param_count, state_bytes, step_count; per step: identity, hash of the kind's name, state
 *             offset, bytes
 *   points    fixed part, known raws, latest values, params, state; each padded to 8
 *
 * Read in place; inside the pipeline only.
 */
#ifndef HD_PIPELINE_STATE_FILE_H
#define HD_PIPELINE_STATE_FILE_H

#include "pipeline/inner.h"

#define HD_STATE_MAGIC UINT64_C(0x3145544154534448) /* "HDSTATE1" */
#define HD_STATE_VERSION 1u

struct hd_state_header {
	uint64_t magic;
	uint32_t version, shard;
	uint32_t shapes, points;
	uint64_t lsn;
	uint64_t bytes; /* of the file */
	uint32_t crc;
	uint32_t reserved;
};

struct hd_state_step {
	uint64_t identity, kind;
	uint32_t offset, bytes;
};

struct hd_state_shape {
	uint64_t hash;
	uint32_t generation, params;
	uint32_t state_bytes, steps;
};

struct hd_state_point {
	int64_t newest_ms;
	uint64_t config_version;
	int64_t latest_ms; /* 0 = none */
	uint32_t point;
	uint32_t shape; /* number in the file, from 1; 0 = none */
	uint16_t newest_rev, latest_rev;
	uint8_t known, bits, latest, reserved;
	uint32_t bytes; /* of the whole entry */
	uint32_t reserved2;
};

/* An entry of a file that was read, still to be given to its point's plan. */
struct hd_stored {
	const struct hd_state_point *point;
	const struct hd_state_shape *shape; /* NULL = none */
};

static inline const struct hd_state_step *hd_stored_steps(const struct hd_stored *s) { return (const struct hd_state_step *)(const void *)(s->shape + 1); }
static inline const struct hd_known_raw *hd_stored_known(const struct hd_stored *s) { return (const struct hd_known_raw *)(const void *)(s->point + 1); }
static inline const struct hd_value *hd_stored_latest(const struct hd_stored *s)
{
	return (const struct hd_value *)(const void *)(hd_stored_known(s) + s->point->known);
}
static inline const double *hd_stored_params(const struct hd_stored *s)
{
	return (const double *)(const void *)(hd_stored_latest(s) + s->point->latest);
}
static inline const uint8_t *hd_stored_state(const struct hd_stored *s)
{
	return (const uint8_t *)(hd_stored_params(s) + s->shape->params);
}

/* Writes the shard's points as they are: all, or those that differ from what was written last of them. Points rise. [worker] */
bool hd_state_write(struct hd_pipeline *p, uint32_t shard, const uint32_t *points, uint32_t count, uint64_t lsn, bool all, struct hd_buf *ret);
/*
 * A sum over an entry, to tell whether it is what was written last; never 0. Its shape is told by hash and generation, not by
 * its number in an image. 64 bits: a change that is not seen is out of question.
 */
uint64_t hd_state_sum(const struct hd_state_point *point, uint64_t shape_hash, uint32_t generation);
/* Where the sum of what was written last of the point is kept, 0 = nothing; NULL without memory. [the point's worker] */
uint64_t *hd_keeper_sum(struct hd_pipeline *p, uint32_t point);
/* Checks form, sizes and CRC; HYDRO_E_CORRUPT with what is wrong. */
int hd_state_check(const void *data, size_t len, uint32_t shard, const char *path, struct hydro_error *err);
/* A shape of a checked file, numbered from 1; NULL for 0. */
const struct hd_state_shape *hd_state_shape_at(const void *data, uint32_t number);
/* Calls fn for each entry of a checked file. */
int hd_state_each(const void *data, int (*fn)(void *arg, const struct hd_stored *stored), void *arg);

/* state.c: what the point was read with, if it was not taken over yet. */
bool hd_keeper_stored(struct hd_pipeline *p, uint32_t point, struct hd_stored *ret);

#endif
