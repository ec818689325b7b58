/* SPDX-License-Identifier: MIT */
#include "pipeline/inner.h"

int hd_keeper_open(struct hd_pipeline *p, struct hydro_error *err)
{
	(void)p, (void)err;
	return HYDRO_OK;
}

void hd_keeper_close(struct hd_pipeline *p)
{
	(void)p;
}

void hd_worker_checkpoint(struct hd_worker *w, bool all)
{
	(void)w, (void)all;
}
