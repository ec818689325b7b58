/* SPDX-License-Identifier: MIT */
#include "plugin/crumb.h"

#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define AREA_MAGIC UINT64_C(0x31424d5552434448) /* "HDCRUMB1" */
#define ALT_STACK_BYTES 65536u

struct known {
	char instance[64];
	char plugin[40];
	char version[40];
	char hash[72];
};

/* What the file holds. Of this machine and build only: it is read by the next start and then made anew. */
struct area {
	uint64_t magic;
	uint32_t slot_bytes;
	uint32_t slot_count;
	uint32_t known_count; /* atomic: rows below it are complete */
	uint32_t orderly;     /* closed by hd_crumbs_close */
	uint8_t reserved[40];
	struct hd_crumb_slot slots[HD_CRUMB_THREADS_MAX];
	struct known known[HD_CRUMB_INSTANCES_MAX];
};
_Static_assert(sizeof(struct hd_crumb_slot) == 64, "one cache line per thread");

static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
static struct sigaction previous[HD_ARRAY_LEN(fatal_signals)];

static struct area in_memory; /* until opened, and without a path */
static struct area *area = &in_memory;
static bool mapped;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards: claiming slots, registering */
static struct hd_crumb_slot overflow;                    /* shared by threads beyond the table: blames nobody */
static pthread_key_t leave_key;
static pthread_once_t leave_once = PTHREAD_ONCE_INIT;
static size_t hung_slot;

/* initial-exec: the signal handler reads it, and must not allocate. */
_Thread_local struct hd_crumb_slot *hd_crumb_slot_ __attribute__((tls_model("initial-exec")));
_Thread_local uint32_t hd_crumb_generation_ __attribute__((tls_model("initial-exec")));
uint32_t hd_crumb_current_ = 1;

static void mark_and_go_on(int number)
{
	struct hd_crumb_slot *slot = hd_crumb_slot_;
	if (slot && slot != &overflow && hd_crumb_generation_ == __atomic_load_n(&hd_crumb_current_, __ATOMIC_RELAXED) &&
	    __atomic_load_n(&slot->crumb, __ATOMIC_RELAXED) != HD_CRUMB_NONE)
		__atomic_store_n(&slot->fatal, number, __ATOMIC_RELEASE);
	/* The faulting instruction runs again, or abort() raises again: to whoever was there before. */
	for (size_t i = 0; i < HD_ARRAY_LEN(fatal_signals); i++)
		if (fatal_signals[i] == number)
			(void)sigaction(number, &previous[i], NULL);
}

static void install_handlers(void)
{
	struct sigaction action = {.sa_handler = mark_and_go_on, .sa_flags = SA_ONSTACK};
	(void)sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < HD_ARRAY_LEN(fatal_signals); i++)
		(void)sigaction(fatal_signals[i], &action, &previous[i]);
}

static void remove_handlers(void)
{
	for (size_t i = 0; i < HD_ARRAY_LEN(fatal_signals); i++)
		(void)sigaction(fatal_signals[i], &previous[i], NULL);
}

/* A stack of its own for the handler, so that a stack overflow is marked too. Leaves one that is there alone. */
static void give_alt_stack(void)
{
	stack_t old;
	if (sigaltstack(NULL, &old) != 0 || !(old.ss_flags & SS_DISABLE))
		return;
	void *memory = mmap(NULL, ALT_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (memory == MAP_FAILED)
		return;
	stack_t stack = {.ss_sp = memory, .ss_size = ALT_STACK_BYTES};
	if (sigaltstack(&stack, NULL) != 0 || pthread_setspecific(leave_key, memory) != 0)
		(void)munmap(memory, ALT_STACK_BYTES);
}

static void thread_leaves(void *memory)
{
	stack_t off = {.ss_flags = SS_DISABLE};
	(void)sigaltstack(&off, NULL);
	(void)munmap(memory, ALT_STACK_BYTES);
	(void)pthread_mutex_lock(&lock);
	if (hd_crumb_slot_ && hd_crumb_slot_ != &overflow && hd_crumb_generation_ == hd_crumb_current_)
		memset(hd_crumb_slot_, 0, sizeof *hd_crumb_slot_);
	hd_crumb_slot_ = NULL;
	(void)pthread_mutex_unlock(&lock);
}

static void make_leave_key(void)
{
	(void)pthread_key_create(&leave_key, thread_leaves);
}

struct hd_crumb_slot *hd_crumb_claim_(void)
{
	(void)pthread_once(&leave_once, make_leave_key);
	struct hd_crumb_slot *found = &overflow;
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < HD_CRUMB_THREADS_MAX && found == &overflow; i++)
		if (area->slots[i].tid == 0)
			found = &area->slots[i];
	if (found != &overflow) {
		memset(found, 0, sizeof *found);
		found->tid = (int32_t)gettid();
	}
	hd_crumb_slot_ = found;
	hd_crumb_generation_ = hd_crumb_current_;
	(void)pthread_mutex_unlock(&lock);
	give_alt_stack();
	return found;
}

