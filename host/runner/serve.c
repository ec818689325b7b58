/* SPDX-License-Identifier: MIT */
#include "serve.h"
#include "serve_filing.h"

#include "base/fs.h"
#include "base/thread.h"
#include "hostside/module.h"
#include "hostside/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define SCRATCH_BYTES (1u << 20)
#define NAMES_MAX 256u
#define TS_MIN_MS INT64_C(631152000000)
#define TS_MAX_MS INT64_C(4102444800000)

/* The functions of both kinds that the life cycle calls. */
struct life {
	int32_t (*create)(const hydro_host *host, const hydro_options *options, void **ret_instance, struct hydro_error *err);
	void (*destroy)(void *instance);
	int32_t (*configure)(void *instance, const hydro_options *options, struct hydro_error *err);
	int32_t (*drain)(void *instance, int64_t deadline_ns, struct hydro_error *err);
	void (*stop)(void *instance);
};

struct server {
	int fd;
	pthread_t main_thread;
	struct hd_module module;
	const hydro_provider_ops *ops; /* NULL: a sink */
	const hydro_sink_ops *sink;    /* NULL: a provider */
	struct life life;
	hydro_host host;
	void *instance;
	struct hd_buf in, out, service; /* the call, its result, and services asked for meanwhile */
	struct hd_buf kept[2];          /* bodies that options of create and configure point into */
	struct hd_wire_reader kept_readers[2];
	char *scratch;
	struct hd_buf raws;
	char *names[NAMES_MAX]; /* answers of metric_name, kept for the plugin */
	uint32_t name_count;
};

/* ---- services, asked of the daemon over the same socket; only inside a call, on its thread ---- */

static bool may_ask(const struct server *server)
{
	return pthread_equal(server->main_thread, pthread_self());
}

static bool ask(struct server *server, struct hd_wire_reader *ret)
{
	uint32_t type = 0;
	if (hd_wire_send(server->fd, &server->service, 0) != HYDRO_OK || hd_wire_receive(server->fd, &server->service, &type, 0) != HYDRO_OK || type != HD_WIRE_ANSWER)
		_exit(1);
	hd_wire_reader_init(ret, server->service.data, server->service.len);
	return true;
}

static void host_log(void *ctx, uint32_t level, const char *text)
{
	struct server *server = ctx;
	if (!may_ask(server) || !text)
		return;
	hd_wire_begin(&server->service, HD_WIRE_LOG);
	hd_wire_u32(&server->service, level);
	hd_wire_text(&server->service, text);
	if (hd_wire_send(server->fd, &server->service, 0) != HYDRO_OK)
		_exit(1);
}

static uint32_t host_metric(void *ctx, const char *name)
{
	struct server *server = ctx;
	struct hd_wire_reader answer;
	if (!may_ask(server) || !name)
		return 0;
	hd_wire_begin(&server->service, HD_WIRE_METRIC);
	hd_wire_text(&server->service, name);
	return ask(server, &answer) ? hd_wire_get_u32(&answer) : 0;
}

static const char *host_metric_name(void *ctx, uint32_t metric)
{
	struct server *server = ctx;
	struct hd_wire_reader answer;
	if (!may_ask(server))
		return NULL;
	hd_wire_begin(&server->service, HD_WIRE_METRIC_NAME);
	hd_wire_u32(&server->service, metric);
	const char *name = ask(server, &answer) ? hd_wire_get_text(&answer) : NULL;
	for (uint32_t i = 0; name && i < server->name_count; i++)
		if (strcmp(server->names[i], name) == 0)
			return server->names[i];
	if (!name || server->name_count == NAMES_MAX)
		return NULL;
	char *copy = strdup(name);
	if (copy)
		server->names[server->name_count++] = copy;
	return copy;
}

static int64_t ask_clock(struct server *server, bool mono)
{
	struct hd_wire_reader answer;
	if (!may_ask(server))
		return 0;
	hd_wire_begin(&server->service, HD_WIRE_NOW);
	(void)ask(server, &answer);
	int64_t wall_ms = hd_wire_get_i64(&answer), mono_ns = hd_wire_get_i64(&answer);
	return mono ? mono_ns : wall_ms;
}

static int64_t host_now_ms(void *ctx)
{
	return ask_clock(ctx, false);
}

static int64_t host_mono_ns(void *ctx)
{
	return ask_clock(ctx, true);
}

/* ---- calls ---- */

static int32_t emit_raw(void *ctx, const hydro_raw *values, uint32_t count)
{
	struct server *server = ctx;
	for (uint32_t i = 0; i < count; i++)
		if (!isfinite(values[i].value) || values[i].ts_ms < TS_MIN_MS || values[i].ts_ms > TS_MAX_MS || values[i].metric == 0)
			return HYDRO_E_INVALID;
	return hd_buf_add(&server->raws, values, count * sizeof *values) ? HYDRO_OK : HYDRO_E_NOMEM;
}

static int32_t emit_raw_for(void *ctx, const char *point_key, const hydro_raw *values, uint32_t count)
{
	(void)ctx;
	(void)point_key;
	(void)values;
	(void)count;
	return HYDRO_E_UNSUPPORTED;
}

