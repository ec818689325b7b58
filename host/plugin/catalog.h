/* SPDX-License-Identifier: MIT */
/* Inside of the plugin host: what plugin.c and instance.c share. */
#ifndef HD_PLUGIN_CATALOG_H
#define HD_PLUGIN_CATALOG_H

#include "plugin/crashes.h"
#include "plugin/image.h"
#include "plugin/plugin.h"

#include <pthread.h>

/* A file of a plugin folder. */
struct plugin_file {
	char path[512];
	struct hd_image *image; /* what new instances are made from; NULL = refused */
	char refusal[HYDRO_ERROR_TEXT_BYTES];
	struct hd_plugin_info refused; /* what is known of a file without an image */
};

struct hd_plugins {
	struct hd_plugins_config cfg; /* dirs, runner_path owned */
	char **dirs;
	char *runner_path, *crumb_path;
	struct hd_crashes *crashes;
	pthread_mutex_t lock; /* guards: files, images; changed by control alone, which reads without */
	struct plugin_file *files;
	size_t file_count;
	struct hd_image *images;
	struct hd_instance *instances[HD_PLUGIN_INSTANCES_MAX];
	size_t instance_count;
	pthread_t watch;
	bool watching, closing; /* closing: under watch_lock */
	pthread_mutex_t watch_lock;
	pthread_cond_t watch_wake;
};

/* The image behind a plugin's name, or HYDRO_E_NOTFOUND with why. [control] */
int hd_catalog_image(struct hd_plugins *plugins, const char *name, struct hd_image **ret, struct hydro_error *err);
/* Lets go of images that nothing needs any more. [control] */
void hd_catalog_prune(struct hd_plugins *plugins);

#endif