static void area_init(struct area *a)
{
	memset(a, 0, sizeof *a);
	a->slot_bytes = sizeof(struct hd_crumb_slot);
	a->slot_count = HD_CRUMB_THREADS_MAX;
	a->magic = AREA_MAGIC;
}

static int map_file(const char *path, struct area **ret, struct hydro_error *err)
{
	/* A new file, not the old one cut: another process may still read that. */
	if (unlink(path) != 0 && errno != ENOENT)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot replace %s", path);
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot create %s", path);
	/* Blocks are there before they are mapped: a full disk must not become SIGBUS. */
	int failed = posix_fallocate(fd, 0, (off_t)sizeof **ret);
	if (failed)
		return hd_error_errno(err, HYDRO_E_FULL, failed, "cannot give %s its %zu bytes", path, sizeof **ret);
	void *p = mmap(NULL, sizeof **ret, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot map %s", path);
	*ret = p;
	return HYDRO_OK;
}

static void switch_to(struct area *to)
{
	(void)pthread_mutex_lock(&lock);
	area_init(to);
	area = to;
	__atomic_store_n(&hd_crumb_current_, hd_crumb_current_ + 1, __ATOMIC_RELEASE);
	(void)pthread_mutex_unlock(&lock);
}

int hd_crumbs_open(const char *path, struct hydro_error *err)
{
	if (mapped)
		return hd_error_set(err, HYDRO_E_CONFLICT, "the crumbs are open already");
	if (!path) {
		switch_to(&in_memory);
		return HYDRO_OK;
	}
	struct area *file = NULL;
	int rc = map_file(path, &file, err);
	if (rc != HYDRO_OK)
		return rc;
	switch_to(file);
	mapped = true;
	install_handlers();
	return HYDRO_OK;
}

void hd_crumbs_close(void)
{
	if (!mapped)
		return;
	struct area *file = area;
	remove_handlers();
	__atomic_store_n(&file->orderly, 1, __ATOMIC_RELEASE);
	switch_to(&in_memory);
	mapped = false;
	(void)munmap(file, sizeof *file);
}

static void describe(const struct known *known, struct hd_crumb_where *ret)
{
	(void)snprintf(ret->instance, sizeof ret->instance, "%.*s", (int)sizeof known->instance, known->instance);
	(void)snprintf(ret->plugin, sizeof ret->plugin, "%.*s", (int)sizeof known->plugin, known->plugin);
	(void)snprintf(ret->version, sizeof ret->version, "%.*s", (int)sizeof known->version, known->version);
	(void)snprintf(ret->hash, sizeof ret->hash, "%.*s", (int)sizeof ret->hash - 1, known->hash);
}

static bool describe_slot(const struct area *a, const struct hd_crumb_slot *slot, struct hd_crumb_where *ret)
{
	if (slot->crumb == HD_CRUMB_NONE || slot->crumb > a->known_count || a->known_count > HD_CRUMB_INSTANCES_MAX)
		return false;
	memset(ret, 0, sizeof *ret);
	describe(&a->known[slot->crumb - 1], ret);
	memcpy(ret->point, slot->point, sizeof ret->point);
	ret->fatal = slot->fatal;
	return true;
}

int hd_crumbs_read(const char *path, struct hd_crumb_where *ret, size_t max, size_t *ret_count, struct hydro_error *err)
{
	HD_CLEANUP(hd_buf_done) struct hd_buf buf = {0};
	size_t count = 0;
	int rc = hd_fs_read(path, sizeof(struct area), &buf, err);
	if (rc == HYDRO_E_NOTFOUND) {
		*ret_count = 0;
		return HYDRO_OK;
	}
	if (rc != HYDRO_OK && rc != HYDRO_E_LIMIT)
		return rc;
	/* A file of another build or a cut one says nothing: better no blame than a wrong one. */
	const struct area *a = (const struct area *)(const void *)buf.data;
	bool ours = rc == HYDRO_OK && buf.len == sizeof *a && a->magic == AREA_MAGIC && a->slot_bytes == sizeof(struct hd_crumb_slot) &&
		    a->slot_count == HD_CRUMB_THREADS_MAX;
	for (size_t i = 0; ours && !a->orderly && i < HD_CRUMB_THREADS_MAX && count < max; i++)
		if (a->slots[i].fatal && describe_slot(a, &a->slots[i], &ret[count]))
			count++;
	*ret_count = count;
	return HYDRO_OK;
}

int hd_crumb_register(const char *instance, const char *plugin, const char *version, const char *hash, uint32_t *ret, struct hydro_error *err)
{
	struct known row = {{0}, {0}, {0}, {0}};
	(void)snprintf(row.instance, sizeof row.instance, "%s", instance);
	(void)snprintf(row.plugin, sizeof row.plugin, "%s", plugin);
	(void)snprintf(row.version, sizeof row.version, "%s", version);
	(void)snprintf(row.hash, sizeof row.hash, "%s", hash);
	int rc = HYDRO_OK;
	(void)pthread_mutex_lock(&lock);
	uint32_t count = area->known_count, i = 0;
	while (i < count && memcmp(&area->known[i], &row, sizeof row) != 0)
		i++;
	if (i == HD_CRUMB_INSTANCES_MAX) {
		rc = hd_error_set(err, HYDRO_E_LIMIT, "more than %u instances since the start", HD_CRUMB_INSTANCES_MAX);
	} else if (i == count) {
		area->known[i] = row;
		__atomic_store_n(&area->known_count, count + 1, __ATOMIC_RELEASE);
	}
	(void)pthread_mutex_unlock(&lock);
	if (rc == HYDRO_OK)
		*ret = i + 1;
	return rc;
}

bool hd_crumb_describe(uint32_t crumb, struct hd_crumb_where *ret)
{
	bool found = false;
	(void)pthread_mutex_lock(&lock);
	if (crumb != HD_CRUMB_NONE && crumb <= area->known_count) {
		memset(ret, 0, sizeof *ret);
		describe(&area->known[crumb - 1], ret);
		found = true;
	}
	(void)pthread_mutex_unlock(&lock);
	return found;
}

size_t hd_crumbs_check_hung(int64_t now_ns, int64_t limit_ns, struct hd_crumb_where *ret)
{
	static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER; /* guards: seen, hung_slot; taken before lock */
	static struct { uint32_t entries; int64_t since_ns; } seen[HD_CRUMB_THREADS_MAX];
	size_t hung = 0;
	(void)pthread_mutex_lock(&seen_lock);
	for (size_t i = 0; i < HD_CRUMB_THREADS_MAX; i++) {
		const struct hd_crumb_slot *slot = &area->slots[i];
		uint32_t crumb = __atomic_load_n(&slot->crumb, __ATOMIC_ACQUIRE);
		uint32_t entries = __atomic_load_n(&slot->entries, __ATOMIC_RELAXED);
		if (crumb == HD_CRUMB_NONE || __atomic_load_n(&slot->left, __ATOMIC_ACQUIRE) || entries != seen[i].entries || seen[i].since_ns == 0) {
			seen[i].entries = entries;
			seen[i].since_ns = crumb == HD_CRUMB_NONE ? 0 : now_ns; /* now_ns > 0 */
			continue;
		}
		if (now_ns - seen[i].since_ns < limit_ns)
			continue;
		if (hung++ == 0) {
			hung_slot = i;
			(void)hd_crumb_describe(crumb, ret);
			memcpy(ret->point, slot->point, sizeof ret->point);
			ret->fatal = HD_CRUMB_HANG;
		}
	}
	(void)pthread_mutex_unlock(&seen_lock);
	return hung;
}

_Noreturn void hd_crumbs_abort_hung(void)
{
	__atomic_store_n(&area->slots[hung_slot].fatal, HD_CRUMB_HANG, __ATOMIC_RELEASE);
	abort();
}
