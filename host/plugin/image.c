/* SPDX-License-Identifier: MIT */
#include "plugin/image.h"

#include "base/fs.h"
#include "hostside/elf.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HASH_BYTES 32u

static void fd_path(int fd, char ret[32])
{
	(void)snprintf(ret, 32, "/proc/self/fd/%d", fd);
}

static int copy_sealed(const char *path, const struct hd_buf *file, int *ret, struct hydro_error *err)
{
	const char *slash = strrchr(path, '/');
	HD_CLEANUP(hd_cleanup_fd) int fd = memfd_create(slash ? slash + 1 : path, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot make a private copy of %s", path);
	int rc = hd_fs_pwrite(fd, file->data, file->len, 0, err);
	if (rc != HYDRO_OK)
		return rc;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot seal the private copy of %s", path);
	*ret = fd;
	fd = -1;
	return HYDRO_OK;
}

int hd_image_new(const char *path, struct hd_image **ret, struct hydro_error *err)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf file = {0};
	int rc = hd_fs_read(path, HD_PLUGIN_FILE_BYTES_MAX, &file, err);
	if (rc != HYDRO_OK)
		return rc;
	struct hd_image *image = calloc(1, sizeof *image);
	if (!image)
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for a plugin");
	image->fd = -1;
	unsigned char hash[HASH_BYTES];
	(void)crypto_generichash(hash, sizeof hash, (const unsigned char *)file.data, file.len, NULL, 0);
	(void)sodium_bin2hex(image->info.hash, sizeof image->info.hash, hash, sizeof hash);
	(void)snprintf(image->info.path, sizeof image->info.path, "%s", path);
	rc = copy_sealed(path, &file, &image->fd, err);
	if (rc != HYDRO_OK) {
		hd_image_free(&image);
		return rc;
	}
	*ret = image;
	return HYDRO_OK;
}

int hd_image_map(struct hd_image *image, struct hydro_error *err)
{
	if (image->mapped)
		return HYDRO_OK;
	char path[32];
	fd_path(image->fd, path);
	int rc = hd_module_open(path, &image->module, err);
	if (rc != HYDRO_OK)
		return hd_error_while(err, "mapping plugin %s of %s", image->info.name, image->info.path);
	const hydro_plugin *plugin = &image->module.descriptor->plugin;
	if (strcmp(plugin->name, image->info.name) != 0 || strcmp(plugin->version, image->info.version) != 0 || plugin->kind != image->info.kind) {
		rc = hd_error_set(err, HYDRO_E_ABI, "plugin said it was %s %s when probed and says %.40s %.40s to the daemon", image->info.name,
				  image->info.version, plugin->name, plugin->version);
		hd_module_close(&image->module);
		return rc;
	}
	image->mapped = true;
	return HYDRO_OK;
}

void hd_image_free(struct hd_image **image)
{
	struct hd_image *old = HD_STEAL(*image);
	if (!old)
		return;
	HD_ASSERT(old->instances == 0);
	bool keep = old->mapped && (old->pinned || !(old->module.descriptor->plugin.flags & HYDRO_PLUGIN_UNLOADABLE));
	if (keep) {
		/* The code stays, so the descriptor of the file stays open: a later file of that number would be taken for it. */
		hd_descriptor_free(&old->module.descriptor);
		free(old);
		return;
	}
	if (old->mapped) {
		char path[32];
		fd_path(old->fd, path);
		hd_module_close(&old->module);
		void *still = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
		if (still) {
			(void)dlclose(still);
			old->fd = -1;
		}
	}
	hd_cleanup_fd(&old->fd);
	free(old);
}
