/* SPDX-License-Identifier: MIT */
#include "net/rawserver.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define REQUEST_MAX 65536

struct connection {
	struct rawserver *server;
	pthread_t thread;
	int fd;
};

struct rawserver {
	rawserver_fn fn;
	void *arg;
	int fd;
	pthread_t thread;
	pthread_mutex_t lock; /* guards: stopping, count, connections */
	bool stopping;
	uint32_t count;
	struct connection connections[CONNECTIONS_MAX];
};

void rawserver_write(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

bool rawserver_answer(int fd, int status, const char *head, const char *body)
{
	char text[1024];
	int n = snprintf(text, sizeof text, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n", status, head ? head : "", strlen(body));
	rawserver_write(fd, text, (size_t)n);
	rawserver_write(fd, body, strlen(body));
	return true;
}

bool rawserver_hang(int fd)
{
	char byte;
	while (recv(fd, &byte, 1, 0) > 0)
		;
	return false;
}

/* Length of the whole request once it is there, else 0. */
static size_t request_complete(const char *text, size_t len)
{
	const char *end = strstr(text, "\r\n\r\n");
	if (!end)
		return 0;
	size_t head = (size_t)(end - text) + 4, body = 0;
	const char *length = strcasestr(text, "\r\nContent-Length:");
	if (length && length < end)
		body = strtoul(length + 17, NULL, 10);
	return len >= head + body ? head + body : 0;
}

static void *serve(void *arg)
{
	struct connection *c = arg;
	char *text = calloc(1, REQUEST_MAX);
	size_t len = 0;
	for (bool go_on = text != NULL; go_on;) {
		size_t whole;
		while (!(whole = request_complete(text, len))) {
			ssize_t n = len + 1 < REQUEST_MAX ? recv(c->fd, text + len, REQUEST_MAX - 1 - len, 0) : 0;
			if (n <= 0)
				goto out;
			len += (size_t)n;
			text[len] = '\0';
		}
		go_on = c->server->fn(c->server->arg, c->fd, text);
		memmove(text, text + whole, len - whole + 1);
		len -= whole;
	}
out:
	free(text);
	shutdown(c->fd, SHUT_RDWR);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct rawserver *server = arg;
	for (;;) {
		int fd = accept(server->fd, NULL, NULL);
		if (fd < 0)
			return NULL;
		pthread_mutex_lock(&server->lock);
		bool take = !server->stopping && server->count < CONNECTIONS_MAX;
		if (take) {
			struct connection *c = &server->connections[server->count];
			c->server = server;
			c->fd = fd;
			take = pthread_create(&c->thread, NULL, serve, c) == 0;
			server->count += take;
		}
		pthread_mutex_unlock(&server->lock);
		if (!take)
			close(fd);
	}
}

struct rawserver *rawserver_start(rawserver_fn fn, void *arg, uint16_t *ret_port)
{
	struct rawserver *server = calloc(1, sizeof *server);
	if (!server)
		abort();
	server->fn = fn;
	server->arg = arg;
	pthread_mutex_init(&server->lock, NULL);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	if (bind(server->fd, (struct sockaddr *)&address, len) < 0 || listen(server->fd, 128) < 0 ||
	    getsockname(server->fd, (struct sockaddr *)&address, &len) < 0 || pthread_create(&server->thread, NULL, accept_all, server) != 0)
		abort();
	*ret_port = ntohs(address.sin_port);
	return server;
}

uint32_t rawserver_connections(struct rawserver *server)
{
	pthread_mutex_lock(&server->lock);
	uint32_t count = server->count;
	pthread_mutex_unlock(&server->lock);
	return count;
}

void rawserver_stop(struct rawserver *server)
{
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	pthread_mutex_unlock(&server->lock);
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	for (uint32_t i = 0; i < server->count; i++)
		shutdown(server->connections[i].fd, SHUT_RDWR);
	for (uint32_t i = 0; i < server->count; i++) {
		pthread_join(server->connections[i].thread, NULL);
		close(server->connections[i].fd);
	}
	close(server->fd);
	pthread_mutex_destroy(&server->lock);
	free(server);
}
