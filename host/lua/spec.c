/* SPDX-License-Identifier: MIT */
#include "lua/spec.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 4080u

struct hd_spec_chunk {
	struct hd_spec_chunk *next;
	uint32_t used, size;
	_Alignas(8) uint8_t data[];
};

static void free_chunks(struct hd_spec_chunk *chunk)
{
	while (chunk) {
		struct hd_spec_chunk *next = chunk->next;
		free(chunk);
		chunk = next;
	}
}

void hd_spec_done(struct hd_spec *spec)
{
	free_chunks(spec->chunks);
	*spec = (struct hd_spec){0};
}

void hd_spec_clear(struct hd_spec *spec)
{
	struct hd_spec_chunk *kept = spec->chunks;
	if (kept) {
		free_chunks(HD_STEAL(kept->next));
		kept->used = 0;
	}
	*spec = (struct hd_spec){.chunks = kept};
}

void *hd_spec_alloc(struct hd_spec *spec, size_t size)
{
	if (size > HD_SPEC_BYTES_MAX || spec->bytes > HD_SPEC_BYTES_MAX - size)
		return NULL;
	uint32_t need = ((uint32_t)size + 7u) & ~7u;
	struct hd_spec_chunk *chunk = spec->chunks;
	if (!chunk || chunk->size - chunk->used < need) {
		uint32_t room = HD_MAX(need, CHUNK_BYTES);
		chunk = malloc(sizeof *chunk + room);
		if (!chunk)
			return NULL;
		*chunk = (struct hd_spec_chunk){.next = spec->chunks, .size = room};
		spec->chunks = chunk;
	}
	void *at = chunk->data + chunk->used;
	chunk->used += need;
	spec->bytes += need;
	return memset(at, 0, need);
}

const char *hd_spec_text(struct hd_spec *spec, const char *text, size_t len)
{
	char *copy = len < HD_SPEC_BYTES_MAX ? hd_spec_alloc(spec, len + 1) : NULL;
	if (copy && len)
		memcpy(copy, text, len);
	return copy;
}

int hd_spec_add(struct hd_spec *spec, const struct hd_spec_step *step, struct hydro_error *err)
{
	if (spec->step_count == HD_SPEC_STEPS_MAX)
		return hd_error_set(err, HYDRO_E_LIMIT, "a pipeline has at most %u steps", HD_SPEC_STEPS_MAX);
	if (!spec->steps && !(spec->steps = hd_spec_alloc(spec, HD_SPEC_STEPS_MAX * sizeof *spec->steps)))
		return hd_error_set(err, HYDRO_E_NOMEM, "no memory for the steps of a pipeline");
	spec->steps[spec->step_count++] = *step;
	return HYDRO_OK;
}

const struct hd_spec_arg *hd_spec_arg(const struct hd_spec_step *step, const char *key)
{
	for (uint32_t i = 0; i < step->arg_count; i++)
		if (strcmp(step->args[i].key, key) == 0)
			return &step->args[i];
	return NULL;
}
