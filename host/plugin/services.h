/* SPDX-License-Identifier: MIT */
/* The table of the host's services that an instance gets. */
#ifndef HD_PLUGIN_SERVICES_H
#define HD_PLUGIN_SERVICES_H

#include "plugin/plugin.h"

struct hd_services;

#define HD_SERVICES_LOG_BURST 20u  /* lines at once */
#define HD_SERVICES_LOG_RATE 5u    /* lines a second after that */
#define HD_SERVICES_LOG_BYTES 1024u /* of one line; more is cut */

/* A table for one instance; NULL without memory. [control] */
struct hd_services *hd_services_new(const struct hd_plugins_config *cfg, const char *instance);
const hydro_host *hd_services_host(struct hd_services *services);
/*
 * After destroy: whoever still calls gets nothing and is logged once. The memory stays for the life of the process, because a
 * thread that a plugin left running may call at any time (some 300 bytes an instance). Sets the pointer to NULL. [control]
 */
void hd_services_retire(struct hd_services **services);
/* No more lines of retired tables: the log they go to is about to end. [control] */
void hd_services_silence(void);
/* What `log` of the table does; for isolated instances too. [any] */
void hd_services_log(struct hd_services *services, uint32_t level, const char *text);
/* Calls into retired tables so far, of all instances. [any] */
uint64_t hd_services_late_calls(void);

#endif
