/*
 * Short writes and reads: preloaded into a process, it lets every n-th call that moves bytes to or from a place of a file
 * move some of them only, without an error, as the kernel may at any time (a signal, a full disk, a network file system).
 *
 * SHORT_EVERY: n. SHORT_COUNT: a file that gets two counts of 64 bits, of writes and of reads that were shortened.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static uint64_t every;
static _Atomic uint64_t *counts;
static _Atomic uint64_t calls;

__attribute__((constructor)) static void begin(void) {
  const char *n = getenv("SHORT_EVERY"), *path = getenv("SHORT_COUNT");
  if (n == NULL || path == NULL) return;
  int fd = open(path, O_RDWR | O_CREAT, 0644);
  if (fd < 0 || ftruncate(fd, 2 * sizeof(uint64_t)) != 0) abort();
  counts = mmap(NULL, 2 * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (counts == MAP_FAILED) abort();
  close(fd);
  every = strtoull(n, NULL, 10);
}

/* How many of so many bytes this call moves: at least one, so that whoever goes on comes to the end. */
static size_t shortened(size_t bytes, int kind) {
  if (every == 0 || bytes < 2) return bytes;
  uint64_t call = atomic_fetch_add(&calls, 1);
  if (call % every != 0) return bytes;
  atomic_fetch_add(&counts[kind], 1);
  return 1 + call * 2654435761u % (bytes - 1);
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at) {
  return syscall(SYS_pwrite64, fd, from, shortened(bytes, 0), at);
}
ssize_t pread64(int fd, void *to, size_t bytes, off64_t at) {
  return syscall(SYS_pread64, fd, to, shortened(bytes, 1), at);
}

/* On 64-bit machines the whole place is the first of the two words that the kernel takes for it. */
static ssize_t vector(long call, int fd, const struct iovec *parts, int count, off64_t at, int kind) {
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += parts[i].iov_len;
  size_t left = shortened(bytes, kind);
  if (left == bytes) return syscall(call, fd, parts, count, at, 0);
  struct iovec *some = alloca(sizeof(struct iovec) * count);
  int used = 0;
  for (; left > 0; used++) {
    some[used] = parts[used];
    if (some[used].iov_len > left) some[used].iov_len = left;
    left -= some[used].iov_len;
  }
  return syscall(call, fd, some, used, at, 0);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  return vector(SYS_pwritev, fd, parts, count, at, 0);
}
ssize_t preadv64(int fd, const struct iovec *parts, int count, off64_t at) {
  return vector(SYS_preadv, fd, parts, count, at, 1);
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t at) { return pwrite64(fd, from, bytes, at); }
ssize_t pread(int fd, void *to, size_t bytes, off_t at) { return pread64(fd, to, bytes, at); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return pwritev64(fd, parts, count, at); }
ssize_t preadv(int fd, const struct iovec *parts, int count, off_t at) { return preadv64(fd, parts, count, at); }
