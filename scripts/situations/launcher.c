/* A launcher of its own: launcher WHAT CLASSPATH LIBJVM... loads each libjvm.so in turn, and with
 *   live       makes a VM of the last one, which runs Situation
 *   first      makes a VM of the first one, before the others are loaded
 *   none       makes none
 *   destroyed  makes one of the last and destroys it
 * It says READY itself but where Situation does. Without arguments those are in LAUNCH. */
#include <dlfcn.h>
#include <jni.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef jint create_t(JavaVM **, void **, void *);
static char classpath[4096] = "-Djava.class.path=";

static JavaVM *make(void *library, JNIEnv **env) {
    JavaVM *vm = NULL;
    JavaVMOption options[] = {{classpath, NULL}, {(char *)"-Xmx32m", NULL}, {(char *)"-XX:+UseSerialGC", NULL}};
    JavaVMInitArgs args = {JNI_VERSION_1_8, 3, options, JNI_FALSE};
    create_t *create = (create_t *)dlsym(library, "JNI_CreateJavaVM");
    if (create == NULL || create(&vm, (void **)env, &args) != 0) return NULL;
    return vm;
}

int main(int argc, char **argv) {
    void *library[8];
    JNIEnv *env;
    JavaVM *vm = NULL;
    char *words[8] = {argv[0]};
    if (argc == 1 && getenv("LAUNCH") != NULL) {
        argv = words;
        for (char *w = strtok(getenv("LAUNCH"), " "); w != NULL && argc < 8; w = strtok(NULL, " ")) argv[argc++] = w;
    }
    if (argc < 4) return 2;
    strncat(classpath, argv[2], sizeof classpath - 100);
    for (int i = 3; i < argc && i < 11; i++) {
        library[i - 3] = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
        if (library[i - 3] == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
        if (i == 3 && strcmp(argv[1], "first") == 0 && (vm = make(library[0], &env)) == NULL) return 1;
    }
    if (strcmp(argv[1], "live") == 0 || strcmp(argv[1], "destroyed") == 0)
        if ((vm = make(library[argc - 4], &env)) == NULL) return 1;
    if (strcmp(argv[1], "destroyed") == 0) {
        (*vm)->DestroyJavaVM(vm);
    } else if (vm != NULL) {
        jclass c = (*env)->FindClass(env, "Situation");
        jmethodID m = (*env)->GetStaticMethodID(env, c, "main", "([Ljava/lang/String;)V");
        jobject none = (*env)->NewObjectArray(env, 0, (*env)->FindClass(env, "java/lang/String"), NULL);
        (*env)->CallStaticVoidMethod(env, c, m, none); /* says READY and stays */
    }
    puts("READY");
    fflush(stdout);
    for (;;) pause();
}
