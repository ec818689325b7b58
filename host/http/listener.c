/* SPDX-License-Identifier: MIT */
#include "http/listener.h"

#include "base/thread.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define FULL_WAIT_MS 50 /* no descriptor or memory for a connection: it waits in the kernel */

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
	*l = (struct hd_listener){.fd = -1, .stop_fd = -1};
}

int hd_listener_bind(struct hd_listener *l, const char *address, uint16_t port, uint16_t *ret_port, struct hydro_error *err)
{
	struct sockaddr_storage at;
	socklen_t len = 0;
	const int on = 1;
	int rc = parse_address(address, port, &at, &len, err);
	if (rc != HYDRO_OK)
		return rc;
	l->stop_fd = eventfd(0, EFD_CLOEXEC);
	l->fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool good = l->stop_fd >= 0 && l->fd >= 0 && setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
	if (good && at.ss_family == AF_INET6)
		good = setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
	good = good && bind(l->fd, (const struct sockaddr *)&at, len) == 0 && listen(l->fd, SOMAXCONN) == 0;
	good = good && getsockname(l->fd, (struct sockaddr *)&at, &len) == 0;
	if (!good)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot listen on %s port %u", address, port);
	*ret_port = ntohs(at.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&at)->sin6_port : ((const struct sockaddr_in *)&at)->sin_port);
	return HYDRO_OK;
}

/* All that wait; false: there is nothing to take another one with. */
static bool accept_all(struct hd_listener *l)
{
	for (;;) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof peer;
		int fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			(void)MHD_add_connection(l->daemon, fd, (const struct sockaddr *)&peer, len); /* closes it if it cannot */
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			return false;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return true;
	}
}

static void *run(void *arg)
{
	struct hd_listener *l = arg;
	bool full = false;
	for (;;) {
		struct pollfd fds[2] = {{.fd = l->stop_fd, .events = POLLIN}, {.fd = full ? -1 : l->fd, .events = POLLIN}};
		if (poll(fds, 2, full ? FULL_WAIT_MS : -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[0].revents)
			return NULL;
		full = !accept_all(l);
	}
}

int hd_listener_start(struct hd_listener *l, struct MHD_Daemon *daemon, struct hydro_error *err)
{
	l->daemon = daemon;
	int rc = hd_thread_start(&l->thread, HD_ROLE_HTTP, "http-accept", run, l, err);
	l->has_thread = rc == HYDRO_OK;
	return rc;
}

void hd_listener_stop(struct hd_listener *l)
{
	const uint64_t one = 1;
	if (l->has_thread) {
		(void)!write(l->stop_fd, &one, sizeof one);
		(void)pthread_join(l->thread, NULL);
		l->has_thread = false;
	}
	hd_cleanup_fd(&l->fd);
	hd_cleanup_fd(&l->stop_fd);
}
