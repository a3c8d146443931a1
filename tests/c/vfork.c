/* A JVM with a thread in uninterruptible sleep: that of a vfork whose child takes its time. To be preloaded.
   The child starts when a file named by VFORK_WHEN is there, and sleeps for 3 s. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *body(void *unused) {
    (void)unused;
    const char *when = getenv("VFORK_WHEN");
    struct timespec little = {0, 20000000}, while_asleep = {3, 0};
    while (access(when, F_OK) != 0) nanosleep(&little, 0);
    int pid = vfork();
    if (pid == 0) {
        nanosleep(&while_asleep, 0);
        _exit(0);
    }
    waitpid(pid, 0, 0);
    return 0;
}

__attribute__((constructor)) static void start(void) {
    pthread_t thread;
    if (getenv("VFORK_WHEN") && pthread_create(&thread, 0, body, 0) == 0) pthread_setname_np(thread, "vforker");
}
