/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "account.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

#define SLOTS 300u

static uint32_t count_of(struct sim_account *account, const char *name)
{
	struct hd_buf out = {0};
	unsigned value = 0;
	char form[64];
	sim_account_print(account, &out);
	(void)snprintf(form, sizeof form, "\"%s\":", name);
	const char *at = strstr(hd_buf_text(&out), form);
	cr_assert(at && sscanf(at + strlen(form), "%u", &value) == 1);
	hd_buf_done(&out);
	return value;
}

Test(account, adds_runs_in_any_order_as_a_bitmap_would)
{
	struct sim_account *account;
	cr_assert_eq(sim_account_new(2, &account, NULL), HYDRO_OK);
	bool there[SLOTS] = {false};
	uint32_t expected = 0, served = 0;
	for (uint64_t i = 0; i < 400; i++) {
		uint32_t first = (uint32_t)(sim_mix(i, 1) % SLOTS), len = (uint32_t)(sim_mix(i, 2) % 5);
		uint32_t last = HD_MIN(first + len, SLOTS - 1);
		for (uint32_t s = first; s <= last; s++) {
			expected += !there[s];
			there[s] = true;
			served++;
		}
		sim_account_serve(account, 1, SIM_LEVEL, first, last);
		cr_assert_eq(count_of(account, "measurements"), expected);
		cr_assert_eq(count_of(account, "values"), expected);
		cr_assert_eq(count_of(account, "repeats"), served - expected);
	}
	sim_account_free(account);
}

Test(account, takes_rows_that_come_newest_first_as_one_run)
{
	struct sim_account *account;
	struct sim_reading rows[5] = {{.slot = 9}, {.slot = 8}, {.slot = 7}, {.slot = 3}, {.slot = 4}};
	struct sim_rows list = {rows, 5};
	cr_assert_eq(sim_account_new(1, &account, NULL), HYDRO_OK);
	sim_account_serve_rows(account, 0, SIM_FLOW, &list);
	cr_assert_eq(count_of(account, "measurements"), 5u);
	sim_account_free(account);
}
