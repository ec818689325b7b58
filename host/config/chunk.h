/* SPDX-License-Identifier: MIT */
/* Runs a configuration chunk in a sandbox of its own and gives its table as JSON. */
#ifndef HD_CONFIG_CHUNK_H
#define HD_CONFIG_CHUNK_H

#include "base/error.h"

#include <cjson/cJSON.h>

#define HD_CHUNK_MEMORY_BYTES (32u << 20)
#define HD_CHUNK_INSTRUCTIONS 20000000
#define HD_CHUNK_DEPTH_MAX 16
#define HD_CHUNK_SECRET_BYTES_MAX 4096u

/* Owned JSON object of the table that `text` returns. Errors name file and line. [control] */
int hd_chunk_run(const char *name, const char *text, size_t len, cJSON **ret, struct hydro_error *err);

#endif
