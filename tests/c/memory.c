/* A JVM with memory that is not like other memory, by MEMORY. To be preloaded.
   "handled": 64 pages whose content a thread makes when they are first touched (userfaultfd); the first 8 were.
   "deleted": 48 MB of a file that is mapped read-only, shared, and deleted, and a private map of a part of it.
   "punched": 256 pages of shared memory; a thread writes the number of its step into one of them and takes the one away
   that it wrote to 128 steps ago, over and over.
   "secret": 64 pages that nobody else can read (memfd_secret).
   "freed": a mapping of 4,099 pages, 4,096 of which are written to and given back lazily (MADV_FREE), twice a second.
   "replaced": a library whose file was deleted after it was loaded; FILE is a copy of it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TEXT = 32, PAGE = 4096, PAGES = 64, STEPS = 256, TOUCHED = 8, FILE_SIZE = 48 << 20 };

static const char text[] = "made for rjcore: made for rjcore";
static int faults;

static void *handler(void *page) {
    struct uffd_msg m;
    while (read(faults, &m, sizeof m) == sizeof m) {
        struct uffdio_copy copy = {m.arg.pagefault.address & ~(PAGE - 1UL), (unsigned long)page, PAGE, 0, 0};
        if (ioctl(faults, UFFDIO_COPY, &copy) != 0) abort();
    }
    return 0;
}

static void handled(void) {
    struct uffdio_api api = {UFFD_API, 0, 0};
    char *region = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *page = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {{(unsigned long)region, PAGES * PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
    pthread_t thread;
    faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    if (faults < 0 || ioctl(faults, UFFDIO_API, &api) != 0 || ioctl(faults, UFFDIO_REGISTER, &range) != 0) abort();
    for (int i = 0; i < PAGE; i += TEXT) memcpy(page + i, text, TEXT);
    if (pthread_create(&thread, 0, handler, page) != 0) abort();
    for (int i = 0; i < TOUCHED; i++)
        if (((volatile char *)region)[i * PAGE] != text[0]) abort();
}

static void deleted(const char *file) {
    int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600), in;
    char *bytes = malloc(FILE_SIZE);
    for (int i = 0; i < FILE_SIZE; i += TEXT) memcpy(bytes + i, text, TEXT);
    if (write(fd, bytes, FILE_SIZE) != FILE_SIZE) abort();
    free(bytes);
    close(fd);
    in = open(file, O_RDONLY);
    const volatile char *index = mmap(0, FILE_SIZE, PROT_READ, MAP_SHARED, in, 0);
    const volatile char *part = mmap(0, FILE_SIZE / 2, PROT_READ, MAP_PRIVATE, in, 0);
    close(in);
    unlink(file);
    for (int i = 0; i < FILE_SIZE; i += PAGE)
        if (index[i] != part[i / 2 & ~(PAGE - 1)]) abort();
}

static char *shared(int fd, int pages) {
    char *region = fd < 0 || ftruncate(fd, pages * PAGE) != 0
        ? MAP_FAILED : mmap(0, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (region == MAP_FAILED) abort();
    return region;
}

static void *punch(void *unused) {
    int fd = memfd_create("punched", MFD_CLOEXEC);
    char *region = shared(fd, STEPS);
    for (unsigned long step = STEPS;; step++) {
        char *page = region + step % STEPS * PAGE;
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (step + STEPS / 2) % STEPS * PAGE, PAGE) != 0) abort();
        memcpy(page, text, TEXT);
        memcpy(page + TEXT, &step, sizeof step);
        usleep(20);
    }
    return unused;
}

static void secret(void) {
    char *region = shared((int)syscall(SYS_memfd_secret, 0), PAGES);
    for (int i = 0; i < PAGES; i++) memcpy(region + i * PAGE, text, TEXT);
}

static void *lazily(void *unused) {
    enum { FREED = 4096 };
    char *region = mmap(0, (FREED + 3) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    /* And so a mapping of its own. */
    if (region == MAP_FAILED || madvise(region, (FREED + 3) * PAGE, MADV_NOHUGEPAGE) != 0) abort();
    for (;; usleep(500000)) {
        for (int i = 0; i < FREED; i++) memcpy(region + i * PAGE, text, TEXT);
        if (madvise(region, FREED * PAGE, MADV_FREE) != 0) abort();
    }
    return unused;
}

__attribute__((constructor)) static void start(void) {
    const char *how = getenv("MEMORY"), *file = getenv("FILE");
    const char *program = strrchr(program_invocation_name, '/');
    /* Not in what starts the JVM. */
    if (!program || strcmp(program, "/java") != 0) return;
    if (how && strcmp(how, "handled") == 0) handled();
    pthread_t thread;
    if (how && strcmp(how, "punched") == 0 && pthread_create(&thread, 0, punch, 0) != 0) abort();
    if (how && strcmp(how, "freed") == 0 && pthread_create(&thread, 0, lazily, 0) != 0) abort();
    if (how && strcmp(how, "secret") == 0) secret();
    if (how && strcmp(how, "deleted") == 0) deleted(file);
    if (how && strcmp(how, "replaced") == 0 && (!dlopen(file, RTLD_NOW) || unlink(file) != 0)) abort();
}
