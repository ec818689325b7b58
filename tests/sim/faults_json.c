/* SPDX-License-Identifier: MIT */
/* Reads faults from JSON. */
#include "faults.h"

#include "base/timefmt.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE_MAX 9e15

struct parse {
	struct sim_fault *fault;
	int64_t now_ms;
	struct hydro_error *err;
};

static int wrong(const struct parse *p, const char *name, const char *wanted)
{
	return hd_error_set(p->err, HYDRO_E_INVALID, "fault: \"%s\" must be %s", name, wanted);
}

static int whole(const struct parse *p, const cJSON *item, double least, double most, int64_t *ret)
{
	double v = item->valuedouble;
	if (!cJSON_IsNumber(item) || !(v >= least) || !(v <= most) || floor(v) < v)
		return wrong(p, item->string, "a whole number in its range");
	*ret = (int64_t)v;
	return HYDRO_OK;
}

static int duration(const struct parse *p, const cJSON *item, int64_t *ret)
{
	if (cJSON_IsString(item) && hd_duration_parse(item->valuestring, ret))
		return HYDRO_OK;
	if (cJSON_IsNumber(item))
		return whole(p, item, 0, WHOLE_MAX, ret);
	return wrong(p, item->string, "a duration (\"90s\", or ms)");
}

/* RFC 3339, ms since 1970, or "+10m" / "-1h" from now. */
static int moment(const struct parse *p, const cJSON *item, int64_t *ret)
{
	if (cJSON_IsNumber(item))
		return whole(p, item, -WHOLE_MAX, WHOLE_MAX, ret);
	const char *text = cJSON_IsString(item) ? item->valuestring : "";
	int64_t span;
	if ((*text == '+' || *text == '-') && hd_duration_parse(text + 1, &span)) {
		*ret = p->now_ms + (*text == '+' ? span : -span);
		return HYDRO_OK;
	}
	if (hd_time_parse(text, strlen(text), false, ret))
		return HYDRO_OK;
	return wrong(p, item->string, "a time (RFC 3339, ms, or \"+10m\" from now)");
}

static int kind_of(const struct parse *p, const cJSON *item, uint32_t *ret)
{
	for (uint32_t k = 0; cJSON_IsString(item) && k < SIM_FAULT_KIND_COUNT; k++)
		if (strcmp(sim_fault_infos[k].name, item->valuestring) == 0) {
			*ret = k;
			return HYDRO_OK;
		}
	return wrong(p, item->string, "the name of a kind (GET /sim/faults/kinds)");
}

static int read_kind(struct parse *p, const cJSON *item)
{
	return kind_of(p, item, &p->fault->kind);
}

static int read_mode(struct parse *p, const cJSON *item)
{
	int rc = kind_of(p, item, &p->fault->mode);
	uint32_t m = p->fault->mode;
	if (rc == HYDRO_OK && m != SIM_FAULT_HTTP_5XX && m != SIM_FAULT_HANG && m != SIM_FAULT_CUT)
		rc = wrong(p, item->string, "http_5xx, hang or cut");
	return rc;
}

static int read_provider(struct parse *p, const cJSON *item)
{
	for (uint32_t s = 0; cJSON_IsString(item) && s < SIM_SERVICES; s++)
		if (strcmp(sim_service_names[s], item->valuestring) == 0) {
			p->fault->services = 1u << s;
			return HYDRO_OK;
		}
	return wrong(p, item->string, "twin, nettra, novus, http_json or dga");
}

static int read_point(struct parse *p, const cJSON *item)
{
	int64_t v = 0;
	int rc = whole(p, item, 0, SIM_POINTS_MAX, &v);
	if (rc == HYDRO_OK)
		p->fault->point_first = p->fault->point_last = (uint32_t)v;
	return rc;
}

static int read_points(struct parse *p, const cJSON *item)
{
	const cJSON *first = cJSON_GetArrayItem(item, 0), *last = cJSON_GetArrayItem(item, 1);
	if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 2 || !cJSON_IsNumber(first) || !cJSON_IsNumber(last) ||
	    first->valuedouble < 0 || last->valuedouble < first->valuedouble || last->valuedouble > SIM_POINTS_MAX)
		return wrong(p, item->string, "[first, last]");
	p->fault->point_first = (uint32_t)first->valuedouble;
	p->fault->point_last = (uint32_t)last->valuedouble;
	return HYDRO_OK;
}

static int read_probability(struct parse *p, const cJSON *item)
{
	if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || !(item->valuedouble <= 1))
		return wrong(p, item->string, "a number from 0 to 1");
	p->fault->probability = item->valuedouble;
	return HYDRO_OK;
}

static int read_from(struct parse *p, const cJSON *item)
{
	return moment(p, item, &p->fault->from_ms);
}

static int read_until(struct parse *p, const cJSON *item)
{
	int64_t v = 0;
	int rc = moment(p, item, &v);
	if (rc == HYDRO_OK)
		atomic_store(&p->fault->until_ms, v);
	return rc;
}

static int read_count(struct parse *p, const cJSON *item)
{
	return whole(p, item, 0, WHOLE_MAX, &p->fault->count);
}

static int read_delay(struct parse *p, const cJSON *item)
{
	return duration(p, item, &p->fault->delay_ms);
}

static int read_length(struct parse *p, const cJSON *item)
{
	return whole(p, item, 1, 1e6, &p->fault->length);
}

