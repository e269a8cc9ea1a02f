/* Writes what it was started with: an 'x' for each argument and a NUL, then each argument and each variable with its NUL. */
#define ENTRY dump
#include "../../launcher/kernel.h"

static void show(const char *text, size_t size)
{
    struct { const char *at; size_t size; } part = {text, size};
    while (part.size) {
        long written = sys(WRITEV, 1, (long)&part, 1);
        if (written < 0)
            sys(EXIT_GROUP, 1, 0, 0);
        part.at += written, part.size -= (size_t)written;
    }
}

static void show_all(char **texts)
{
    for (; *texts; texts++) {
        size_t size = 1;
        while ((*texts)[size - 1])
            size++;
        show(*texts, size);
    }
}

int dump(int argc, char **argv, char **envp)
{
    for (int i = 0; i < argc; i++)
        show("x", 1);
    show("", 1);
    show_all(argv);
    show_all(envp);
    return 0;
}
