/* SPDX-License-Identifier: MIT */
/* What a sink that files says of its regulator, checked and copied in this build's sizes. All functions [any]. */
#ifndef HD_HOSTSIDE_FILING_INFO_H
#define HD_HOSTSIDE_FILING_INFO_H

#include "hostside/descriptor.h"

struct hd_filing_info {
	hydro_filing_info info; /* its rows are the two below */
	hydro_filing_standard *standards;
	hydro_filing_kind *kinds;
	int64_t valid_from_ms; /* first instant of valid_from by the regulator's clock */
};

/*
 * HYDRO_E_CONFIG with what does not hold: a table or a row too short, no kinds, an unknown frequency, a date that is none, a name
 * twice. Texts stay the plugin's. HYDRO_E_NOMEM. Freed by hd_filing_info_done.
 */
int hd_filing_info_read(const hydro_filing_info *raw, struct hd_filing_info *ret, struct hydro_error *err);
void hd_filing_info_done(struct hd_filing_info *info);

#endif
