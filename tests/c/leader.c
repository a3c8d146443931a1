/* A JVM whose first thread, which a capture borrows first, is a strict one. To be preloaded: java's launcher
   waits for its main thread by pthread_join, and does what LEADER says instead.
   "sleep": sleeps for ever in a call that cannot be borrowed without harm (its restart block would be lost), so
   that another thread is borrowed.
   "read": reads from a pipe, a byte every 40 ms, with known bytes in all registers and in the red zone, and
   ends the process if the call comes back early, or a register, the red zone or the signal mask is another. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { VECTORS = 16 * 32, REGISTERS = 7 * 8, ZONE = 16 * 8 };

struct state {
    unsigned char vectors[VECTORS];
    unsigned char registers[REGISTERS]; /* rbx, r9, r10, r12 to r15 */
    unsigned char zone[ZONE];
} __attribute__((aligned(64)));

static int ends[2];

static void *writer(void *unused) {
    struct timespec little = {0, 40000000};
    for (;;) {
        nanosleep(&little, 0);
        if (write(ends[1], "x", 1) != 1) abort();
    }
    return unused;
}

static void bad(const char *what) {
    fprintf(stderr, "leader: %s\n", what);
    abort();
}

#define EACH_VECTOR(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
#define LOAD_AVX(i) "vmovdqu " #i "*32(%%r8), %%ymm" #i "\n"
#define SAVE_AVX(i) "vmovdqu %%ymm" #i ", " #i "*32(%%r8)\n"
#define LOAD_SSE(i) "movdqu " #i "*32(%%r8), %%xmm" #i "\n"
#define SAVE_SSE(i) "movdqu %%xmm" #i ", " #i "*32(%%r8)\n"
/* Through rax: the words from `from`(%r8) to below the stack pointer, and back. */
#define TO_ZONE(i) "mov 568+" #i "*8(%%r8), %%rax\n mov %%rax, -8-" #i "*8(%%rsp)\n"
#define FROM_ZONE(i) "mov -8-" #i "*8(%%rsp), %%rcx\n mov %%rcx, 568+" #i "*8(%%r8)\n"
#define CLOBBERED \
    "rcx", "r11", "rbx", "r9", "r10", "r12", "r13", "r14", "r15", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", \
        "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#define READ(LOAD, SAVE) \
    __asm__ volatile(EACH_VECTOR(LOAD) EACH_VECTOR(TO_ZONE) \
                     "mov 512(%%r8), %%rbx\n mov 520(%%r8), %%r9\n mov 528(%%r8), %%r10\n mov 536(%%r8), %%r12\n" \
                     "mov 544(%%r8), %%r13\n mov 552(%%r8), %%r14\n mov 560(%%r8), %%r15\n" \
                     "xor %%eax, %%eax\n syscall\n mov %[out], %%r8\n" EACH_VECTOR(SAVE) EACH_VECTOR(FROM_ZONE) \
                     "mov %%rbx, 512(%%r8)\n mov %%r9, 520(%%r8)\n mov %%r10, 528(%%r8)\n mov %%r12, 536(%%r8)\n" \
                     "mov %%r13, 544(%%r8)\n mov %%r14, 552(%%r8)\n mov %%r15, 560(%%r8)\n" \
                     : "=&a"(result), "+r"(r8) \
                     : "D"(ends[0]), "S"(&byte), "d"(1L), [out] "m"(out) \
                     : CLOBBERED)

static void strict_read(const struct state *in, struct state *out, int avx) {
    register const struct state *r8 __asm__("r8") = in;
    long result;
    char byte;
    if (avx)
        READ(LOAD_AVX, SAVE_AVX);
    else
        READ(LOAD_SSE, SAVE_SSE);
    if (result != 1) bad("the call came back early");
}

/* The red zone is not the compiler's in a function that calls others. */
static void *strict(void *unused) {
    static struct state in, out;
    pthread_t thread;
    int avx = __builtin_cpu_supports("avx");
    unsigned rounding = 0x7f80, now; /* towards zero */
    if (pipe(ends) != 0 || pthread_create(&thread, 0, writer, 0) != 0) abort();
    for (unsigned round = 1;; round++) {
        /* The calls fill only the bits that there are signals for. */
        sigset_t before, after;
        memset(&before, 0, sizeof before);
        memset(&after, 0, sizeof after);
        for (unsigned i = 0; i < sizeof in; i++) ((unsigned char *)&in)[i] = (unsigned char)(i * 7 + round * 13 + 1);
        if (!avx)
            for (int i = 0; i < 16; i++) memset(in.vectors + i * 32 + 16, 0, 16);
        memset(&out, 0, sizeof out);
        pthread_sigmask(SIG_SETMASK, 0, &before);
        __asm__ volatile("ldmxcsr %0" : : "m"(rounding));
        strict_read(&in, &out, avx);
        __asm__ volatile("stmxcsr %0" : "=m"(now));
        pthread_sigmask(SIG_SETMASK, 0, &after);
        if (memcmp(in.vectors, out.vectors, VECTORS) != 0) bad("another vector register");
        if (memcmp(in.registers, out.registers, REGISTERS) != 0) bad("another register");
        if (memcmp(in.zone, out.zone, ZONE) != 0) bad("another red zone");
        if ((now ^ rounding) & ~0x3fu) bad("another MXCSR");
        if (memcmp(&before, &after, sizeof before) != 0) bad("another signal mask");
    }
    return unused;
}

int pthread_join(pthread_t thread, void **result) {
    struct timespec long_time = {1000000, 0};
    const char *how = getenv("LEADER");
    (void)thread;
    (void)result;
    if (how && strcmp(how, "read") == 0) strict(0);
    for (;;) nanosleep(&long_time, 0);
}
