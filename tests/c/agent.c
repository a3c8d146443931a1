/* An agent that writes a word to the file that its options name. */
#include <stdio.h>

int Agent_OnAttach(void *vm, char *options, void *reserved) {
    FILE *file = fopen(options, "w");
    if (!file) return 7;
    fputs("attached", file);
    return fclose(file);
}
