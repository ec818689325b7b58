/* SPDX-License-Identifier: MIT */
/* /api/v1/dga/centres and /informants: who files, and who answers for what is filed. */
#include "api/dga.h"

#include "base/timefmt.h"

#include <hydro/abi.h>
#include <stdio.h>
#include <string.h>

#define ID(req) (&hd_http_param(req, "id")->uuid)

static const char *const states[] = {"running", "blocked", "stopped"};

/* The identifier (a RUT) by the adapter's rule, as a row of the problem. */
static int check_identifier(struct hd_api *api, struct hd_http_response *resp, const char *identifier, struct hydro_error *err)
{
	const struct hd_adapter *adapter = api->deps.adapters ? hd_adapters_at(api->deps.adapters, 0) : NULL;
	struct hydro_error why = {.struct_size = sizeof why};
	if (!adapter || hd_adapter_check_identifier(adapter, identifier, &why) == HYDRO_OK)
		return HYDRO_OK;
	hd_http_problem_add(resp, "identifier", why.text);
	return hd_error_set(err, HYDRO_E_INVALID, "identifier: %.400s", why.text);
}

/* ---- centres ----------------------------------------------------------------------------------------------------------------- */

static void print_centre(struct hd_buf *ret, const struct hd_centre *c)
{
	hd_buf_add_char(ret, '{');
	hd_json_id(ret, "id", &c->id);
	hd_json_int(ret, "version", (int64_t)c->version);
	hd_json_text(ret, "name", c->name);
	hd_json_text(ret, "identifier", c->identifier);
	hd_json_text(ret, "registration", c->registration);
	hd_json_time(ret, "registered_at", c->registered_ms);
	hd_json_number(ret, "calls_per_s", c->calls_per_s > 0 ? c->calls_per_s : 1);
	hd_json_int(ret, "spacing_s", c->spacing_ms / 1000);
	hd_json_number(ret, "check_share", c->check_share);
	hd_json_text(ret, "backlog", c->backlog_scope == HD_BACKLOG_PER_CENTRE ? "per_centre" : "per_work");
	hd_json_text(ret, "state", c->state < HD_ARRAY_LEN(states) ? states[c->state] : "");
	hd_json_time(ret, "state_since", c->state_since_ms);
	hd_json_text(ret, "state_why", c->state_why);
	hd_json_text(ret, "state_by", c->state_by);
	hd_json_time(ret, "created_at", c->created_ms);
	hd_json_time(ret, "updated_at", c->updated_ms);
	hd_buf_add_char(ret, '}');
}

static int add_centre(void *arg, const struct hd_centre *centre, struct hydro_error *err)
{
	struct hd_buf *ret = arg;
	hd_json_item(ret);
	print_centre(ret, centre);
	return ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the page") : HYDRO_OK;
}

HD_HANDLER(dga_centres_list)
{
	struct hd_api *api = HD_API(arg);
	(void)req;
	HD_NEED(api, ledger);
	hd_buf_add_text(&resp->body, "{\"items\":[");
	int rc = hd_ledger_centre_list(api->deps.ledger, add_centre, &resp->body, err);
	hd_buf_add_text(&resp->body, "]}");
	return rc;
}

static int answer_centre(void *arg, const struct hd_centre *centre, struct hydro_error *err)
{
	struct hd_http_response *resp = arg;
	(void)err;
	hd_buf_clear(&resp->body);
	print_centre(&resp->body, centre);
	hd_http_set_version(resp, centre->version);
	return HYDRO_OK;
}

static int show_centre(struct hd_api *api, const struct hd_uuid *id, struct hd_http_response *resp, struct hydro_error *err)
{
	int rc = hd_ledger_centre_get(api->deps.ledger, 0, id, answer_centre, resp, err);
	return rc == HYDRO_E_NOTFOUND ? hd_error_set(err, rc, "there is no such control centre") : rc;
}

HD_HANDLER(dga_centre_get)
{
	struct hd_api *api = HD_API(arg);
	HD_NEED(api, ledger);
	return show_centre(api, ID(req), resp, err);
}

