/* A JVM with memory that no child inherits (FORK=dont) or that is wiped in children (FORK=wipe): a page of each
   is filled with a text. To be preloaded. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

__attribute__((constructor)) static void start(void) {
    const char *how = getenv("FORK");
    if (!how) return;
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || madvise(page, 4096, strcmp(how, "dont") ? MADV_WIPEONFORK : MADV_DONTFORK)) abort();
    for (int i = 0; i < 4096; i += 16) memcpy(page + i, "secret of rjcore", 16);
}
