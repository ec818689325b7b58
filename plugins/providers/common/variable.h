/* SPDX-License-Identifier: MIT */
/* Providers that answer one variable a request, with the device's own token: what nettra and novus have in common. */
#ifndef PROVIDER_VARIABLE_H
#define PROVIDER_VARIABLE_H

#include "options.h"

#include <hydro/abi.h>

/* Number of parts: one per entry of `keys`, at least 1. [any] */
uint32_t variable_parts(const hydro_options *point, uint32_t row);
/* The entry of the poll's part, or NULL with HYDRO_E_INVALID written. [any] */
const hydro_map_entry *variable_at(const hydro_poll *poll, uint32_t row, struct hydro_error *err);

#endif