/* What the body says over the present centre; texts are the body's or, unchanged, those of `row`. */
static int take_centre(struct hd_api *api, struct hd_http_response *resp, const cJSON *body, struct hd_centre *row, struct hydro_error *err)
{
	const char *name = hd_body_text(body, "name"), *identifier = hd_body_text(body, "identifier"), *registration = hd_body_text(body, "registration");
	const char *backlog = hd_body_text(body, "backlog"), *registered = hd_body_text(body, "registered_at");
	const cJSON *rate = cJSON_GetObjectItemCaseSensitive(body, "calls_per_s"), *spacing = cJSON_GetObjectItemCaseSensitive(body, "spacing_s"),
		    *share = cJSON_GetObjectItemCaseSensitive(body, "check_share");
	row->name = name ? name : row->name;
	row->registration = registration ? registration : row->registration;
	row->identifier = identifier ? identifier : row->identifier;
	if (registered)
		(void)hd_time_parse(registered, strlen(registered), false, &row->registered_ms);
	else if (cJSON_HasObjectItem(body, "registered_at"))
		row->registered_ms = 0;
	if (rate)
		row->calls_per_s = rate->valuedouble;
	if (spacing)
		row->spacing_ms = (int64_t)spacing->valuedouble * 1000;
	if (share)
		row->check_share = share->valuedouble;
	if (backlog)
		row->backlog_scope = strcmp(backlog, "per_centre") == 0 ? HD_BACKLOG_PER_CENTRE : HD_BACKLOG_PER_WORK;
	if (row->registered_ms && !*row->registration) {
		hd_http_problem_add(resp, "registration", "is missing: which registration with the regulator it is");
		return hd_error_set(err, HYDRO_E_INVALID, "registration: is missing");
	}
	return check_identifier(api, resp, row->identifier, err);
}

HD_HANDLER(dga_centres_create)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	struct hd_centre row = {.check_share = 1, .name = "", .identifier = "", .registration = "", .state_why = "", .state_by = ""};
	HD_NEED(api, ledger);
	int rc = hd_body_parse(req, &hd_schema_dga_centre, false, resp, &body, err);
	if (rc == HYDRO_OK)
		rc = take_centre(api, resp, body, &row, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_centre_create(api->deps.ledger, &row, hd_dga_by(req), err);
	if (rc != HYDRO_OK)
		return rc;
	char id[HD_UUID_TEXT];
	hd_uuid_format(&row.id, id);
	(void)snprintf(resp->location, sizeof resp->location, "/api/v1/dga/centres/%s", id);
	hd_dga_changed(api);
	return show_centre(api, &row.id, resp, err);
}

/* A centre with its own texts. */
struct held_centre {
	struct hd_centre row;
	char name[201], identifier[64], registration[201], why[256], by[HD_PRINCIPAL_NAME_BYTES];
};

static int hold_centre(void *arg, const struct hd_centre *centre, struct hydro_error *err)
{
	struct held_centre *held = arg;
	(void)err;
	held->row = *centre;
	(void)snprintf(held->name, sizeof held->name, "%s", centre->name);
	(void)snprintf(held->identifier, sizeof held->identifier, "%s", centre->identifier);
	(void)snprintf(held->registration, sizeof held->registration, "%s", centre->registration);
	(void)snprintf(held->why, sizeof held->why, "%s", centre->state_why);
	(void)snprintf(held->by, sizeof held->by, "%s", centre->state_by);
	held->row.name = held->name;
	held->row.identifier = held->identifier;
	held->row.registration = held->registration;
	held->row.state_why = held->why;
	held->row.state_by = held->by;
	return HYDRO_OK;
}

static int find_centre(struct hd_api *api, const struct hd_http_request *req, struct held_centre *ret, struct hydro_error *err)
{
	int rc = hd_ledger_centre_get(api->deps.ledger, 0, ID(req), hold_centre, ret, err);
	return rc == HYDRO_E_NOTFOUND ? hd_error_set(err, rc, "there is no such control centre") : rc;
}

/* A change that lets slots be late is made by force alone, and alarmed. */
static int check_plan(struct hd_api *api, const struct hd_centre *before, const struct hd_centre *after, struct hydro_error *err)
{
	bool same = before->calls_per_s == after->calls_per_s && before->spacing_ms == after->spacing_ms && before->check_share == after->check_share &&
		    before->backlog_scope == after->backlog_scope;
	struct hydro_error why = {.struct_size = sizeof why};
	int rc = same || !api->deps.filing ? HYDRO_OK : hd_filing_centre_check(api->deps.filing, after, &why);
	const char *way_out = rc == HYDRO_E_CONFLICT ? "; nothing was changed: force=true changes it all the same, with an alarm" : "";
	return rc == HYDRO_OK ? rc : hd_error_set(err, rc, "%.390s%s", why.text, way_out);
}

