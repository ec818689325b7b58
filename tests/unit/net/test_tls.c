/* SPDX-License-Identifier: MIT */
#include "check.h"

#include "base/buf.h"
#include "base/fs.h"
#include "net/certificate.h"
#include "net/client.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum MHD_Result serve(void *arg, struct MHD_Connection *connection, const char *path, const char *method, const char *version,
			     const char *upload, size_t *upload_size, void **state)
{
	(void)arg, (void)path, (void)method, (void)version, (void)upload, (void)upload_size, (void)state;
	struct MHD_Response *response = MHD_create_response_from_buffer(2, (char[]){"ok"}, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result queued = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return queued;
}

struct seen {
	int calls;
	uint32_t status, failure;
};

static void note(void *arg, struct hd_net_result *result)
{
	struct seen *seen = arg;
	seen->calls++;
	seen->status = result->status;
	seen->failure = result->failure;
}

static struct seen fetch(const char *ca_file, const char *address)
{
	struct hd_net *net;
	struct hd_net_config config = {.manual = true, .ca_file = ca_file};
	cr_assert_eq(hd_net_open(&config, &net, NULL), HYDRO_OK);
	struct seen seen = {0};
	struct hd_net_request r = {.method = HYDRO_HTTP_GET, .url = address};
	cr_assert_eq(hd_net_submit(net, &r, note, &seen, NULL), HYDRO_OK);
	while (!seen.calls)
		hd_net_run_once(net, 1000);
	hd_net_close(&net);
	return seen;
}

Test(tls, a_certificate_is_taken_only_when_its_authority_and_name_check)
{
	char dir[] = "/tmp/hydro-tls-XXXXXX";
	cr_assert_not_null(mkdtemp(dir));
	certificate_make(dir);
	HD_CLEANUP(hd_cleanup_free) char *key_path = hd_fs_join(dir, "key.pem");
	HD_CLEANUP(hd_cleanup_free) char *cert_path = hd_fs_join(dir, "cert.pem");
	HD_CLEANUP(hd_buf_done) struct hd_buf key = {0};
	HD_CLEANUP(hd_buf_done) struct hd_buf cert = {0};
	cr_assert_eq(hd_fs_read(key_path, 65536, &key, NULL), HYDRO_OK);
	cr_assert_eq(hd_fs_read(cert_path, 65536, &cert, NULL), HYDRO_OK);
	struct MHD_Daemon *daemon =
		MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS, 0, NULL, NULL, serve, NULL, MHD_OPTION_HTTPS_MEM_KEY,
				 hd_buf_text(&key), MHD_OPTION_HTTPS_MEM_CERT, hd_buf_text(&cert), MHD_OPTION_END);
	cr_assert_not_null(daemon, "libmicrohttpd with TLS is needed");
	uint16_t port = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
	char by_number[64], by_name[64];
	(void)snprintf(by_number, sizeof by_number, "https://127.0.0.1:%u/", port);
	(void)snprintf(by_name, sizeof by_name, "https://localhost:%u/", port);

	struct seen seen = fetch(cert_path, by_number);
	cr_assert_eq(seen.failure, HD_NET_NONE);
	cr_assert_eq(seen.status, 200);
	seen = fetch(NULL, by_number);
	cr_assert_eq(seen.failure, HD_NET_TLS, "an unknown authority is refused");
	cr_assert_eq(seen.status, 0);
	seen = fetch(cert_path, by_name);
	cr_assert_eq(seen.failure, HD_NET_TLS, "a certificate for another name is refused");

	MHD_stop_daemon(daemon);
	unlink(key_path);
	unlink(cert_path);
	rmdir(dir);
}
