// A native library that takes memory from malloc and never frees it: Guilty.leak. No jni.h is needed for that.
#include <stdlib.h>
#include <string.h>

void Java_Guilty_leak(void *env, void *klass, long pieces, long bytes) {
    (void) env;
    (void) klass;
    for (long i = 0; i < pieces; i++) {
        void *piece = malloc((size_t) bytes);
        if (piece) memset(piece, 1, (size_t) bytes);
    }
}