static int read_status(struct parse *p, const cJSON *item)
{
	int64_t v = 0;
	int rc = whole(p, item, 400, 599, &v);
	if (rc == HYDRO_OK)
		p->fault->status = (uint32_t)v;
	return rc;
}

static int read_value(struct parse *p, const cJSON *item)
{
	if (!cJSON_IsNumber(item) || !(fabs(item->valuedouble) < WHOLE_MAX))
		return wrong(p, item->string, "a number");
	p->fault->value = item->valuedouble;
	p->fault->has_value = true;
	return HYDRO_OK;
}

static int read_history(struct parse *p, const cJSON *item)
{
	if (!cJSON_IsBool(item))
		return wrong(p, item->string, "true or false");
	p->fault->history = cJSON_IsTrue(item);
	return HYDRO_OK;
}

static int read_metric(struct parse *p, const cJSON *item)
{
	for (uint32_t m = 0; cJSON_IsString(item) && m < SIM_METRICS; m++)
		if (strcmp(sim_metric_names[m], item->valuestring) == 0) {
			p->fault->metrics = 1u << m;
			return HYDRO_OK;
		}
	return wrong(p, item->string, "flow, level or pulses");
}

static const struct {
	const char *name;
	int (*read)(struct parse *p, const cJSON *item);
} members[] = {
	{"kind", read_kind}, {"mode", read_mode}, {"provider", read_provider}, {"point", read_point}, {"points", read_points},
	{"probability", read_probability}, {"from", read_from}, {"until", read_until}, {"count", read_count}, {"delay", read_delay},
	{"length", read_length}, {"status", read_status}, {"value", read_value}, {"history", read_history}, {"metric", read_metric},
};

static int finish(struct parse *p)
{
	struct sim_fault *f = p->fault;
	if (f->kind == SIM_FAULT_KIND_COUNT)
		return hd_error_set(p->err, HYDRO_E_INVALID, "fault: \"kind\" is missing");
	if (f->kind == SIM_FAULT_LATE && f->delay_ms < 0 && atomic_load(&f->until_ms) == INT64_MAX)
		return hd_error_set(p->err, HYDRO_E_INVALID, "fault: late needs \"delay\" or \"until\"");
	if (f->kind == SIM_FAULT_ROLLBACK && f->has_value && !(f->value >= 0 && f->value <= 1))
		return hd_error_set(p->err, HYDRO_E_INVALID, "fault: \"value\" of a rollback must be a share from 0 to 1");
	if (f->kind == SIM_FAULT_CLOCK_AHEAD && f->delay_ms < 0)
		f->delay_ms = 3600000;
	if (f->kind == SIM_FAULT_FROZEN && f->length == 0)
		f->length = 12;
	if (f->length == 0)
		f->length = 1;
	if (sim_fault_infos[f->kind].scope == SIM_SCOPE_DGA)
		f->services = 1u << SIM_DGA;
	return HYDRO_OK;
}

static int read_fault(const cJSON *object, struct parse *p)
{
	if (!cJSON_IsObject(object))
		return hd_error_set(p->err, HYDRO_E_INVALID, "a fault must be an object");
	struct sim_fault *f = p->fault;
	f->kind = SIM_FAULT_KIND_COUNT;
	f->services = (1u << SIM_SERVICES) - 1;
	f->metrics = (1u << SIM_METRICS) - 1;
	f->point_last = UINT32_MAX;
	f->probability = 1;
	f->from_ms = INT64_MIN;
	f->count = f->delay_ms = -1;
	f->history = true;
	f->status = 503;
	f->mode = SIM_FAULT_HTTP_5XX;
	atomic_init(&f->until_ms, INT64_MAX);
	for (const cJSON *item = object->child; item; item = item->next) {
		size_t i = 0;
		while (i < HD_ARRAY_LEN(members) && strcmp(members[i].name, item->string) != 0)
			i++;
		if (i == HD_ARRAY_LEN(members))
			return hd_error_set(p->err, HYDRO_E_INVALID, "fault: unknown member \"%.40s\"", item->string);
		int rc = members[i].read(p, item);
		if (rc != HYDRO_OK)
			return rc;
	}
	return finish(p);
}

int sim_faults_parse(const char *json, size_t len, int64_t now_ms, struct sim_fault ***ret, size_t *ret_count, struct hydro_error *err)
{
	cJSON *root = cJSON_ParseWithLength(json, len);
	if (!root)
		return hd_error_set(err, HYDRO_E_PARSE, "the faults are not JSON");
	size_t count = cJSON_IsArray(root) ? (size_t)cJSON_GetArraySize(root) : 1, done = 0;
	struct sim_fault **rows = calloc(count + 1, sizeof(struct sim_fault *));
	int rc = rows ? HYDRO_OK : hd_error_set(err, HYDRO_E_NOMEM, "no memory for the faults");
	const cJSON *object = cJSON_IsArray(root) ? root->child : root;
	for (; rc == HYDRO_OK && done < count; object = object->next) {
		struct parse p = {calloc(1, sizeof(struct sim_fault)), now_ms, err};
		if (!p.fault)
			rc = hd_error_set(err, HYDRO_E_NOMEM, "no memory for the faults");
		else {
			rows[done++] = p.fault;
			rc = read_fault(object, &p);
		}
	}
	cJSON_Delete(root);
	if (rc != HYDRO_OK) {
		for (size_t i = 0; i < done; i++)
			free(rows[i]);
		free(rows);
		return rc;
	}
	*ret = rows;
	*ret_count = count;
	return HYDRO_OK;
}
