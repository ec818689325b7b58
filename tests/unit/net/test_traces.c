/* SPDX-License-Identifier: MIT */
/* What a request leaves in memory: all that this process may write is searched for the secret that it carried. */
#include "check.h"

#include "base/buf.h"
#include "base/fs.h"
#include "net/certificate.h"
#include "net/client.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECRET_LEN 32u
#define MASK 0x5au
#define WINDOW_BYTES (1u << 20)
#define REGION_BYTES_MAX (UINT64_C(1) << 30) /* a sanitizer's shadow is no heap */

/* ---- the search ---- */

/* Kept masked, so that it stands in memory only where a request put it. */
static unsigned char masked[SECRET_LEN];

static char *put_secret(char *at)
{
	for (uint32_t i = 0; i < SECRET_LEN; i++)
		*at++ = (char)(masked[i] ^ MASK);
	return at;
}

static void secret_make(void)
{
	for (uint32_t i = 0; i < SECRET_LEN; i++)
		masked[i] = (unsigned char)(('a' + randombytes_uniform(26)) ^ MASK);
}

static uint32_t count_in(const unsigned char *data, size_t len)
{
	uint32_t count = 0;
	const unsigned char *end = data + len, *at = data;
	while ((size_t)(end - at) >= SECRET_LEN && (at = memchr(at, masked[0] ^ MASK, (size_t)(end - at) - SECRET_LEN + 1))) {
		uint32_t same = 1;
		while (same < SECRET_LEN && at[same] == (masked[same] ^ MASK))
			same++;
		count += same == SECRET_LEN;
		at++;
	}
	return count;
}

static uint32_t count_in_region(int memory, unsigned char *window, uint64_t from, uint64_t to)
{
	uint32_t count = 0;
	for (uint64_t at = from; at < to; at += WINDOW_BYTES - SECRET_LEN + 1) {
		ssize_t n = pread(memory, window, (size_t)HD_MIN((uint64_t)WINDOW_BYTES, to - at), (off_t)at);
		if (n > 0)
			count += count_in(window, (size_t)n);
	}
	return count;
}

/* How often the secret stands in the heap, in data and on stacks. */
static uint32_t traces(void)
{
	unsigned char *window = mmap(NULL, WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert(window != MAP_FAILED);
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	FILE *maps = fopen("/proc/self/maps", "re");
	cr_assert(memory >= 0 && maps);
	uint32_t count = 0;
	char line[512], rights[8];
	uint64_t from, to;
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 && strncmp(rights, "rw", 2) == 0 && to - from <= REGION_BYTES_MAX &&
		    from != (uint64_t)(uintptr_t)window)
			count += count_in_region(memory, window, from, to);
	(void)fclose(maps);
	(void)close(memory);
	(void)munmap(window, WINDOW_BYTES);
	return count;
}

/* ---- a server in a process of its own ---- */

struct server {
	pid_t pid;
	uint16_t port;
	char dir[64];
	char *cert_path; /* NULL: no TLS */
};

static enum MHD_Result serve(void *arg, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
			     const char *upload, size_t *upload_size, void **state)
{
	(void)arg, (void)path, (void)method, (void)version, (void)upload;
	if (!*state || *upload_size) {
		*state = connection;
		*upload_size = 0;
		return MHD_YES;
	}
	struct MHD_Response *response = MHD_create_response_from_buffer(2, (char[]){"ok"}, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result queued = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return queued;
}

static _Noreturn void server_run(int port_pipe, const char *key, const char *cert)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct MHD_Daemon *daemon =
		key ? MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS, 0, NULL, NULL, serve, NULL, MHD_OPTION_HTTPS_MEM_KEY, key,
				       MHD_OPTION_HTTPS_MEM_CERT, cert, MHD_OPTION_END)
		    : MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, serve, NULL, MHD_OPTION_END);
	uint16_t port = daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port : 0;
	if (write(port_pipe, &port, sizeof port) != sizeof port)
		_exit(1);
	for (;;)
		pause();
}

static void server_start(struct server *s, bool tls)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf key = {0};
	HD_CLEANUP(hd_buf_done) struct hd_buf cert = {0};
	*s = (struct server){.dir = "/tmp/hydro-traces-XXXXXX"};
	cr_assert_not_null(mkdtemp(s->dir));
	if (tls) {
		certificate_make(s->dir);
		HD_CLEANUP(hd_cleanup_free) char *key_path = hd_fs_join(s->dir, "key.pem");
		s->cert_path = hd_fs_join(s->dir, "cert.pem");
		cr_assert_eq(hd_fs_read(key_path, 65536, &key, NULL), HYDRO_OK);
		cr_assert_eq(hd_fs_read(s->cert_path, 65536, &cert, NULL), HYDRO_OK);
		unlink(key_path);
	}
	int ends[2];
	cr_assert_eq(pipe(ends), 0);
	s->pid = fork();
	if (s->pid == 0)
		server_run(ends[1], tls ? hd_buf_text(&key) : NULL, tls ? hd_buf_text(&cert) : NULL);
	close(ends[1]);
	cr_assert_eq(read(ends[0], &s->port, sizeof s->port), sizeof s->port);
	cr_assert_neq(s->port, 0, "libmicrohttpd with TLS is needed");
	close(ends[0]);
}

