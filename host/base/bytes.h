/* SPDX-License-Identifier: MIT */
/* Little-endian and variable-length integers in byte buffers. */
#ifndef HD_BASE_BYTES_H
#define HD_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HD_VARINT_MAX 10u

static inline void hd_put_u16(uint8_t *p, uint16_t v) { memcpy(p, &v, sizeof v); }
static inline void hd_put_u32(uint8_t *p, uint32_t v) { memcpy(p, &v, sizeof v); }
static inline void hd_put_u64(uint8_t *p, uint64_t v) { memcpy(p, &v, sizeof v); }
static inline void hd_put_f64(uint8_t *p, double v) { memcpy(p, &v, sizeof v); }
static inline uint16_t hd_get_u16(const uint8_t *p) { uint16_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint32_t hd_get_u32(const uint8_t *p) { uint32_t v; memcpy(&v, p, sizeof v); return v; }
static inline uint64_t hd_get_u64(const uint8_t *p) { uint64_t v; memcpy(&v, p, sizeof v); return v; }
static inline double hd_get_f64(const uint8_t *p) { double v; memcpy(&v, p, sizeof v); return v; }

static inline uint64_t hd_zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
static inline int64_t hd_unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

/* Writes v in 1..HD_VARINT_MAX bytes; returns the next position. */
static inline uint8_t *hd_put_varint(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

/* Reads a varint from [p, end); returns the next position, or NULL when it is cut or longer than 64 bits. */
static inline const uint8_t *hd_get_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
		uint8_t b = *p++;
		if (shift == 63 && b > 1)
			return NULL;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*ret = v;
			return p;
		}
	}
	return NULL;
}

#endif
