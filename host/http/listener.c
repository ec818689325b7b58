/* SPDX-License-Identifier: MIT */
#include "http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int parse_address(const char *text, uint16_t port, struct sockaddr_storage *ret, socklen_t *ret_len, struct hydro_error *err)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	bool is_v6 = strchr(text, ':') != NULL;
	memset(ret, 0, sizeof *ret);
	if (is_v6 && inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		*ret_len = sizeof *v6;
		return HYDRO_OK;
	}
	if (!is_v6 && inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*ret_len = sizeof *v4;
		return HYDRO_OK;
	}
	return hd_error_set(err, HYDRO_E_CONFIG, "address %.64s is no numeric IPv4 or IPv6 address", text);
}

void hd_listener_init(struct hd_listener *l)
{
	*l = (struct hd_listener){.fd = -1};
}

int hd_listener_bind(struct hd_listener *l, const char *address, uint16_t port, uint16_t *ret_port, struct hydro_error *err)
{
	struct sockaddr_storage at;
	struct stat is;
	socklen_t len = 0;
	const int on = 1;
	int rc = parse_address(address, port, &at, &len, err);
	if (rc != HYDRO_OK)
		return rc;
	l->fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool good = l->fd >= 0 && fstat(l->fd, &is) == 0;
	if (good) {
		l->device = is.st_dev;
		l->inode = is.st_ino;
	}
	good = good && setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
	if (good && at.ss_family == AF_INET6)
		good = setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
	good = good && bind(l->fd, (const struct sockaddr *)&at, len) == 0 && listen(l->fd, SOMAXCONN) == 0;
	good = good && getsockname(l->fd, (struct sockaddr *)&at, &len) == 0;
	if (!good)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot listen on %s port %u", address, port);
	*ret_port = ntohs(at.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&at)->sin6_port : ((const struct sockaddr_in *)&at)->sin_port);
	return HYDRO_OK;
}

void hd_listener_stop(struct hd_listener *l)
{
	if (l->fd >= 0)
		(void)shutdown(l->fd, SHUT_RDWR);
}

void hd_listener_done(struct hd_listener *l)
{
	struct stat is;
	if (l->fd >= 0 && fstat(l->fd, &is) == 0 && is.st_dev == l->device && is.st_ino == l->inode)
		(void)close(l->fd);
	l->fd = -1;
}
