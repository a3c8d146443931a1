/* Holds arrays in JNI references and calls Java: local references of a native method (more than a block of them, and
 * a pushed frame's), those of a thread that attached itself, and a global one. See Native.java. */
#include <jni.h>
#include <pthread.h>

static JavaVM *vm;
static jclass type;
static jmethodID rest;

static void call_rest(JNIEnv *env) { (*env)->CallStaticVoidMethod(env, type, rest); }

/* int[5000000], 40 of int[100000], a pushed frame's long[1000000] */
JNIEXPORT void JNICALL Java_Native_hold(JNIEnv *env, jclass c) {
    (void)c;
    (*env)->NewIntArray(env, 5000000);
    for (int i = 0; i < 40; i++) (*env)->NewIntArray(env, 100000);
    (*env)->PushLocalFrame(env, 16);
    (*env)->NewLongArray(env, 1000000);
    call_rest(env);
}

/* double[500000] of an attached thread's, short[1000000] by a global reference */
static void *attached(void *unused) {
    JNIEnv *env;
    (void)unused;
    if ((*vm)->AttachCurrentThreadAsDaemon(vm, (void **)&env, NULL) != 0) return NULL;
    (*env)->NewDoubleArray(env, 500000);
    (*env)->NewGlobalRef(env, (*env)->NewShortArray(env, 1000000));
    call_rest(env);
    return NULL;
}

JNIEXPORT void JNICALL Java_Native_attach(JNIEnv *env, jclass c) {
    pthread_t thread;
    (void)env, (void)c;
    pthread_create(&thread, NULL, attached, NULL);
}

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *v, void *unused) {
    JNIEnv *env;
    (void)unused;
    vm = v;
    if ((*v)->GetEnv(v, (void **)&env, JNI_VERSION_1_8) != 0) return JNI_ERR;
    type = (*env)->NewGlobalRef(env, (*env)->FindClass(env, "Native"));
    rest = (*env)->GetStaticMethodID(env, type, "rest", "()V");
    return JNI_VERSION_1_8;
}
