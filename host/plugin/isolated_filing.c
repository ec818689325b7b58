/* SPDX-License-Identifier: MIT */
/* The functions of a sink that files, as calls into its own process. */
#include "plugin/isolated_impl.h"

#include <stdlib.h>

static void ask_info(struct hd_isolated *self)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_wire_reader reader = {.bad = true};
	int rc = hd_isolated_ask(self, HD_WIRE_FILING_INFO, &reader, &err);
	hd_wire_reader_done(&reader);
	if (rc != HYDRO_OK)
		return;
	/* Again from a body that stays: the texts point into it. */
	self->info_body = self->in;
	self->in = (struct hd_buf){.secret = true};
	hd_wire_reader_init(&self->info_reader, self->info_body.data, self->info_body.len);
	(void)hd_wire_get_error(&self->info_reader, &err);
	self->filing_info = hd_wire_get_filing_info(&self->info_reader);
	if (self->filing_info)
		return;
	hd_wire_reader_done(&self->info_reader);
	hd_buf_done(&self->info_body);
}

static const hydro_filing_info *isolated_info(void *instance)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_isolated *self;
	if (hd_isolated_begin(instance, HD_WIRE_FILING_INFO, &self, &err) != HYDRO_OK)
		return NULL;
	if (!self->filing_info)
		ask_info(self);
	const hydro_filing_info *info = self->filing_info;
	(void)hd_isolated_finish(self, NULL, HYDRO_OK);
	return info;
}

static int32_t isolated_identifier(void *instance, const char *text, struct hydro_error *err)
{
	struct hd_isolated *self;
	struct hd_wire_reader reader = {.bad = true};
	int32_t rc = hd_isolated_begin(instance, HD_WIRE_FILING_IDENTIFIER, &self, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_wire_text(&self->out, text);
	rc = hd_isolated_ask(self, HD_WIRE_FILING_IDENTIFIER, &reader, err);
	return hd_isolated_finish(self, &reader, rc);
}

/* A call with a slot; the lock stays held when it went well, for the caller to read the rest of the result. */
static int32_t ask_slot(void *instance, uint32_t call, const hydro_filing_slot *slot, struct hd_isolated **ret, struct hd_wire_reader *reader, struct hydro_error *err)
{
	struct hd_isolated *self;
	int32_t rc = hd_isolated_begin(instance, call, &self, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_wire_filing_slot(&self->out, slot);
	rc = hd_isolated_ask(self, call, reader, err);
	if (rc != HYDRO_OK)
		return hd_isolated_finish(self, reader, rc);
	*ret = self;
	return HYDRO_OK;
}

static int32_t isolated_work(void *instance, const hydro_filing_slot *work, struct hydro_error *err)
{
	struct hd_isolated *self;
	struct hd_wire_reader reader = {.bad = true};
	int32_t rc = ask_slot(instance, HD_WIRE_FILING_WORK, work, &self, &reader, err);
	return rc == HYDRO_OK ? hd_isolated_finish(self, &reader, rc) : rc;
}

static uint32_t isolated_needed(void *instance, const hydro_filing_slot *work)
{
	struct hydro_error err = {.struct_size = sizeof err};
	struct hd_isolated *self;
	struct hd_wire_reader reader = {.bad = true};
	/* Not told: all of them, so that nothing goes out with a hole in it meanwhile. */
	if (ask_slot(instance, HD_WIRE_FILING_NEEDED, work, &self, &reader, &err) != HYDRO_OK)
		return UINT32_MAX;
	uint32_t needed = hd_wire_get_u32(&reader);
	if (reader.bad)
		needed = UINT32_MAX;
	(void)hd_isolated_finish(self, &reader, HYDRO_OK);
	return needed;
}

static int32_t isolated_prepare(void *instance, const hydro_filing_slot *slot, hydro_filing_payload *ret, struct hydro_error *err)
{
	struct hd_isolated *self;
	struct hd_wire_reader reader = {.bad = true};
	int32_t rc = ask_slot(instance, HD_WIRE_FILING_PREPARE, slot, &self, &reader, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_wire_get_filing_payload(&reader, ret);
	if (reader.bad)
		rc = hd_isolated_fail(self, HD_WIRE_FILING_PREPARE, HYDRO_E_PROTOCOL, err);
	return hd_isolated_finish(self, &reader, rc);
}

static int32_t ask_request(void *instance, uint32_t call, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	struct hd_isolated *self;
	int32_t rc = hd_isolated_begin(instance, call, &self, err);
	if (rc != HYDRO_OK)
		return rc;
	hd_wire_filing_send(&self->out, send);
	return hd_isolated_take_request(self, call, scratch, ret, err);
}

static int32_t isolated_request(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	return ask_request(instance, HD_WIRE_FILING_REQUEST, send, scratch, ret, err);
}

static int32_t isolated_check_request(void *instance, const hydro_filing_send *send, hydro_scratch *scratch, hydro_http_request *ret, struct hydro_error *err)
{
	return ask_request(instance, HD_WIRE_FILING_CHECK_REQUEST, send, scratch, ret, err);
}

/* Either reader of an answer; one of the two results is NULL. */
static int32_t ask_parse(void *instance, uint32_t call, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_answer *ret_answer,
			 hydro_filing_check *ret_check, struct hydro_error *err)
{
	struct hd_isolated *self;
	struct hd_wire_reader reader = {.bad = true};
	hydro_filing_send without = *send;
	int32_t rc = hd_isolated_begin(instance, call, &self, err);
	if (rc != HYDRO_OK)
		return rc;
	/* Nothing is read off a password. */
	without.secret = NULL;
	hd_wire_filing_send(&self->out, &without);
	hd_wire_response(&self->out, response);
	rc = hd_isolated_ask(self, call, &reader, err);
	if (rc == HYDRO_OK && ret_answer)
		hd_wire_get_filing_answer(&reader, ret_answer);
	else if (rc == HYDRO_OK)
		hd_wire_get_filing_check(&reader, ret_check);
	if (rc == HYDRO_OK && reader.bad)
		rc = hd_isolated_fail(self, call, HYDRO_E_PROTOCOL, err);
	return hd_isolated_finish(self, &reader, rc);
}

static int32_t isolated_parse(void *instance, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_answer *ret, struct hydro_error *err)
{
	return ask_parse(instance, HD_WIRE_FILING_PARSE, send, response, ret, NULL, err);
}

static int32_t isolated_check_parse(void *instance, const hydro_filing_send *send, const hydro_http_response *response, hydro_filing_check *ret, struct hydro_error *err)
{
	return ask_parse(instance, HD_WIRE_FILING_CHECK_PARSE, send, response, NULL, ret, err);
}

hydro_sink_ops hd_isolated_sink_ops(const struct hd_isolated *isolated)
{
	const hydro_sink_ops *own = &isolated->image->module.descriptor->ops.sink;
	return (hydro_sink_ops){
		.struct_size = sizeof(hydro_sink_ops),
		.capabilities = own->capabilities,
		.configure = own->configure ? hd_isolated_configure : NULL,
		.filing_info = isolated_info,
		.filing_check_identifier = isolated_identifier,
		.filing_check_work = isolated_work,
		.filing_prepare = isolated_prepare,
		.filing_request = isolated_request,
		.filing_parse = isolated_parse,
		.filing_check_request = own->filing_check_request ? isolated_check_request : NULL,
		.filing_check_parse = own->filing_check_parse ? isolated_check_parse : NULL,
		.filing_needed = own->filing_needed ? isolated_needed : NULL,
	};
}