/* Options that the plugin may read until destroy: their body moves to a buffer that stays. */
static const hydro_options *keep_options(struct server *server, unsigned slot)
{
	struct hd_buf old = server->kept[slot];
	server->kept[slot] = server->in;
	server->in = (struct hd_buf){.secret = true};
	(void)old; /* calls of before may have left pointers into it: it stays, as the daemon keeps its own */
	hd_wire_reader_init(&server->kept_readers[slot], server->kept[slot].data, server->kept[slot].len);
	return hd_wire_get_options(&server->kept_readers[slot]);
}

static void call_life(struct server *server, uint32_t type, struct hydro_error *err)
{
	int32_t rc = HYDRO_E_PROTOCOL;
	if (type == HD_WIRE_CREATE) {
		const hydro_options *options = keep_options(server, 0);
		if (options && !server->instance)
			rc = server->life.create(&server->host, options, &server->instance, err);
		if (rc == HYDRO_OK && !server->instance)
			rc = hd_error_set(err, HYDRO_E_FATAL, "create said OK and gave no instance, this host needs one");
	} else if (type == HD_WIRE_CONFIGURE) {
		const hydro_options *options = keep_options(server, 1);
		if (options && server->life.configure)
			rc = server->life.configure(server->instance, options, err);
	} else if (type == HD_WIRE_DRAIN) {
		rc = server->life.drain ? server->life.drain(server->instance, INT64_MAX, err) : HYDRO_OK;
	} else {
		if (type == HD_WIRE_STOP && server->life.stop)
			server->life.stop(server->instance);
		if (type == HD_WIRE_DESTROY)
			server->life.destroy(server->instance);
		rc = HYDRO_OK;
	}
	hd_wire_error(&server->out, rc, err);
}

static void call_request(struct server *server, uint32_t type, struct hd_wire_reader *reader, struct hydro_error *err)
{
	hydro_poll poll = {.struct_size = sizeof poll};
	hydro_scratch scratch = {.mem = server->scratch, .size = SCRATCH_BYTES};
	hydro_http_request request = {.struct_size = sizeof request, .method = HYDRO_HTTP_GET, .header_stride = sizeof(hydro_http_header)};
	const hydro_options *account = NULL;
	if (type == HD_WIRE_REQUEST)
		hd_wire_get_poll(reader, &poll);
	else
		account = hd_wire_get_options(reader);
	int32_t rc = reader->bad ? HYDRO_E_PROTOCOL
		   : account     ? server->ops->login_request(server->instance, account, &scratch, &request, err)
				 : server->ops->request(server->instance, &poll, &scratch, &request, err);
	if (rc == HYDRO_OK && request.headers && request.header_count > 256)
		rc = hd_error_set(err, HYDRO_E_LIMIT, "more than 256 headers");
	hd_wire_error(&server->out, rc, err);
	if (rc == HYDRO_OK)
		hd_wire_request(&server->out, &request);
	explicit_bzero(server->scratch, scratch.used);
}

static void call_login_parse(struct server *server, struct hd_wire_reader *reader, struct hydro_error *err)
{
	hydro_http_response response;
	static hydro_token token;
	token = (hydro_token){.struct_size = sizeof token};
	const hydro_options *account = hd_wire_get_options(reader);
	hd_wire_get_response(reader, &response);
	int32_t rc = reader->bad ? HYDRO_E_PROTOCOL : server->ops->login_parse(server->instance, account, &response, &token, err);
	token.token[sizeof token.token - 1] = '\0';
	hd_wire_error(&server->out, rc, err);
	hd_wire_text(&server->out, rc == HYDRO_OK ? token.token : NULL);
	hd_wire_i64(&server->out, token.expires_at_ms);
}

static void call_parse(struct server *server, struct hd_wire_reader *reader, struct hydro_error *err)
{
	hydro_poll poll;
	hydro_http_response response;
	hydro_outcome outcome = {.struct_size = sizeof outcome};
	hydro_emit emit = {.struct_size = sizeof emit, .ctx = server, .raw = emit_raw, .raw_for = emit_raw_for};
	hd_buf_clear(&server->raws);
	hd_wire_get_poll(reader, &poll);
	hd_wire_get_response(reader, &response);
	int32_t rc = reader->bad ? HYDRO_E_PROTOCOL : server->ops->parse(server->instance, &poll, &response, &emit, &outcome, err);
	hd_wire_error(&server->out, rc, err);
	hd_wire_u32(&server->out, outcome.status);
	hd_wire_text(&server->out, err->text);
	hd_wire_bytes(&server->out, outcome.continuation, HD_MIN(outcome.continuation_len, HYDRO_CONTINUATION_BYTES));
	hd_wire_bytes(&server->out, server->raws.data, server->raws.len);
}

