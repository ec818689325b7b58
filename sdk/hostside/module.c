/* SPDX-License-Identifier: MIT */
#include "hostside/module.h"

#include <dlfcn.h>
#include <string.h>

int hd_module_open(const char *path, struct hd_module *ret, struct hydro_error *err)
{
	struct hd_module module = {0};
	module.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!module.handle) {
		const char *text = dlerror();
		return hd_error_set(err, HYDRO_E_ABI, "the loader refuses it: %s", text ? text : "no reason given");
	}
	void *symbol = dlsym(module.handle, "hydro_plugin_entry");
	if (!symbol) {
		(void)dlclose(module.handle);
		return hd_error_set(err, HYDRO_E_ABI, "exports no hydro_plugin_entry, which is what this host calls");
	}
	memcpy(&module.entry, &symbol, sizeof symbol);
	int rc = hd_descriptor_read(module.entry, &module.descriptor, err);
	if (rc != HYDRO_OK) {
		(void)dlclose(module.handle);
		return rc;
	}
	*ret = module;
	return HYDRO_OK;
}

void hd_module_close(struct hd_module *module)
{
	hd_descriptor_free(&module->descriptor);
	if (module->handle)
		(void)dlclose(module->handle);
	*module = (struct hd_module){0};
}
