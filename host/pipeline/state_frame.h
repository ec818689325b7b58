/* SPDX-License-Identifier: MIT */
/*
 * A state file on disk: frames one behind the other, each an image (state_file.h) of the shard's points, packed. The first
 * has all points, later ones those that differ from what the frames before say. A frame that is cut short or does not check
 * is where the file ends. Little-endian.
 *
 *   frame     magic, version, shard, kind, LSN, bytes stored, bytes of the image, CRC-32C of the header and of what is stored
 *   stored    zstd of: the image's header and shapes, the sizes of its entries (2 bytes each), then for each size that occurs
 *             the entries of it as byte planes: what is alike in many points lies together
 */
#ifndef HD_PIPELINE_STATE_FRAME_H
#define HD_PIPELINE_STATE_FRAME_H

#include "pipeline/state_file.h"

#include "base/buf.h"

#define HD_FRAME_MAGIC UINT64_C(0x3245544154534448) /* "HDSTATE2" */
#define HD_FRAME_VERSION 2u
#define HD_FRAME_ALL 0u
#define HD_FRAME_CHANGED 1u
#define HD_FRAME_IMAGE_BYTES_MAX (256u << 20)

struct hd_state_frame {
	uint64_t magic;
	uint32_t version, shard;
	uint32_t kind, crc; /* the CRC itself counts as 0 */
	uint64_t lsn;
	uint64_t stored_bytes, image_bytes;
	uint64_t reserved[2];
};

/* Appends the frame of a checked or just written image. False without memory. [any] */
bool hd_frame_pack(const void *image, size_t len, uint32_t kind, struct hd_buf *ret);
/*
 * The frame at `data`, unpacked behind what ret holds and checked as an image. *ret_bytes: of the frame. HYDRO_E_CORRUPT;
 * HYDRO_E_NOTFOUND: cut short, which is no damage where nothing follows; HYDRO_E_UNSUPPORTED; HYDRO_E_NOMEM. [any]
 */
int hd_frame_unpack(const void *data, size_t len, uint32_t shard, const char *path, struct hd_buf *ret, struct hd_state_frame *ret_frame, size_t *ret_bytes,
		    struct hydro_error *err);

/* A whole file as one image: of each point the newest entry. */
struct hd_frames {
	struct hd_buf image;   /* empty: there is none */
	uint64_t lsn;
	size_t end;            /* of the last good frame; 0: a file of the version before, or none: it cannot be added to */
	uint32_t frames;
	uint64_t changed;      /* entries of the frames behind the first */
	bool cut;              /* something behind `end` is no frame */
};
/* HYDRO_E_CORRUPT: not even the first frame checks; HYDRO_E_UNSUPPORTED, HYDRO_E_NOMEM. [any] */
int hd_frames_read(const void *data, size_t len, uint32_t shard, const char *path, struct hd_frames *ret, struct hydro_error *err);

#endif
