/* SPDX-License-Identifier: MIT */
#include "poll_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 16384
#define REQUEST_MAX 4096
#define EVENTS 512

struct connection {
	size_t len;
	char text[REQUEST_MAX];
};

static struct connection *connections[CONNECTIONS_MAX];

static void answer(int fd, bool login)
{
	char body[512], text[1024];
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	long long ms = (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (login)
		(void)snprintf(body, sizeof body, "{\"token\":\"bench-token\"}");
	else
		(void)snprintf(body, sizeof body,
			       "{\"5001\":[{\"ts\":%lld,\"value\":\"12.5\"}],\"5002\":[{\"ts\":%lld,\"value\":\"7.31\"}],"
			       "\"5003\":[{\"ts\":%lld,\"value\":\"42500\"}]}",
			       ms, ms, ms);
	int n = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
	/* Small answers fit into an empty socket buffer. */
	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		shutdown(fd, SHUT_RDWR);
}

/* Requests here have a body only when they log in, and then it comes with the head or right behind it. */
static void serve(int fd)
{
	struct connection *c = connections[fd];
	ssize_t n = recv(fd, c->text + c->len, REQUEST_MAX - 1 - c->len, 0);
	if (n <= 0) {
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		close(fd);
		c->len = 0;
		return;
	}
	c->len += (size_t)n;
	c->text[c->len] = '\0';
	const char *end = strstr(c->text, "\r\n\r\n");
	if (!end)
		return;
	bool login = strncmp(c->text, "POST", 4) == 0;
	if (login && !strchr(end, '}'))
		return;
	c->len = 0;
	answer(fd, login);
}

static void take(int listener, int epoll)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		if (fd >= CONNECTIONS_MAX || (!connections[fd] && !(connections[fd] = calloc(1, sizeof **connections)))) {
			close(fd);
			continue;
		}
		connections[fd]->len = 0;
		int one = 1;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
		(void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	}
}

static void run(int listener)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
	(void)epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < count; i++) {
			if (events[i].data.fd == listener)
				take(listener, epoll);
			else
				serve(events[i].data.fd);
		}
	}
}

pid_t poll_server_start(uint16_t *ret_port)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) < 0 || listen(listener, 4096) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &len) < 0) {
		perror("poll_server");
		exit(1);
	}
	pid_t pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(listener);
	}
	close(listener);
	*ret_port = ntohs(address.sin_port);
	return pid;
}

void poll_server_stop(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}
