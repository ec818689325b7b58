/* SPDX-License-Identifier: MIT */
#ifndef HD_RUNNER_SERVE_FILING_H
#define HD_RUNNER_SERVE_FILING_H

#include "hostside/wire.h"

/* One call HD_WIRE_FILING_*: reads its arguments, calls the plugin, writes the result. Texts of the result are not the scratch's. */
void hd_serve_filing(const hydro_sink_ops *ops, void *instance, uint32_t type, struct hd_wire_reader *in, hydro_scratch *scratch, struct hd_buf *out);

#endif
