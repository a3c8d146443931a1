/* To be preloaded into a JVM: a thread of it waits until the file named by WHEN_FILE is there, and then does what
   WHEN_DO says. "vfork": has a child by vfork until a file of that name and ".done" is there, and is in
   uninterruptible sleep meanwhile. "exec": makes the process another program. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *body(void *unused) {
    (void)unused;
    const char *file = getenv("WHEN_FILE"), *what = getenv("WHEN_DO");
    struct timespec little = {0, 2000000};
    char done[4096];
    snprintf(done, sizeof done, "%s.done", file);
    while (access(file, F_OK) != 0) nanosleep(&little, 0);
    if (strcmp(what, "exec") == 0) {
        unsetenv("LD_PRELOAD");
        execlp("sleep", "sleep", "3600", (char *)0);
    }
    int pid = vfork();
    if (pid == 0) {
        /* Nobody else would end it. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* A thread of the JVM that starts a program waits until nobody has its pipe any more. */
        for (int fd = 3; fd < 4096; fd++) close(fd);
        while (access(done, F_OK) != 0) nanosleep(&little, 0);
        _exit(0);
    }
    waitpid(pid, 0, 0);
    return 0;
}

__attribute__((constructor)) static void start(void) {
    pthread_t thread;
    const char *program = strrchr(program_invocation_name, '/');
    /* Not in what the JVM runs. */
    if (!program || strcmp(program, "/java") != 0) return;
    if (pthread_create(&thread, 0, body, 0) == 0) pthread_setname_np(thread, "waits for file");
}
