/* A launcher that looks at more than one libjvm.so:
 *   launcher MODE LIBJVM OTHER CLASSPATH CLASS
 * MODE none: loads both and makes no VM; two: makes one with LIBJVM and runs CLASS; destroyed: makes one with
 * LIBJVM, destroys it, and stays. OTHER is loaded last, so that it mostly lies below. */
#include <dlfcn.h>
#include <jni.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef jint (*create)(JavaVM **, void **, void *);

static void *load(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return library;
}

int main(int argc, char **argv) {
    if (argc < 6) return 2;
    create make = (create)dlsym(load(argv[2]), "JNI_CreateJavaVM");
    load(argv[3]);
    if (strcmp(argv[1], "none")) {
        char path[4096];
        snprintf(path, sizeof path, "-Djava.class.path=%s", argv[4]);
        JavaVMOption options[] = {{path, NULL}, {"-Xmx16m", NULL}, {"-XX:+UseSerialGC", NULL}};
        JavaVMInitArgs args = {JNI_VERSION_1_8, 3, options, JNI_FALSE};
        JavaVM *vm;
        JNIEnv *env;
        if (!make || make(&vm, (void **)&env, &args)) return 1;
        if (!strcmp(argv[1], "two")) {
            jclass sample = (*env)->FindClass(env, argv[5]);
            jmethodID run = sample ? (*env)->GetStaticMethodID(env, sample, "main", "([Ljava/lang/String;)V") : NULL;
            if (!run) return 1;
            (*env)->CallStaticVoidMethod(env, sample, run, (*env)->NewObjectArray(env, 0, (*env)->FindClass(env, "java/lang/String"), NULL));
            return 0;
        }
        if ((*vm)->DestroyJavaVM(vm)) return 1;
    }
    puts("READY launcher");
    fflush(stdout);
    getchar();
    return 0;
}
