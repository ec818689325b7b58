/* SPDX-License-Identifier: MIT */
#include "plugin/isolated_impl.h"

#include "base/clock.h"
#include "plugin/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ISOLATED_MAGIC 0x4c4f5349u
#define BACK_OFF_FIRST_MS 1000
#define BACK_OFF_MAX_MS 60000

static const char *const call_names[] = {"", "create", "configure", "check_point", "parts", "login_request", "login_parse", "request", "parse", "drain", "stop", "destroy",
					 "filing_info", "filing_check_identifier", "filing_check_work", "filing_needed", "filing_prepare", "filing_request", "filing_parse",
					 "filing_check_request", "filing_check_parse"};

/* ---- the process ---- */

static void end_process(struct hd_isolated *self, bool kill_it, int *ret_status)
{
	if (self->link < 0)
		return;
	hd_cleanup_fd(&self->link);
	*ret_status = hd_child_finish(self->child, kill_it);
	self->child = 0;
}

int hd_isolated_fail(struct hd_isolated *self, uint32_t call, int why, struct hydro_error *err)
{
	const struct hd_plugin_info *info = &self->image->info;
	int status = 0;
	char what[96];
	int64_t lived_ms = (hd_clock_real_ns() - self->started_ns) / HD_NS_PER_MS;
	/* The stream ended: its own end is known and worth a name. Anything else is ended here. */
	end_process(self, why != HYDRO_E_IO, &status);
	if (why == HYDRO_E_TIMEOUT)
		(void)snprintf(what, sizeof what, "did not return within %u ms and was killed", self->call_ms);
	else if (why == HYDRO_E_IO && WIFSIGNALED(status))
		(void)snprintf(what, sizeof what, "was ended by %.60s", strsignal(WTERMSIG(status)));
	else if (why == HYDRO_E_IO)
		(void)snprintf(what, sizeof what, "ended with status %d", WEXITSTATUS(status));
	else
		(void)snprintf(what, sizeof what, "answered in another form than the daemon reads and was killed");
	self->failures = lived_ms >= HD_ISOLATED_GOOD_MS ? 1 : self->failures + 1;
	int64_t wait_ms = HD_MIN((int64_t)BACK_OFF_FIRST_MS << HD_MIN(self->failures - 1, 6u), BACK_OFF_MAX_MS);
	self->not_before_ns = hd_clock_real_ns() + wait_ms * HD_NS_PER_MS;
	int rc = hd_error_set(err, why == HYDRO_E_TIMEOUT ? HYDRO_E_TIMEOUT : HYDRO_E_IO, "isolated plugin %s %.40s %s in %s (failure %u in a row)", info->name, info->version,
			      what, call_names[call], self->failures);
	if (err)
		hd_services_log(self->services, HYDRO_LOG_ERROR, err->text);
	return rc;
}

static int start_process(struct hd_isolated *self, struct hydro_error *err)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot make a socket for an isolated plugin");
	char serve[] = "--serve", file[32], link[8];
	(void)snprintf(file, sizeof file, "/proc/self/fd/%d", HD_CHILD_FILE_FD);
	(void)snprintf(link, sizeof link, "%d", HD_CHILD_LINK_FD);
	char *argv[] = {NULL, serve, file, link, NULL};
	int rc = hd_child_start(self->runner_path, argv, -1, self->image->fd, ends[1], &self->child, err);
	(void)close(ends[1]);
	if (rc != HYDRO_OK) {
		(void)close(ends[0]);
		return rc;
	}
	self->link = ends[0];
	self->started_ns = hd_clock_real_ns();
	return HYDRO_OK;
}

/* ---- a call and the services asked for meanwhile ---- */

static int answer_service(struct hd_isolated *self, uint32_t type, struct hd_buf *answer, int64_t deadline_ns)
{
	const hydro_host *host = hd_services_host(self->services);
	struct hd_wire_reader reader;
	hd_wire_reader_init(&reader, self->in.data, self->in.len);
	hd_wire_begin(answer, HD_WIRE_ANSWER);
	if (type == HD_WIRE_LOG) {
		uint32_t level = hd_wire_get_u32(&reader);
		hd_services_log(self->services, level, hd_wire_get_text(&reader));
		return reader.bad ? HYDRO_E_PROTOCOL : HYDRO_OK;
	}
	if (type == HD_WIRE_METRIC)
		hd_wire_u32(answer, host->metric(host->ctx, hd_wire_get_text(&reader)));
	else if (type == HD_WIRE_METRIC_NAME)
		hd_wire_text(answer, host->metric_name(host->ctx, hd_wire_get_u32(&reader)));
	else if (type == HD_WIRE_NOW) {
		hd_wire_i64(answer, host->now_ms(host->ctx));
		hd_wire_i64(answer, host->mono_ns(host->ctx));
	} else
		return HYDRO_E_PROTOCOL;
	return reader.bad ? HYDRO_E_PROTOCOL : hd_wire_send(self->link, answer, deadline_ns);
}