static void answer_filing(struct server *server, uint32_t type, struct hd_wire_reader *reader, struct hydro_error *err)
{
	hydro_scratch scratch = {.mem = server->scratch, .size = SCRATCH_BYTES};
	if (!server->sink) {
		hd_wire_error(&server->out, HYDRO_E_PROTOCOL, err);
		return;
	}
	hd_serve_filing(server->sink, server->instance, type, reader, &scratch, &server->out);
	explicit_bzero(server->scratch, scratch.used); /* a password went through it */
}

static bool is_of_provider(uint32_t type)
{
	return type >= HD_WIRE_CHECK_POINT && type <= HD_WIRE_PARSE;
}

static void answer_call(struct server *server, uint32_t type)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_wire_reader reader;
	hd_wire_reader_init(&reader, server->in.data, server->in.len);
	hd_wire_begin(&server->out, HD_WIRE_RESULT);
	if (is_of_provider(type) && !server->ops) {
		hd_wire_error(&server->out, HYDRO_E_PROTOCOL, &err);
		return;
	}
	if (type >= HD_WIRE_FILING_INFO && type <= HD_WIRE_FILING_CHECK_PARSE) {
		answer_filing(server, type, &reader, &err);
		hd_wire_reader_done(&reader);
		return;
	}
	switch (type) {
	case HD_WIRE_CHECK_POINT:
	case HD_WIRE_PARTS: {
		const hydro_options *point = hd_wire_get_options(&reader);
		int32_t rc = !point ? HYDRO_E_PROTOCOL : type == HD_WIRE_CHECK_POINT ? server->ops->check_point(server->instance, point, &err) : HYDRO_OK;
		hd_wire_error(&server->out, rc, &err);
		if (type == HD_WIRE_PARTS)
			hd_wire_u32(&server->out, point ? server->ops->parts(server->instance, point) : 1);
		break;
	}
	case HD_WIRE_LOGIN_REQUEST:
	case HD_WIRE_REQUEST:
		call_request(server, type, &reader, &err);
		break;
	case HD_WIRE_LOGIN_PARSE:
		call_login_parse(server, &reader, &err);
		break;
	case HD_WIRE_PARSE:
		call_parse(server, &reader, &err);
		break;
	default:
		call_life(server, type, &err);
	}
	hd_wire_reader_done(&reader);
}

/* Ends the process when the daemon has gone, whatever the other thread is doing. */
static void *watch_daemon(void *arg)
{
	const struct server *server = arg;
	struct pollfd p = {.fd = server->fd, .events = POLLRDHUP};
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	_exit(0);
	return NULL;
}

static bool take_ops(struct server *server, struct hydro_error *err)
{
	const struct hd_descriptor *d = server->module.descriptor;
	const hydro_provider_ops *p = &d->ops.provider;
	const hydro_sink_ops *s = &d->ops.sink;
	if (d->plugin.kind == HYDRO_KIND_PROVIDER) {
		server->ops = p;
		server->life = (struct life){p->create, p->destroy, p->configure, p->drain, p->stop};
	} else if (d->plugin.kind == HYDRO_KIND_SINK && s->capabilities & HYDRO_SINK_FILING) {
		server->sink = s;
		server->life = (struct life){s->create, s->destroy, s->configure, s->drain, s->stop};
	} else {
		(void)hd_error_set(err, HYDRO_E_UNSUPPORTED, "hydro-runner serves providers over HTTP and sinks that file");
	}
	return server->life.create != NULL;
}

static bool prepare(struct server *server, const char *path, int fd, struct hydro_error *err)
{
	struct rlimit no_core = {0, 0};
	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	server->fd = fd;
	server->main_thread = pthread_self();
	server->scratch = malloc(SCRATCH_BYTES);
	pthread_t watch;
	if (!server->scratch || hd_thread_start(&watch, HD_ROLE_ANY, "watch", watch_daemon, server, err) != HYDRO_OK)
		return false;
	if (hd_module_open(path, &server->module, err) != HYDRO_OK)
		return false;
	if (!take_ops(server, err))
		return false;
	server->host = (hydro_host){.struct_size = sizeof server->host, .abi_major = HYDRO_ABI_MAJOR, .abi_minor = HYDRO_ABI_MINOR, .ctx = server, .log = host_log,
				    .metric = host_metric, .metric_name = host_metric_name, .now_ms = host_now_ms, .mono_ns = host_mono_ns};
	return true;
}

int hd_runner_serve(const char *path, int fd)
{
	static struct server server;
	struct hydro_error err = {.struct_size = sizeof err};
	server.in.secret = server.out.secret = true; /* passwords and tokens go through them */
	bool good = prepare(&server, path, fd, &err);
	for (;;) {
		uint32_t type = 0;
		if (hd_wire_receive(fd, &server.in, &type, 0) != HYDRO_OK)
			_exit(0);
		if (good) {
			answer_call(&server, type);
		} else {
			hd_wire_begin(&server.out, HD_WIRE_RESULT);
			hd_wire_error(&server.out, err.code ? err.code : HYDRO_E_FATAL, &err);
		}
		if (hd_wire_send(fd, &server.out, 0) != HYDRO_OK || type == HD_WIRE_DESTROY)
			_exit(0);
		hd_buf_clear(&server.in);
		hd_buf_clear(&server.out);
	}
}
