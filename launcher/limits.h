/* The kernel's limits for a program's arguments and variables, and which of them was broken. No string is shown, names are. */

enum { PAGES_A_STRING = 32 }; /* MAX_ARG_STRLEN of the kernel: 128 KiB where a page has 4 KiB */

/* From the auxiliary vector, which follows the environment. */
static size_t string_limit(char **envp)
{
    unsigned long page = 4096;
    while (*envp)
        envp++;
    for (const unsigned long *pair = (const unsigned long *)(const void *)(envp + 1); pair[0]; pair += 2)
        if (pair[0] == AT_PAGESZ)
            page = pair[1];
    return PAGES_A_STRING * page;
}

struct string { const char *variable; size_t argument, size; }; /* variable: its entry, or NULL for an argument; size: with its NUL */

static const char *name_of(struct string one, char digits[21])
{
    if (!one.variable)
        return decimal(one.argument, digits);
    struct text name = {allocate_or_fail(name_length(one.variable) + 1), 0};
    put(&name, one.variable, name_length(one.variable));
    return name.at;
}

static _Noreturn void fail_string(const char *command, struct string one, size_t limit)
{
    char digits[21], size[21], most[21];
    fail(CANNOT_EXECUTE, command, one.variable ? ": variable " : ": argument ", name_of(one, digits), " has ", decimal(one.size, size),
         " bytes, its end included; the kernel allows ", decimal(limit, most), " for one string", NULL);
}

static void weigh(struct string one, struct string *largest, size_t *total)
{
    *total += one.size + sizeof(char *); /* the kernel counts the pointers too */
    if (one.size > largest->size)
        *largest = one;
}

/* After E2BIG: say which limit it was. */
static _Noreturn void fail_too_big(const char *command, char **argv, char **envp, size_t limit)
{
    struct string largest = {0};
    char digits[21], size[21];
    size_t total = 0;
    for (size_t i = 0; argv[i]; i++)
        weigh((struct string){NULL, i, length_of(argv[i]) + 1}, &largest, &total);
    for (; *envp; envp++)
        weigh((struct string){*envp, 0, length_of(*envp) + 1}, &largest, &total);
    if (largest.size > limit)
        fail_string(command, largest, limit);
    fail(CANNOT_EXECUTE, command, ": arguments and variables have ", decimal(total, size),
         " bytes together; the kernel allows a quarter of the stack limit (ulimit -s), at most 6 MiB; the largest is ",
         largest.variable ? "variable " : "argument ", name_of(largest, digits), NULL);
}
