/* The yardstick for captures: takes MB of memory in small or huge pages, forks RUNS times, prints ms each.
   fork MB small|huge RUNS */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    size_t size = strtoul(argv[1], 0, 10) << 20;
    char *memory = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 1;
    madvise(memory, size, argv[2][0] == 'h' ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    for (size_t i = 0; i < size; i += 4096) memory[i] = 1;
    for (int n = atoi(argv[3]); n > 0; n--) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        int pid = fork();
        if (pid < 0) return 1;
        if (pid == 0) _exit(0);
        clock_gettime(CLOCK_MONOTONIC, &to);
        printf("%.2f\n", (to.tv_sec - from.tv_sec) * 1e3 + (to.tv_nsec - from.tv_nsec) / 1e6);
        fflush(stdout);
        waitpid(pid, 0, 0);
    }
    return 0;
}
