/* SPDX-License-Identifier: MIT */
/* Inside of an adapter. */
#ifndef HD_FILING_ADAPTER_IMPL_H
#define HD_FILING_ADAPTER_IMPL_H

#include "filing/adapter.h"
#include "hostside/filing_info.h"
#include "plugin/plugin.h"

struct hd_adapter {
	const char *name; /* of the instance */
	const struct hd_sink *sink;
	const struct hd_descriptor *descriptor; /* NULL: made of functions alone, works have no options */
	struct hd_filing_info about;
};

/* Around each call into the plugin; functions without a plugin have no crumb. */
static inline void hd_adapter_enter(const struct hd_adapter *adapter)
{
	if (adapter->sink->crumb != HD_CRUMB_NONE)
		hd_crumb_enter(adapter->sink->crumb, NULL);
}

static inline void hd_adapter_leave(const struct hd_adapter *adapter)
{
	if (adapter->sink->crumb != HD_CRUMB_NONE)
		hd_crumb_leave();
}

#endif