HD_HANDLER(dga_centre_patch)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	struct held_centre held;
	HD_NEED(api, ledger);
	int rc = hd_body_parse(req, &hd_schema_dga_centre, true, resp, &body, err);
	if (rc == HYDRO_OK)
		rc = find_centre(api, req, &held, err);
	if (rc == HYDRO_OK)
		rc = hd_http_check_version(req, held.row.version, err);
	struct hd_centre before = {0};
	if (rc == HYDRO_OK) {
		before = held.row;
		rc = take_centre(api, resp, body, &held.row, err);
	}
	if (rc == HYDRO_OK && !hd_http_param(req, "force")->integer)
		rc = check_plan(api, &before, &held.row, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_centre_replace(api->deps.ledger, &held.row, hd_dga_by(req), "", err);
	if (rc != HYDRO_OK)
		return rc;
	hd_dga_changed(api);
	return show_centre(api, ID(req), resp, err);
}

static int set_state(struct hd_api *api, const struct hd_http_request *req, struct hd_http_response *resp, bool running, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	struct held_centre held;
	const char *reason;
	HD_NEED(api, filing);
	int rc = find_centre(api, req, &held, err);
	if (rc == HYDRO_OK)
		rc = hd_dga_reason(req, resp, &body, &reason, err);
	if (rc == HYDRO_OK)
		rc = hd_filing_centre_state(api->deps.filing, held.row.number, running, hd_dga_by(req), reason, err);
	return rc == HYDRO_OK ? show_centre(api, ID(req), resp, err) : rc;
}

HD_HANDLER(dga_centre_resume)
{
	return set_state(HD_API(arg), req, resp, true, err);
}

HD_HANDLER(dga_centre_stop)
{
	return set_state(HD_API(arg), req, resp, false, err);
}

HD_HANDLER(dga_centre_forecast)
{
	struct hd_api *api = HD_API(arg);
	struct held_centre held;
	struct hd_drain_forecast forecast;
	HD_NEED(api, filing);
	int rc = find_centre(api, req, &held, err);
	if (rc == HYDRO_OK)
		rc = hd_filing_forecast(api->deps.filing, held.row.number, &forecast, err);
	if (rc != HYDRO_OK)
		return rc;
	struct hd_buf *ret = &resp->body;
	hd_buf_add_char(ret, '{');
	hd_json_int(ret, "backlog", (int64_t)forecast.backlog);
	hd_json_number(ret, "fresh_per_hour", forecast.fresh_per_hour);
	hd_json_number(ret, "calls_per_hour", forecast.calls_per_hour);
	hd_json_bool(ret, "drains", forecast.drained_ms != INT64_MAX);
	hd_json_time(ret, "drained_at", forecast.drained_ms == INT64_MAX ? 0 : forecast.drained_ms);
	hd_json_int(ret, "over_lag", (int64_t)forecast.over_lag);
	hd_json_text(ret, "text", forecast.text);
	hd_buf_add_char(ret, '}');
	return HYDRO_OK;
}

/* ---- informants ----------------------------------------------------------------------------------------------------------------- */

static void print_informant(struct hd_buf *ret, const struct hd_informant *i)
{
	hd_buf_add_char(ret, '{');
	hd_json_id(ret, "id", &i->id);
	hd_json_int(ret, "version", (int64_t)i->version);
	hd_json_text(ret, "name", i->name);
	hd_json_text(ret, "identifier", i->identifier);
	hd_json_bool(ret, "has_password", i->has_secret);
	hd_json_time(ret, "created_at", i->created_ms);
	hd_json_time(ret, "updated_at", i->updated_ms);
	hd_buf_add_char(ret, '}');
}

static int add_informant(void *arg, const struct hd_informant *informant, struct hydro_error *err)
{
	struct hd_buf *ret = arg;
	hd_json_item(ret);
	print_informant(ret, informant);
	return ret->failed ? hd_error_set(err, HYDRO_E_NOMEM, "no memory for the page") : HYDRO_OK;
}

