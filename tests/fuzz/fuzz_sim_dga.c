/* SPDX-License-Identifier: MIT */
/* The simulated regulator's POST bodies: refused with a sentence, or in the form that a GET can show again. */
#include "dga_form.h"
#include "filing_row.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (uint32_t form = 0; form < SIM_DGA_FORMS; form++) {
		struct sim_filing filing = {0};
		struct hd_buf out = {0};
		char why[96] = "";
		bool good = sim_dga_read_body((const char *)data, size, form, &filing, why, sizeof why);
		if (good == (why[0] != '\0'))
			abort();
		if (good) {
			sim_dga_print(&filing, form, &out);
			if (out.failed || !sim_dga_is_rut(filing.user) || strlen(filing.date) != 10)
				abort();
			struct sim_row row = {0};
			(void)sim_row_pack(&filing, 0, &row);
		}
		hd_buf_done(&out);
	}
	if (size < 64) { /* as a receipt */
		char text[64] = "";
		memcpy(text, data, size);
		(void)sim_receipt_slot("OB-0901-1", text);
	}
	return 0;
}