static int exchange(struct hd_isolated *self, uint32_t call, struct hd_wire_reader *reader, struct hydro_error *err)
{
	int64_t deadline_ns = hd_clock_real_ns() + (int64_t)self->call_ms * HD_NS_PER_MS;
	HD_CLEANUP(hd_buf_done) struct hd_buf answer = {0};
	uint32_t type = 0;
	int rc = hd_wire_send(self->link, &self->out, deadline_ns);
	if (rc == HYDRO_E_NOMEM)
		return hd_error_set(err, rc, "no memory for a call of an isolated plugin, or more than it takes");
	while (rc == HYDRO_OK && type != HD_WIRE_RESULT) {
		rc = hd_wire_receive(self->link, &self->in, &type, deadline_ns);
		if (rc == HYDRO_OK && type != HD_WIRE_RESULT)
			rc = answer_service(self, type, &answer, deadline_ns);
	}
	if (rc != HYDRO_OK)
		return hd_isolated_fail(self, call, rc, err);
	hd_wire_reader_init(reader, self->in.data, self->in.len);
	return HYDRO_OK;
}

int hd_isolated_ask(struct hd_isolated *self, uint32_t call, struct hd_wire_reader *reader, struct hydro_error *err)
{
	int rc = exchange(self, call, reader, err);
	if (rc != HYDRO_OK)
		return rc;
	rc = hd_wire_get_error(reader, err);
	return reader->bad ? hd_isolated_fail(self, call, rc, err) : rc;
}