HD_HANDLER(dga_informants_list)
{
	struct hd_api *api = HD_API(arg);
	(void)req;
	HD_NEED(api, ledger);
	hd_buf_add_text(&resp->body, "{\"items\":[");
	int rc = hd_ledger_informant_list(api->deps.ledger, add_informant, &resp->body, err);
	hd_buf_add_text(&resp->body, "]}");
	return rc;
}

static int answer_informant(void *arg, const struct hd_informant *informant, struct hydro_error *err)
{
	struct hd_http_response *resp = arg;
	(void)err;
	hd_buf_clear(&resp->body);
	print_informant(&resp->body, informant);
	hd_http_set_version(resp, informant->version);
	return HYDRO_OK;
}

static int show_informant(struct hd_api *api, const struct hd_uuid *id, struct hd_http_response *resp, struct hydro_error *err)
{
	int rc = hd_ledger_informant_get(api->deps.ledger, 0, id, false, answer_informant, resp, err);
	return rc == HYDRO_E_NOTFOUND ? hd_error_set(err, rc, "there is no such informant") : rc;
}

HD_HANDLER(dga_informant_get)
{
	struct hd_api *api = HD_API(arg);
	HD_NEED(api, ledger);
	return show_informant(api, ID(req), resp, err);
}

HD_HANDLER(dga_informants_create)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	HD_NEED(api, ledger);
	int rc = hd_body_parse(req, &hd_schema_dga_informant, false, resp, &body, err);
	if (rc == HYDRO_OK)
		rc = check_identifier(api, resp, hd_body_text(body, "identifier"), err);
	if (rc != HYDRO_OK)
		return rc;
	struct hd_informant row = {.name = hd_body_text(body, "name"), .identifier = hd_body_text(body, "identifier"), .secret = hd_body_text(body, "password")};
	row.has_secret = row.secret != NULL;
	rc = hd_ledger_informant_create(api->deps.ledger, &row, hd_dga_by(req), err);
	if (rc != HYDRO_OK)
		return rc;
	char id[HD_UUID_TEXT];
	hd_uuid_format(&row.id, id);
	(void)snprintf(resp->location, sizeof resp->location, "/api/v1/dga/informants/%s", id);
	hd_dga_changed(api);
	return show_informant(api, &row.id, resp, err);
}

struct held_informant {
	struct hd_informant row;
	char name[201], identifier[64];
};

static int hold_informant(void *arg, const struct hd_informant *informant, struct hydro_error *err)
{
	struct held_informant *held = arg;
	(void)err;
	held->row = *informant;
	held->row.secret = NULL;
	(void)snprintf(held->name, sizeof held->name, "%s", informant->name);
	(void)snprintf(held->identifier, sizeof held->identifier, "%s", informant->identifier);
	return HYDRO_OK;
}

HD_HANDLER(dga_informant_patch)
{
	struct hd_api *api = HD_API(arg);
	HD_CLEANUP(hd_cleanup_json) cJSON *body = NULL;
	struct held_informant held;
	HD_NEED(api, ledger);
	int rc = hd_body_parse(req, &hd_schema_dga_informant, true, resp, &body, err);
	if (rc == HYDRO_OK && (rc = hd_ledger_informant_get(api->deps.ledger, 0, ID(req), false, hold_informant, &held, err)) == HYDRO_E_NOTFOUND)
		rc = hd_error_set(err, rc, "there is no such informant");
	if (rc == HYDRO_OK)
		rc = hd_http_check_version(req, held.row.version, err);
	if (rc != HYDRO_OK)
		return rc;
	const char *name = hd_body_text(body, "name"), *identifier = hd_body_text(body, "identifier");
	held.row.name = name ? name : held.name;
	held.row.identifier = identifier ? identifier : held.identifier;
	held.row.secret = hd_body_text(body, "password");
	held.row.has_secret = held.row.has_secret || held.row.secret;
	rc = check_identifier(api, resp, held.row.identifier, err);
	if (rc == HYDRO_OK)
		rc = hd_ledger_informant_replace(api->deps.ledger, &held.row, hd_dga_by(req), "", err);
	if (rc != HYDRO_OK)
		return rc;
	hd_dga_changed(api);
	return show_informant(api, ID(req), resp, err);
}
