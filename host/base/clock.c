/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SIMCLOCK_BYTES 4096

static _Atomic(struct hd_simclock *) simclock;
static _Atomic int64_t wall_offset_ms;

static int64_t read_clock_ns(clockid_t id)
{
	struct timespec ts;
	HD_ASSERT(clock_gettime(id, &ts) == 0);
	return (int64_t)ts.tv_sec * HD_NS_PER_S + ts.tv_nsec;
}

int64_t hd_clock_wall_ms(void)
{
	struct hd_simclock *sim = atomic_load_explicit(&simclock, memory_order_acquire);
	int64_t now = sim ? __atomic_load_n(&sim->now_ms, __ATOMIC_ACQUIRE) : read_clock_ns(CLOCK_REALTIME) / HD_NS_PER_MS;
	return now + atomic_load_explicit(&wall_offset_ms, memory_order_relaxed);
}

int64_t hd_clock_mono_ns(void)
{
	struct hd_simclock *sim = atomic_load_explicit(&simclock, memory_order_acquire);
	if (sim)
		return (__atomic_load_n(&sim->now_ms, __ATOMIC_ACQUIRE) - sim->start_ms) * HD_NS_PER_MS + HD_NS_PER_S;
	return read_clock_ns(CLOCK_BOOTTIME);
}

int64_t hd_clock_real_ns(void)
{
	return read_clock_ns(CLOCK_MONOTONIC);
}

int64_t hd_clock_thread_cpu_ns(void)
{
	return read_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

int hd_clock_simulate(const char *path, int64_t start_ms, struct hydro_error *err)
{
	HD_CLEANUP(hd_cleanup_fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot open clock file %s", path);
	struct stat st;
	if (fstat(fd, &st) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot read clock file %s", path);
	if (st.st_size < SIMCLOCK_BYTES && ftruncate(fd, SIMCLOCK_BYTES) != 0)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot size clock file %s", path);
	struct hd_simclock *sim = mmap(NULL, SIMCLOCK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (sim == MAP_FAILED)
		return hd_error_errno(err, HYDRO_E_IO, errno, "cannot map clock file %s", path);
	if (sim->magic != HD_SIMCLOCK_MAGIC) {
		sim->start_ms = start_ms;
		__atomic_store_n(&sim->now_ms, start_ms, __ATOMIC_RELEASE);
		__atomic_store_n(&sim->magic, HD_SIMCLOCK_MAGIC, __ATOMIC_RELEASE);
	}
	atomic_store_explicit(&simclock, sim, memory_order_release);
	return HYDRO_OK;
}

bool hd_clock_is_simulated(void)
{
	return atomic_load_explicit(&simclock, memory_order_acquire) != NULL;
}

void hd_clock_advance(int64_t now_ms)
{
	struct hd_simclock *sim = atomic_load_explicit(&simclock, memory_order_acquire);
	if (!sim)
		return;
	int64_t old = __atomic_load_n(&sim->now_ms, __ATOMIC_ACQUIRE);
	while (old < now_ms && !__atomic_compare_exchange_n(&sim->now_ms, &old, now_ms, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	__atomic_add_fetch(&sim->advances, 1, __ATOMIC_RELAXED);
}

void hd_clock_step_wall(int64_t offset_ms)
{
	atomic_fetch_add_explicit(&wall_offset_ms, offset_ms, memory_order_relaxed);
}
