/* Faults of a disk, for a program whose calls of the C library pass through this one (LD_PRELOAD).

   SHIM_SYNC_FAILS names a file. While it exists, a flush of a -wal file fails with EIO; if it contains "once", it is
   removed by the first failure.
   SHIM_WRITE_FAILS does the same for a write to a -wal file, which fails with ENOSPC after its first half.
   SHIM_SLOW names a file. While it exists, each flush takes 0.2 seconds longer.
   SHIM_NO_TEMPORARY: SQLite's temporary files cannot be created.
   SHIM_KILL_AT=N with SHIM_FILES=PREFIX: the process is killed in its Nth change of a file whose path begins with the
   prefix. A write is cut in half. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long changes;

static const char *path_of(int fd, char *path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, size - 1);
  path[length < 0 ? 0 : length] = 0;
  return path;
}

/* True if the process ends in this change. */
static int is_last(const char *path) {
  const char *prefix = getenv("SHIM_FILES"), *at = getenv("SHIM_KILL_AT");
  if (!prefix || !at || strncmp(path, prefix, strlen(prefix))) return 0;
  return ++changes == atol(at);
}

static int is_last_of(int fd) {
  char path[4096];
  return is_last(path_of(fd, path, sizeof path));
}

static void end(void) {
  kill(getpid(), SIGKILL);
  pause();
}

/* True if the file that a variable names makes a change of this -wal file fail. */
static int fails(const char *variable, int fd) {
  char path[4096], content[8] = "";
  const char *flag = getenv(variable);
  if (!flag) return 0;
  size_t length = strlen(path_of(fd, path, sizeof path));
  if (length < 4 || strcmp(path + length - 4, "-wal")) return 0;
  int file = syscall(SYS_openat, AT_FDCWD, flag, O_RDONLY, 0);
  if (file < 0) return 0;
  syscall(SYS_read, file, content, sizeof content - 1);
  syscall(SYS_close, file);
  if (!strncmp(content, "once", 4)) syscall(SYS_unlinkat, AT_FDCWD, flag, 0);
  return 1;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
  if (is_last_of(fd)) {
    syscall(SYS_pwrite64, fd, data, size / 2, offset);
    end();
  }
  if (fails("SHIM_WRITE_FAILS", fd)) {
    syscall(SYS_pwrite64, fd, data, size / 2, offset);
    errno = ENOSPC;
    return -1;
  }
  return syscall(SYS_pwrite64, fd, data, size, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

ssize_t write(int fd, const void *data, size_t size) {
  if (getenv("SHIM_KILL_AT") && is_last_of(fd)) {
    syscall(SYS_write, fd, data, size / 2);
    end();
  }
  return syscall(SYS_write, fd, data, size);
}

int ftruncate64(int fd, off64_t size) {
  if (is_last_of(fd)) end();
  return syscall(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int unlink(const char *path) {
  if (is_last(path)) end();
  return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int rename(const char *from, const char *to) {
  if (is_last(from) || is_last(to)) end();
  return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static int flush(int fd, long number) {
  const char *slow = getenv("SHIM_SLOW");
  if (is_last_of(fd)) end();
  if (slow && !syscall(SYS_faccessat, AT_FDCWD, slow, F_OK)) usleep(200000);
  if (fails("SHIM_SYNC_FAILS", fd)) {
    errno = EIO;
    return -1;
  }
  return syscall(number, fd);
}

int fdatasync(int fd) { return flush(fd, SYS_fdatasync); }

int fsync(int fd) { return flush(fd, SYS_fsync); }

static int opened(const char *path, int flags, mode_t mode) {
  if (getenv("SHIM_NO_TEMPORARY") && strstr(path, "etilqs_")) {
    errno = EROFS;
    return -1;
  }
  return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name)                              \
  int name(const char *path, int flags, ...) {  \
    va_list more;                               \
    va_start(more, flags);                      \
    mode_t mode = va_arg(more, int);            \
    va_end(more);                               \
    return opened(path, flags, mode);           \
  }
OPEN(open)
OPEN(open64)
