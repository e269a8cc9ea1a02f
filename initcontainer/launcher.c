/* The launcher of mode exec: starts a container's program with the variables of the container's env file, in the same process.
 *
 *     launcher ENVFILE COMMAND [ARG...]
 *
 * ENVFILE is what initcontainer/launch.py writes: one line "tfy-secret-env 1 <size> <crc32>", then `size` bytes of NAME=VALUE\0,
 * or NAME\0 for a variable that must not be set. The program gets our environment without those names, then the file's
 * variables in their order. In COMMAND and ARG each $(tfy-secret:NAME) becomes NAME's value from the file, or $(NAME) where
 * the file gives it none: one pass, as the kubelet expands. PATH is searched as execvp does, in the new environment.
 *
 * Exit code  125  the file is missing, unreadable or damaged, or we were called wrongly: the program is never started without
 *                 its values;   126  the program cannot be executed;   127  it is not found.
 * No message shows a value: not an expanded command or argument, and no folder of PATH, which may come from the file.
 *
 * Freestanding, so that it runs in an image that holds nothing else: no libc, no /proc, no writes, memory by brk. No
 * fork, no signal handler, no file left open: what the program inherits is what we did. Memory is given back by execve alone.
 */
#include "../launcher/kernel.h"
#include "../launcher/text.h"
#include "../launcher/envfile.h"
#include "../launcher/limits.h"
#include "../launcher/given.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" /* what runc takes where PATH is not set */

static int execute(const char *path, char **argv, char **envp)
{
    int error = (int)-sys(EXECVE, (long)path, (long)argv, (long)envp);
    return error == ENOENT && sys(FACCESSAT, AT_FDCWD, (long)path, 0) == 0 ? NO_INTERPRETER : error;
}

static bool not_here(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG || error == ELOOP;
}

/* Try each folder of PATH. A program that may not be executed in one is looked for in the next, and told if none has it. */
static int search(const char *path, char **argv, char **envp)
{
    int told = ENOENT;
    char *candidate = allocate_or_fail(length_of(path) + length_of(argv[0]) + 2);
    for (const char *end; path; path = *end ? end + 1 : NULL) {
        struct text out = {candidate, 0};
        for (end = path; *end && *end != ':';)
            end++;
        put(&out, path, (size_t)(end - path));
        put(&out, "/", end > path); /* an empty element is the working directory */
        put(&out, argv[0], length_of(argv[0]) + 1);
        int error = execute(candidate, argv, envp);
        if (error == EACCES || (error == NO_INTERPRETER && told == ENOENT))
            told = error;
        else if (!not_here(error) && error != NO_INTERPRETER)
            return error;
    }
    return told;
}

static const char *path_in(char **envp)
{
    for (; *envp; envp++)
        if (same(*envp, "PATH=", 5))
            return *envp + 5;
    return DEFAULT_PATH;
}

/* Returns only where it fails: the error. */
static int run(char **argv, char **envp)
{
    if (!*argv[0])
        return ENOENT;
    if (find_byte(argv[0], '/'))
        return execute(argv[0], argv, envp);
    return search(path_in(envp), argv, envp);
}

int launch(int argc, char **argv, char **envp); /* kernel.h starts it; a HOSTED build has no declaration yet */
int launch(int argc, char **argv, char **envp)
{
    char digits[21];
    struct variables all;
    if (argc < 3)
        fail(BAD_FILE, "found no command; allowed: launcher ENVFILE COMMAND [ARG...]", NULL);
    const char *problem = parse(read_file(argv[1]), &all);
    if (problem)
        fail(BAD_FILE, argv[1], ": ", problem, UNSTARTED, NULL);
    size_t limit = string_limit(envp);
    char **arguments = expand_all(argv + 2, &all, limit), **environment = new_environment(envp, &all);
    int error = run(arguments, environment);
    if (error == E2BIG)
        fail_too_big(argv[2], arguments, environment, limit);
    if (error == ENOENT && !find_byte(arguments[0], '/'))
        fail(NOT_FOUND, argv[2], ": it is in no folder of PATH", NULL); /* argv[2], because an expanded command may be a secret */
    fail(not_here(error) || error == NO_INTERPRETER ? NOT_FOUND : CANNOT_EXECUTE, argv[2], ": ", reason(error, digits), NULL);
}
