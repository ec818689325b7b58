/* SPDX-License-Identifier: MIT */
/* Bodies: small ones in memory, large ones in a file without name, so that a slow upload costs neither memory nor a worker. */
#include "base/fs.h"
#include "http/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static bool fail_io(struct hd_exchange *x, const char *what)
{
	hd_error_errno(&x->err, errno == ENOSPC ? HYDRO_E_FULL : HYDRO_E_IO, errno, "cannot %s the body", what);
	hd_exchange_fail(x, 0);
	return false;
}

static int open_nameless(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	char path[512];
	if (snprintf(path, sizeof path, "%s/hydrod-body-XXXXXX", dir) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	return fd;
}

static bool spill(struct hd_exchange *x)
{
	if (x->spool_fd < 0 && (x->spool_fd = open_nameless(x->http->spool_dir)) < 0)
		return fail_io(x, "make a file for");
	if (hd_fs_pwrite(x->spool_fd, x->body.data, x->body.len, (off_t)x->spooled, &x->err) != HYDRO_OK) {
		hd_exchange_fail(x, 0);
		return false;
	}
	x->spooled += x->body.len;
	hd_buf_clear(&x->body);
	return true;
}

bool hd_body_take(struct hd_exchange *x, const char *data, size_t len)
{
	if (x->spooled + x->body.len + len > x->req.route->body_max) {
		hd_error_set(&x->err, HYDRO_E_LIMIT, "the body is larger than %u bytes", x->req.route->body_max);
		hd_exchange_fail(x, 413);
		return false;
	}
	if (!hd_buf_add(&x->body, data, len)) {
		hd_error_set(&x->err, HYDRO_E_NOMEM, "no memory for the body");
		hd_exchange_fail(x, 0);
		return false;
	}
	return x->body.len < HD_HTTP_BODY_MEMORY_BYTES || spill(x);
}

bool hd_body_finish(struct hd_exchange *x)
{
	x->req.body = x->body.data;
	x->req.body_len = x->body.len;
	if (x->spooled > 0) {
		if (!spill(x))
			return false;
		void *map = mmap(NULL, x->spooled, PROT_READ, MAP_PRIVATE, x->spool_fd, 0);
		if (map == MAP_FAILED)
			return fail_io(x, "map");
		x->map = map;
		x->req.body = map;
		x->req.body_len = x->spooled;
	}
	if (x->req.body_len == 0 && x->req.route->body_max > 0 && !(x->req.route->flags & HD_ROUTE_BODY_OPTIONAL)) {
		hd_error_set(&x->err, HYDRO_E_INVALID, "this needs a body of type %s", x->req.route->body_type ? x->req.route->body_type : "application/json");
		hd_exchange_fail(x, 0);
		return false;
	}
	return true;
}

void hd_body_done(struct hd_exchange *x)
{
	if (x->map)
		(void)munmap(x->map, x->spooled);
	x->map = NULL;
	hd_cleanup_fd(&x->spool_fd);
	hd_buf_done(&x->body);
}
