/* The native half of tests/java/Roots: what native code and the VM keep alive for a thread, and nothing else does.
   Each int[] is told by its length. */
#include <jni.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static JavaVM *vm;
static jclass roots;
static jmethodID park, nested;
static volatile int blocked_threads;

jint JNI_OnLoad(JavaVM *loaded, void *reserved) {
    (void)reserved;
    vm = loaded;
    return JNI_VERSION_1_8;
}

static jobject make(JNIEnv *env, int length) {
    jobject array = (*env)->NewIntArray(env, length);
    if (!array) abort();
    return array;
}

static void block(void) {
    __sync_fetch_and_add(&blocked_threads, 1);
    for (;;) pause();
}

JNIEXPORT void JNICALL Java_Roots_init(JNIEnv *env, jclass class) {
    roots = (*env)->NewGlobalRef(env, class);
    park = (*env)->GetStaticMethodID(env, class, "park", "()V");
    nested = (*env)->GetStaticMethodID(env, class, "nested", "(I)V");
    if (!park || !nested) abort();
}

JNIEXPORT jint JNICALL Java_Roots_blocked(JNIEnv *env, jclass class) {
    (void)env, (void)class;
    return blocked_threads;
}

/* A local reference of the frame in which the thread stands. */
JNIEXPORT void JNICALL Java_Roots_top(JNIEnv *env, jclass class, jint length) {
    (void)class;
    make(env, length);
    block();
}

/* More references than one block has, with one deleted among them. */
JNIEXPORT void JNICALL Java_Roots_chain(JNIEnv *env, jclass class, jint first, jint count, jint deleted) {
    (void)class;
    jobject gone = make(env, deleted);
    for (int i = 0; i < count; i++) make(env, first + i);
    (*env)->DeleteLocalRef(env, gone);
    block();
}

/* A frame of references pushed upon another. */
JNIEXPORT void JNICALL Java_Roots_pushed(JNIEnv *env, jclass class, jint lower, jint upper) {
    (void)class;
    make(env, lower);
    if ((*env)->PushLocalFrame(env, 8)) abort();
    make(env, upper);
    block();
}

/* A native frame that called Java, which stands still. */
JNIEXPORT void JNICALL Java_Roots_entry(JNIEnv *env, jclass class, jint length) {
    (void)class;
    make(env, length);
    (*env)->CallStaticVoidMethod(env, roots, park);
}

/* The same twice on one stack: nested calls entry. */
JNIEXPORT void JNICALL Java_Roots_outer(JNIEnv *env, jclass class, jint outer, jint inner) {
    (void)class;
    make(env, outer);
    (*env)->CallStaticVoidMethod(env, roots, nested, inner);
}

/* An exception that no Java code has seen yet. */
JNIEXPORT void JNICALL Java_Roots_pending(JNIEnv *env, jclass class, jthrowable thrown) {
    (void)class;
    if ((*env)->Throw(env, thrown)) abort();
    (*env)->DeleteLocalRef(env, thrown);
    block();
}

/* A monitor that native code has taken and never names again. */
JNIEXPORT void JNICALL Java_Roots_monitor(JNIEnv *env, jclass class, jint length) {
    (void)class;
    jobject array = make(env, length);
    if ((*env)->MonitorEnter(env, array)) abort();
    (*env)->DeleteLocalRef(env, array);
    block();
}

JNIEXPORT void JNICALL Java_Roots_globals(JNIEnv *env, jclass class, jint strong, jint weak) {
    (void)class;
    jobject array = make(env, strong);
    (*env)->NewGlobalRef(env, array);
    (*env)->DeleteLocalRef(env, array);
    array = make(env, weak);
    (*env)->NewWeakGlobalRef(env, array);
    (*env)->DeleteLocalRef(env, array);
}

struct native_thread {
    int length;
    int calls_java;
};

static void *run(void *argument) {
    struct native_thread *t = argument;
    JNIEnv *env;
    if ((*vm)->AttachCurrentThreadAsDaemon(vm, (void **)&env, NULL)) abort();
    make(env, t->length);
    if (t->calls_java) (*env)->CallStaticVoidMethod(env, roots, park);
    block();
    return NULL;
}

/* Threads that native code made: without Java frames, and with. */
JNIEXPORT void JNICALL Java_Roots_attached(JNIEnv *env, jclass class, jint length, jboolean calls_java) {
    (void)env, (void)class;
    pthread_t thread;
    struct native_thread *t = malloc(sizeof *t);
    t->length = length;
    t->calls_java = calls_java;
    if (pthread_create(&thread, NULL, run, t)) abort();
}
