/* SPDX-License-Identifier: MIT */
/* Who connects, and when: drain, stop under fire, no descriptors left, IPv6. */
#include "check.h"

#include "fetch.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS 200
#define HAMMERS 3
#define WAITING 20
#define FREE_DESCRIPTORS 5u

static const char get_open[] = "GET /open HTTP/1.1\r\nHost: x\r\n\r\n";
static const char get_held[] = "GET /held HTTP/1.1\r\nHost: x\r\n\r\n";

/* Handlers wait here while `closed`. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool closed;
	unsigned waiting;
};

static int answer_open(void *arg, const struct hd_http_request *req, struct hd_http_response *resp, struct hydro_error *err)
{
	(void)arg, (void)req, (void)err;
	hd_buf_add_text(&resp->body, "{\"all\":\"there\"}");
	return HYDRO_OK;
}

static int answer_held(void *arg, const struct hd_http_request *req, struct hd_http_response *resp, struct hydro_error *err)
{
	struct gate *gate = arg;
	(void)pthread_mutex_lock(&gate->lock);
	gate->waiting++;
	(void)pthread_cond_broadcast(&gate->changed);
	while (gate->closed)
		(void)pthread_cond_wait(&gate->changed, &gate->lock);
	(void)pthread_mutex_unlock(&gate->lock);
	return answer_open(arg, req, resp, err);
}

static const struct hd_http_route routes[] = {
	{.method = HD_METHOD_GET, .path = "/open", .flags = HD_ROUTE_INLINE, .handle = answer_open},
	{.method = HD_METHOD_GET, .path = "/held", .handle = answer_held},
};

static struct hd_http *start(const char *address, struct gate *gate)
{
	struct hydro_error err = {0};
	struct hd_http *http = NULL;
	struct hd_http_config config = {.address = address, .routes = routes, .route_count = HD_ARRAY_LEN(routes), .arg = gate, .workers = 2, .queue = 16};
	cr_assert_eq(hd_http_start(&config, &http, &err), HYDRO_OK, "%s", err.text);
	return http;
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* ---- drain ---------------------------------------------------------------------------------------------------------------- */

static void *drain(void *arg)
{
	return hd_http_drain(arg, 60000) ? arg : NULL;
}

static bool is_refused(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = loopback(port);
	bool refused = connect(fd, (struct sockaddr *)&at, sizeof at) != 0 && errno == ECONNREFUSED;
	(void)close(fd);
	return refused;
}

Test(listener, after_a_drain_connections_are_refused_and_what_is_under_way_is_answered)
{
	struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .closed = true};
	struct hd_http *http = start(NULL, &gate);
	struct hd_buf got = {0};
	pthread_t thread;
	void *drained;
	uint16_t port = hd_http_port(http);
	int fd = fetch_raw(port, get_held, sizeof get_held - 1);
	(void)pthread_mutex_lock(&gate.lock);
	while (gate.waiting == 0)
		(void)pthread_cond_wait(&gate.changed, &gate.lock);
	(void)pthread_mutex_unlock(&gate.lock);
	cr_assert_not(is_refused(port));
	cr_assert_eq(pthread_create(&thread, NULL, drain, http), 0);
	while (!is_refused(port))
		continue;
	(void)pthread_mutex_lock(&gate.lock);
	gate.closed = false;
	(void)pthread_cond_broadcast(&gate.changed);
	(void)pthread_mutex_unlock(&gate.lock);
	cr_assert(fetch_until(fd, "{\"all\":\"there\"}", &got), "%s", hd_buf_text(&got));
	cr_assert_eq(pthread_join(thread, &drained), 0);
	cr_assert(drained == http, "it ends once the last one is answered");
	cr_assert(is_refused(port));
	(void)close(fd);
	hd_buf_done(&got);
	hd_http_stop(&http);
}

/* ---- stop under fire ------------------------------------------------------------------------------------------------------ */

struct fire {
	atomic_uint port; /* 0: nobody listens */
	atomic_bool over;
	atomic_ulong answered;
};

static void *hammer(void *arg)
{
	struct fire *fire = arg;
	while (!atomic_load(&fire->over)) {
		unsigned port = atomic_load(&fire->port);
		int fd = port ? fetch_raw((uint16_t)port, get_open, sizeof get_open - 1) : -1;
		struct hd_buf got = {0};
		if (fd >= 0 && fetch_until(fd, "{\"all\":\"there\"}", &got))
			atomic_fetch_add(&fire->answered, 1);
		if (fd >= 0)
			(void)close(fd);
		hd_buf_done(&got);
	}
	return NULL;
}

static unsigned descriptors(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	cr_assert_not_null(dir);
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count;
}

Test(listener, starting_and_stopping_while_clients_connect_neither_aborts_nor_leaks, .timeout = 120)
{
#ifdef __SANITIZE_THREAD__
	/* Set after the library's threads were joined, but the sanitizer does not see that in a library without instrumentation. */
	cr_skip_test("libmicrohttpd's worker learns from a plain flag that it is to close what was accepted and not yet looked at");
#endif
	struct fire fire = {0};
	pthread_t threads[HAMMERS];
	unsigned before = descriptors();
	for (int i = 0; i < HAMMERS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, hammer, &fire), 0);
	for (int round = 0; round < ROUNDS; round++) {
		struct hd_http *http = start(NULL, NULL);
		unsigned long answered = atomic_load(&fire.answered);
		atomic_store(&fire.port, hd_http_port(http));
		while (atomic_load(&fire.answered) < answered + HAMMERS)
			(void)usleep(100);
		if (round % 2)
			(void)hd_http_drain(http, 10000);
		hd_http_stop(&http);
	}
	atomic_store(&fire.over, true);
	for (int i = 0; i < HAMMERS; i++)
		(void)pthread_join(threads[i], NULL);
	cr_assert_eq(descriptors(), before);
}

