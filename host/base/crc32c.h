/* SPDX-License-Identifier: MIT */
#ifndef HD_BASE_CRC32C_H
#define HD_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli, RFC 3720 §12.1) of data, going on from `crc` (0 at the start); by SSE 4.2 where there is. [any] */
uint32_t hd_crc32c(uint32_t crc, const void *data, size_t len);

#endif