static int create_in_process(struct hd_isolated *self, struct hydro_error *err)
{
	struct hd_wire_reader reader;
	int rc = start_process(self, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_wire_begin(&self->out, HD_WIRE_CREATE);
	hd_wire_options(&self->out, hd_options_abi(self->options));
	rc = hd_isolated_ask(self, HD_WIRE_CREATE, &reader, err);
	hd_buf_clear(&self->out);
	int status = 0;
	if (rc != HYDRO_OK)
		end_process(self, true, &status);
	return rc;
}

/* A process to call, started again if it went; under the lock. */
static int ensure(struct hd_isolated *self, struct hydro_error *err)
{
	const struct hd_plugin_info *info = &self->image->info;
	if (self->link >= 0)
		return HYDRO_OK;
	if (self->failures >= HD_ISOLATED_FAILURES_MAX)
		return hd_error_set(err, HYDRO_E_CONFLICT, "isolated plugin %s %.40s failed %u times in a row and is quarantined: make the instance anew to try again", info->name,
				    info->version, self->failures);
	int64_t left_ms = (self->not_before_ns - hd_clock_real_ns()) / HD_NS_PER_MS;
	if (left_ms > 0)
		return hd_error_set(err, HYDRO_E_AGAIN, "isolated plugin %s %.40s has ended and starts again in %lld ms", info->name, info->version, (long long)left_ms);
	return create_in_process(self, err);
}

int hd_isolated_begin(void *instance, uint32_t call, struct hd_isolated **ret, struct hydro_error *err)
{
	struct hd_isolated *self = HD_CAST(struct hd_isolated, ISOLATED_MAGIC, instance);
	(void)pthread_mutex_lock(&self->lock);
	int rc = ensure(self, err);
	if (rc != HYDRO_OK) {
		(void)pthread_mutex_unlock(&self->lock);
		return rc;
	}
	hd_wire_begin(&self->out, call);
	*ret = self;
	return HYDRO_OK;
}

int32_t hd_isolated_finish(struct hd_isolated *self, struct hd_wire_reader *reader, int32_t rc)
{
	if (reader)
		hd_wire_reader_done(reader);
	hd_buf_clear(&self->out);
	hd_buf_clear(&self->in);
	(void)pthread_mutex_unlock(&self->lock);
	return rc;
}

/* ---- the table of functions ---- */

static int32_t call_options(void *instance, uint32_t call, const hydro_options *options, uint32_t *ret_number, struct hydro_error *err)
{
	struct hd_isolated *self;
	struct hd_wire_reader reader = {.bad = true};
	int32_t rc = hd_isolated_begin(instance, call, &self, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_wire_options(&self->out, options);
	rc = hd_isolated_ask(self, call, &reader, err);
	if (rc == HYDRO_OK && ret_number)
		*ret_number = hd_wire_get_u32(&reader);
	return hd_isolated_finish(self, &reader, rc);
}

int32_t hd_isolated_configure(void *instance, const hydro_options *options, struct hydro_error *err)
{
	return call_options(instance, HD_WIRE_CONFIGURE, options, NULL, err);
}

static int32_t isolated_check_point(void *instance, const hydro_options *point, struct hydro_error *err)
{
	return call_options(instance, HD_WIRE_CHECK_POINT, point, NULL, err);
}

static uint32_t isolated_parts(void *instance, const hydro_options *point)
{
	uint32_t parts = 1;
	struct hydro_error err = {.struct_size = sizeof err};
	(void)call_options(instance, HD_WIRE_PARTS, point, &parts, &err);
	return parts ? parts : 1;
}

int32_t hd_isolated_take_request(struct hd_isolated *self, uint32_t call, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	struct hd_wire_reader reader = {.bad = true};
	int32_t rc = hd_isolated_ask(self, call, &reader, err);
	if (rc == HYDRO_OK) {
		rc = hd_wire_get_request(&reader, scratch, ret);
		if (rc == HYDRO_E_PROTOCOL)
			rc = hd_isolated_fail(self, call, rc, err);
	}
	return hd_isolated_finish(self, &reader, rc);
}

static int32_t isolated_login_request(void *instance, const hydro_options *account, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	struct hd_isolated *self;
	int32_t rc = hd_isolated_begin(instance, HD_WIRE_LOGIN_REQUEST, &self, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_wire_options(&self->out, account);
	return hd_isolated_take_request(self, HD_WIRE_LOGIN_REQUEST, scratch, ret, err);
}

static int32_t isolated_request(void *instance, const hydro_poll *poll, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	struct hd_isolated *self;
	int32_t rc = hd_isolated_begin(instance, HD_WIRE_REQUEST, &self, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_wire_poll(&self->out, poll);
	return hd_isolated_take_request(self, HD_WIRE_REQUEST, scratch, ret, err);
}

static int32_t isolated_login_parse(void *instance, const hydro_options *account, const hydro_http_response *response, hydro_token *ret, struct hydro_error *err)
{
	struct hd_isolated *self;
	struct hd_wire_reader reader = {.bad = true};
	int32_t rc = hd_isolated_begin(instance, HD_WIRE_LOGIN_PARSE, &self, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_wire_options(&self->out, account);
	hd_wire_response(&self->out, response);
	rc = hd_isolated_ask(self, HD_WIRE_LOGIN_PARSE, &reader, err);
	if (rc == HYDRO_OK) {
		const char *token = hd_wire_get_text(&reader);
		ret->expires_at_ms = hd_wire_get_i64(&reader);
		if (reader.bad || !token || strlen(token) >= sizeof ret->token) {
			rc = hd_isolated_fail(self, HD_WIRE_LOGIN_PARSE, HYDRO_E_PROTOCOL, err);
		} else {
			ret->token_len = (uint32_t)strlen(token);
			memcpy(ret->token, token, ret->token_len + 1);
		}
	}
	return hd_isolated_finish(self, &reader, rc);
}

/* Result of parse: outcome, then the values, which go to the host's own emit only when all of it reads well. */
static int32_t take_outcome(struct hd_isolated *self, struct hd_wire_reader *reader, const hydro_emit *emit, hydro_outcome *ret, struct hydro_error *err)
{
	size_t continuation_len, raws_len;
	uint32_t status = hd_wire_get_u32(reader);
	const char *reason = hd_wire_get_text(reader);
	const void *continuation = hd_wire_get_bytes(reader, &continuation_len);
	const char *raws = hd_wire_get_bytes(reader, &raws_len);
	if (reader->bad || continuation_len > sizeof ret->continuation || raws_len % sizeof(hydro_raw) != 0)
		return hd_isolated_fail(self, HD_WIRE_PARSE, HYDRO_E_PROTOCOL, err);
	for (size_t at = 0; at < raws_len; at += sizeof(hydro_raw)) {
		hydro_raw raw;
		memcpy(&raw, raws + at, sizeof raw);
		int32_t rc = emit->raw(emit->ctx, &raw, 1);
		if (rc != HYDRO_OK)
			return hd_error_set(err, rc, "a value that cannot be");
	}
	ret->status = status;
	memcpy(ret->continuation, continuation, continuation_len);
	ret->continuation_len = (uint32_t)continuation_len;
	if (status == HYDRO_PART_FAILED)
		(void)hd_error_set(err, HYDRO_E_IO, "%s", reason ? reason : "");
	return HYDRO_OK;
}

static int32_t isolated_parse(void *instance, const hydro_poll *poll, const hydro_http_response *response, const hydro_emit *emit, hydro_outcome *ret,
			      struct hydro_error *err)
{
	struct hd_isolated *self;
	struct hd_wire_reader reader = {.bad = true};
	int32_t rc = hd_isolated_begin(instance, HD_WIRE_PARSE, &self, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_wire_poll(&self->out, poll);
	hd_wire_response(&self->out, response);
	rc = hd_isolated_ask(self, HD_WIRE_PARSE, &reader, err);
	if (rc == HYDRO_OK)
		rc = take_outcome(self, &reader, emit, ret, err);
	return hd_isolated_finish(self, &reader, rc);
}

/* ---- its life ---- */

/* Whose functions are all calls and answers: nothing that runs on by itself, nothing that writes to another's store. */
static bool can_be(const struct hd_descriptor *d)
{
	if (d->plugin.kind == HYDRO_KIND_PROVIDER)
		return (d->ops.provider.capabilities & (HYDRO_PROVIDER_HTTP | HYDRO_PROVIDER_SUBSCRIBE)) == HYDRO_PROVIDER_HTTP;
	return d->plugin.kind == HYDRO_KIND_SINK && d->ops.sink.capabilities == HYDRO_SINK_FILING;
}

int hd_isolated_new(const char *runner_path, const struct hd_image *image, struct hd_services *services, uint32_t call_ms, struct hd_isolated **ret,
		    struct hydro_error *err)
{
	if (!can_be(image->module.descriptor))
		return hd_error_set(err, HYDRO_E_UNSUPPORTED, "plugin %s cannot run isolated: that is for providers over HTTP and sinks that file", image->info.name);
	struct hd_isolated *self = calloc(1, sizeof *self);
	if (!self || !(self->runner_path = strdup(runner_path))) {
		free(self);
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for an isolated plugin");
	}
	self->magic = ISOLATED_MAGIC;
	self->image = image;
	self->services = services;
	self->call_ms = call_ms;
	self->link = -1;
	self->out.secret = self->in.secret = true;
	(void)pthread_mutex_init(&self->lock, NULL);
	*ret = self;
	return HYDRO_OK;
}

int hd_isolated_create(struct hd_isolated *isolated, struct hd_options *options, struct hydro_error *err)
{
	(void)pthread_mutex_lock(&isolated->lock);
	isolated->options = hd_options_ref(options);
	int rc = ensure(isolated, err);
	(void)pthread_mutex_unlock(&isolated->lock);
	return rc;
}

void hd_isolated_keep_options(struct hd_isolated *isolated, struct hd_options *options)
{
	(void)pthread_mutex_lock(&isolated->lock);
	struct hd_options *old = isolated->options;
	isolated->options = hd_options_ref(options);
	(void)pthread_mutex_unlock(&isolated->lock);
	hd_options_unref(&old);
}

void hd_isolated_free(struct hd_isolated **isolated)
{
	struct hd_isolated *self = HD_STEAL(*isolated);
	if (!self)
		return;
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_wire_reader reader;
	int status = 0;
	static const uint32_t last[] = {HD_WIRE_STOP, HD_WIRE_DESTROY};
	for (size_t i = 0; i < HD_ARRAY_LEN(last) && self->link >= 0; i++) {
		hd_wire_begin(&self->out, last[i]);
		(void)exchange(self, last[i], &reader, &err);
	}
	end_process(self, true, &status);
	hd_options_unref(&self->options);
	hd_buf_done(&self->out);
	hd_buf_done(&self->in);
	hd_wire_reader_done(&self->info_reader);
	hd_buf_done(&self->info_body);
	(void)pthread_mutex_destroy(&self->lock);
	free(self->runner_path);
	self->magic = 0;
	free(self);
}

hydro_provider_ops hd_isolated_ops(const struct hd_isolated *isolated)
{
	const hydro_provider_ops *own = &isolated->image->module.descriptor->ops.provider;
	return (hydro_provider_ops){
		.struct_size = sizeof(hydro_provider_ops),
		.capabilities = own->capabilities,
		.configure = own->configure ? hd_isolated_configure : NULL,
		.check_point = own->check_point ? isolated_check_point : NULL,
		.parts = own->parts ? isolated_parts : NULL,
		.login_request = own->login_request ? isolated_login_request : NULL,
		.login_parse = own->login_parse ? isolated_login_parse : NULL,
		.request = isolated_request,
		.parse = isolated_parse,
	};
}

pid_t hd_isolated_pid(struct hd_isolated *isolated, uint32_t *ret_failures)
{
	(void)pthread_mutex_lock(&isolated->lock);
	pid_t pid = isolated->child;
	*ret_failures = isolated->failures;
	(void)pthread_mutex_unlock(&isolated->lock);
	return pid;
}