/* ---- no descriptors ------------------------------------------------------------------------------------------------------- */

/* Leaves room for so many more; the limit as it was. */
static struct rlimit leave_room_for(unsigned count)
{
	struct rlimit was, now;
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	now = was;
	for (now.rlim_cur = 0; count > 0; now.rlim_cur++)
		count -= fcntl((int)now.rlim_cur, F_GETFD) < 0;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
	return was;
}

/* Takes what answers there are; each answered client goes. How many were answered. */
static unsigned take_answers(struct pollfd *clients, unsigned wanted, int wait_ms)
{
	unsigned answered = 0;
	while (answered < wanted && poll(clients, WAITING, wait_ms) > 0) {
		for (int i = 0; i < WAITING; i++) {
			char text[1024];
			if (clients[i].fd < 0 || !clients[i].revents)
				continue;
			answered += recv(clients[i].fd, text, sizeof text, 0) > 0;
			(void)close(clients[i].fd);
			clients[i].fd = -1;
		}
	}
	return answered;
}

Test(listener, without_descriptors_connections_wait_and_are_answered_once_there_are_some)
{
	struct hd_http *http = start(NULL, NULL);
	struct pollfd clients[WAITING];
	struct sockaddr_in at = loopback(hd_http_port(http));
	for (int i = 0; i < WAITING; i++)
		clients[i] = (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .events = POLLIN};
	struct rlimit was = leave_room_for(FREE_DESCRIPTORS);
	for (int i = 0; i < WAITING; i++) {
		cr_assert_eq(connect(clients[i].fd, (struct sockaddr *)&at, sizeof at), 0);
		cr_assert_eq(send(clients[i].fd, get_open, sizeof get_open - 1, 0), (ssize_t)sizeof get_open - 1);
	}
	/* Answered connections stay open: those behind them have none to be taken with. */
	for (unsigned i = 0; i < WAITING; i++)
		clients[i].events = i < FREE_DESCRIPTORS ? POLLIN : 0;
	struct pollfd later = {.fd = clients[FREE_DESCRIPTORS].fd, .events = POLLIN};
	for (unsigned i = 0; i < FREE_DESCRIPTORS; i++)
		cr_assert_eq(poll(&clients[i], 1, 10000), 1, "%u", i);
	cr_assert_eq(poll(&later, 1, 200), 0, "one more than there are descriptors");
	for (unsigned i = FREE_DESCRIPTORS; i < WAITING; i++)
		clients[i].events = POLLIN;
	cr_assert_eq(take_answers(clients, WAITING, 10000), WAITING);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	hd_http_stop(&http);
}

/* By the linker's --wrap. */
static atomic_uint closed_twice;

int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
	int rc = __real_close(fd);
	if (rc != 0 && errno == EBADF)
		atomic_fetch_add(&closed_twice, 1);
	return rc;
}

/* Fails at one step after the other, of which the library closes the socket at some and not at others. How many failed. */
static unsigned starts_failed(uint32_t threads)
{
	unsigned before = descriptors();
	for (unsigned room = 0;; room++) {
		struct hd_http *http = NULL;
		struct hydro_error err = {0};
		struct hd_http_config config = {.routes = routes, .route_count = HD_ARRAY_LEN(routes), .threads = threads, .workers = 2, .queue = 16};
		struct rlimit was = leave_room_for(room);
		int rc = hd_http_start(&config, &http, &err);
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
		if (rc == HYDRO_OK) {
			hd_http_stop(&http);
			cr_assert_eq(descriptors(), before);
			return room;
		}
		cr_assert_eq(rc, HYDRO_E_IO, "%s", err.text);
		cr_assert_null(http);
		cr_assert_eq(descriptors(), before, "with room for %u", room);
		cr_assert_eq(atomic_load(&closed_twice), 0, "with room for %u", room);
	}
}

Test(listener, a_start_that_fails_for_want_of_descriptors_closes_its_socket_once)
{
	cr_assert_geq(starts_failed(1), 3, "the socket, and two of the library's thread");
	cr_assert_geq(starts_failed(3), 7, "and two of each of its three");
}

/* ---- addresses ------------------------------------------------------------------------------------------------------------ */

Test(listener, an_ipv6_address_is_listened_on_and_is_no_ipv4_one)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct hd_buf got = {0};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
		cr_skip_test("no IPv6 on this machine");
	(void)close(fd);
	struct hd_http *http = start("::1", NULL);
	at.sin6_port = htons(hd_http_port(http));
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	cr_assert_eq(send(fd, get_open, sizeof get_open - 1, 0), (ssize_t)sizeof get_open - 1);
	cr_assert(fetch_until(fd, "{\"all\":\"there\"}", &got));
	(void)close(fd);
	hd_buf_done(&got);
	hd_http_stop(&http);
	http = start("::", NULL);
	cr_assert(is_refused(hd_http_port(http)), "all IPv6 addresses, and they alone");
	hd_http_stop(&http);
}

Test(listener, a_port_that_is_taken_is_refused_with_its_name)
{
	struct hd_http *http = start(NULL, NULL), *second = NULL;
	struct hydro_error err = {0};
	char port[16];
	struct hd_http_config config = {.routes = routes, .route_count = HD_ARRAY_LEN(routes), .port = hd_http_port(http)};
	(void)snprintf(port, sizeof port, "port %u", config.port);
	unsigned before = descriptors();
	cr_assert_eq(hd_http_start(&config, &second, &err), HYDRO_E_IO);
	cr_assert_not_null(strstr(err.text, port), "%s", err.text);
	cr_assert_null(second);
	cr_assert_eq(descriptors(), before);
	hd_http_stop(&http);
}
