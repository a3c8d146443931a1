/* The native half of tests/java/Unseen, an agent: objects that only compiled code and a debugger's leavings have. */
#include <jni.h>
#include <jvmti.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static jvmtiEnv *ti;
static volatile int blocked_threads;

static void check(const char *what, int error) {
    if (error) {
        fprintf(stderr, "%s: %d\n", what, error);
        abort();
    }
}

JNIEXPORT jint JNICALL Agent_OnLoad(JavaVM *vm, char *options, void *reserved) {
    (void)options, (void)reserved;
    check("GetEnv", (*vm)->GetEnv(vm, (void **)&ti, JVMTI_VERSION_1_1));
    jvmtiCapabilities wanted = {.can_tag_objects = 1, .can_suspend = 1, .can_signal_thread = 1,
                                .can_access_local_variables = 1, .can_force_early_return = 1};
    check("AddCapabilities", (*ti)->AddCapabilities(ti, &wanted));
    return 0;
}

static jobject make(JNIEnv *env, int length) {
    jobject array = (*env)->NewIntArray(env, length);
    if (!array) abort();
    return array;
}

JNIEXPORT jint JNICALL Java_Unseen_blocked(JNIEnv *env, jclass class) {
    (void)env, (void)class;
    return blocked_threads;
}

JNIEXPORT void JNICALL Java_Unseen_block(JNIEnv *env, jclass class) {
    (void)env, (void)class;
    __sync_fetch_and_add(&blocked_threads, 1);
    for (;;) pause();
}

/* The class lets go of what compiled code has as constants. */
JNIEXPORT void JNICALL Java_Unseen_forget(JNIEnv *env, jclass class) {
    const char *names[] = {"ON_STACK", "NOWHERE", "ON_HEAP"};
    for (int i = 0; i < 3; i++)
        (*env)->SetStaticObjectField(env, class, (*env)->GetStaticFieldID(env, class, names[i], "[I"), 0);
}

JNIEXPORT void JNICALL Java_Unseen_tag(JNIEnv *env, jclass class, jint length) {
    (void)class;
    check("SetTag", (*ti)->SetTag(ti, make(env, length), 1));
}

JNIEXPORT void JNICALL Java_Unseen_stop(JNIEnv *env, jclass class, jthread thread, jobject thrown) {
    (void)env, (void)class;
    check("StopThread", (*ti)->StopThread(ti, thread, thrown));
}

JNIEXPORT void JNICALL Java_Unseen_deferred(JNIEnv *env, jclass class, jthread thread, jint length) {
    (void)class;
    check("SuspendThread", (*ti)->SuspendThread(ti, thread));
    check("SetLocalObject", (*ti)->SetLocalObject(ti, thread, 1, 1, make(env, length)));
}

JNIEXPORT void JNICALL Java_Unseen_returned(JNIEnv *env, jclass class, jthread thread, jint length) {
    (void)class;
    check("SuspendThread", (*ti)->SuspendThread(ti, thread));
    jint depth;
    jmethodID method;
    jlocation at;
    char *name;
    /* Its innermost frame must be Java's. */
    for (;;) {
        check("GetFrameCount", (*ti)->GetFrameCount(ti, thread, &depth));
        check("GetFrameLocation", (*ti)->GetFrameLocation(ti, thread, 0, &method, &at));
        check("GetMethodName", (*ti)->GetMethodName(ti, method, &name, 0, 0));
        if (name[0] == 's') break;
        check("ResumeThread", (*ti)->ResumeThread(ti, thread));
        usleep(1000);
        check("SuspendThread", (*ti)->SuspendThread(ti, thread));
    }
    check("ForceEarlyReturnObject", (*ti)->ForceEarlyReturnObject(ti, thread, make(env, length)));
}