static void server_stop(struct server *s)
{
	kill(s->pid, SIGKILL);
	cr_assert_eq(waitpid(s->pid, NULL, 0), s->pid);
	if (s->cert_path)
		unlink(s->cert_path);
	free(s->cert_path);
	rmdir(s->dir);
}

/* ---- requests ---- */

static atomic_uint done_count;

static void note(void *arg, struct hd_net_result *result)
{
	*(uint32_t *)arg = result->status;
	atomic_fetch_add(&done_count, 1);
}

static char body[64], authorization[64];

/* Sends the secret as a password in a body and as a token in a header; own copies are wiped once the request is taken. */
static void send_secret(struct hd_net *net, const struct server *s, uint32_t *status)
{
	static const char head[] = "{\"password\":\"", tail[] = "\"}", bearer[] = "Bearer ";
	char url[64];
	(void)snprintf(url, sizeof url, "%s://127.0.0.1:%u/", s->cert_path ? "https" : "http", s->port);
	char *end = stpcpy(put_secret(stpcpy(body, head)), tail);
	*put_secret(stpcpy(authorization, bearer)) = '\0';
	hydro_http_header headers[] = {{.name = "Content-Type", .value = "application/json"}, {.name = "Authorization", .value = authorization}};
	struct hd_net_request r = {.method = HYDRO_HTTP_POST, .flags = HD_NET_FRESH, .url = url, .headers = headers, .header_count = 2, .body = body,
				   .body_len = (uint64_t)(end - body)};
	unsigned before = atomic_load(&done_count);
	struct hydro_error err = {0};
	cr_assert_eq(hd_net_submit(net, &r, note, status, &err), HYDRO_OK, "%s", err.text);
	sodium_memzero(body, sizeof body);
	sodium_memzero(authorization, sizeof authorization);
	while (atomic_load(&done_count) == before) {
		if (hd_net_is_manual(net))
			hd_net_run_once(net, 1000);
		else
			usleep(1000);
	}
}

static void nothing(void *arg)
{
	(void)arg;
}

static void sent_without_traces(bool tls, bool manual)
{
	struct server server;
	struct hd_net *net;
	uint32_t status = 0;
	server_start(&server, tls);
	secret_make();
	cr_assert_eq(traces(), 0);
	struct hd_net_config config = {.manual = manual, .ca_file = server.cert_path};
	cr_assert_eq(hd_net_open(&config, &net, NULL), HYDRO_OK);
	send_secret(net, &server, &status);
	hd_net_call(net, nothing, NULL); /* the io thread is past the request's end */
	cr_assert_eq(status, 200);
	cr_assert_eq(traces(), 0, "a copy is left with the client still open");
	hd_net_close(&net);
	cr_assert_eq(traces(), 0, "a copy is left");
	server_stop(&server);
}

Test(traces, the_search_finds_what_was_freed_without_being_wiped)
{
	secret_make();
	char *copy = malloc(256);
	put_secret(copy + 100);
	cr_assert_eq(traces(), 1);
	/* Through a pointer that the compiler knows nothing of: it may drop what is written before a free. */
	void (*volatile give_back)(void *) = free;
	give_back(copy);
	cr_assert_eq(traces(), 1);
}

Test(traces, a_secret_buffer_leaves_no_copy_when_it_grows_is_cleared_or_done)
{
	struct hd_buf buf = {.secret = true};
	secret_make();
	for (uint32_t i = 0; i < SECRET_LEN; i++)
		hd_buf_add_char(&buf, (char)(masked[i] ^ MASK));
	cr_assert_eq(traces(), 1);
	cr_assert(hd_buf_reserve(&buf, 100000));
	cr_assert_eq(traces(), 1);
	hd_buf_clear(&buf);
	cr_assert_eq(traces(), 0);
	cr_assert(hd_buf_reserve(&buf, SECRET_LEN));
	put_secret(buf.data);
	buf.len = SECRET_LEN;
	hd_buf_done(&buf);
	cr_assert(buf.secret);
	cr_assert_eq(traces(), 0);
}

Test(traces, a_request_from_another_thread_leaves_no_copy_of_its_body_and_credentials)
{
	sent_without_traces(false, false);
}

Test(traces, a_request_from_the_io_thread_leaves_no_copy_of_its_body_and_credentials)
{
	sent_without_traces(false, true);
}

Test(traces, a_request_over_tls_leaves_no_copy_of_its_body_and_credentials)
{
	sent_without_traces(true, false);
}

Test(traces, a_request_that_reached_nobody_leaves_no_copy_of_its_body_and_credentials)
{
	struct server nobody = {.port = 1};
	struct hd_net *net;
	uint32_t status = 1;
	secret_make();
	struct hd_net_config config = {.manual = true};
	cr_assert_eq(hd_net_open(&config, &net, NULL), HYDRO_OK);
	send_secret(net, &nobody, &status);
	cr_assert_eq(status, 0);
	cr_assert_eq(traces(), 0);
	hd_net_close(&net);
}
