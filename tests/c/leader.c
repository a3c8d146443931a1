/* A JVM whose first thread sleeps in a call that cannot be borrowed without harm (its restart block would be
   lost), so that a capture must borrow another thread. To be preloaded: java's launcher waits for its main
   thread by pthread_join. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

int pthread_join(pthread_t thread, void **result) {
    (void)thread;
    (void)result;
    for (;;) {
        struct timespec long_time = {1000000, 0};
        nanosleep(&long_time, 0);
    }
}
