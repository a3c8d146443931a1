/* To be preloaded into rjcore: at a moment that a test chooses something goes wrong with the file MOMENT_FILE.
   MOMENT_DO says what: "shorten" cuts it off behind its first page, "die" is a kill -9, "fail" has reads of it fail
   with EIO from its second megabyte on.
   MOMENT says when: "mapped" as soon as the file is mapped, "opened" when an output's hidden file is opened after that,
   "written" when something of such a file was written. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int was_mapped, hidden = -1;

static void now(const char *moment) {
    const char *when = getenv("MOMENT"), *what = getenv("MOMENT_DO");
    if (!when || !what || strcmp(when, moment) != 0) return;
    if (strcmp(what, "die") == 0) kill(getpid(), SIGKILL);
    if (strcmp(what, "shorten") == 0 && truncate(getenv("MOMENT_FILE"), 4096) != 0) abort();
}

static int is_it(int fd) {
    struct stat it, other;
    const char *file = getenv("MOMENT_FILE");
    return fd >= 0 && file && stat(file, &it) == 0 && fstat(fd, &other) == 0 && it.st_ino == other.st_ino &&
           it.st_dev == other.st_dev;
}

static int is_hidden(const char *path) {
    size_t len = strlen(path);
    return len > 5 && strcmp(path + len - 5, ".part") == 0;
}

static void *map(void *at, size_t len, int prot, int flags, int fd, off_t offset) {
    void *mapped = (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
    if (mapped != MAP_FAILED && is_it(fd)) {
        was_mapped = 1;
        now("mapped");
    }
    return mapped;
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset) {
    return map(at, len, prot, flags, fd, offset);
}

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset) {
    return map(at, len, prot, flags, fd, offset);
}

static int open_at(const char *path, int flags, int mode) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= 0 && was_mapped && is_hidden(path)) {
        hidden = fd;
        now("opened");
    }
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    return open_at(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    return open_at(path, flags, mode);
}

static int fails(int fd, off_t at) {
    const char *what = getenv("MOMENT_DO");
    if (!what || strcmp(what, "fail") != 0 || at < (1 << 20) || !is_it(fd)) return 0;
    errno = EIO;
    return 1;
}

ssize_t read(int fd, void *to, size_t len) {
    return fails(fd, lseek(fd, 0, SEEK_CUR)) ? -1 : syscall(SYS_read, fd, to, len);
}

ssize_t pread64(int fd, void *to, size_t len, off_t at) {
    return fails(fd, at) ? -1 : syscall(SYS_pread64, fd, to, len, at);
}

ssize_t write(int fd, const void *from, size_t len) {
    ssize_t n = syscall(SYS_write, fd, from, len);
    if (fd == hidden && n > 0) now("written");
    return n;
}
