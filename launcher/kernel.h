/* What the launcher needs of Linux, without a libc: the system calls, memory, and the place where the kernel starts us.
 *
 * A HOSTED build has memory and start from tests/launcher/hosted.h instead, so that sanitizers and valgrind watch every byte.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Linux' own numbers; those of errno and of open's flags are the same on both machines. */
#if defined(__x86_64__)
enum { READ = 0, FSTAT = 5, BRK = 12, WRITEV = 20, EXECVE = 59, EXIT_GROUP = 231, OPENAT = 257, FACCESSAT = 269 };
struct stat { char before[24]; unsigned mode; char between[20]; long size; char after[88]; };
#elif defined(__aarch64__)
enum { READ = 63, FSTAT = 80, BRK = 214, WRITEV = 66, EXECVE = 221, EXIT_GROUP = 94, OPENAT = 56, FACCESSAT = 48 };
struct stat { char before[16]; unsigned mode; char between[28]; long size; char after[72]; };
#else
#error "allowed: x86_64, aarch64"
#endif
enum { KIND = 0170000, REGULAR_FILE = 0100000 }; /* of mode */
enum { ENOENT = 2, EINTR = 4, E2BIG = 7, ENOEXEC = 8, ENOMEM = 12, EACCES = 13, ENOTDIR = 20, ETXTBSY = 26, ENAMETOOLONG = 36, ELOOP = 40 };
enum { O_NONBLOCK = 04000, O_CLOEXEC = 02000000, AT_FDCWD = -100, AT_PAGESZ = 6, STDERR = 2 };

static long sys(long number, long a, long b, long c)
{
#if defined(__x86_64__)
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#endif
}

#ifndef HOSTED
/* Zeroed memory, or NULL. */
static inline void *allocate(size_t size)
{
    long begin = (sys(BRK, 0, 0, 0) + 15) & -16L;
    long end = begin + (long)size;
    return sys(BRK, end, 0, 0) == end ? (void *)begin : NULL;
}

#ifndef ENTRY /* tests/launcher/dump.c has its own */
#define ENTRY launch
#endif
int ENTRY(int argc, char **argv, char **envp);

/* The kernel's stack: argc, argv, NULL, envp, NULL, the auxiliary vector. */
#if defined(__x86_64__)
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
#else
__asm__(".globl _start\n_start: mov x29, #0\n mov x30, #0\n mov x0, sp\n bl begin\n");
#endif

_Noreturn void begin(long *stack);
_Noreturn void begin(long *stack)
{
    char **argv = (char **)(stack + 1);
    int code = ENTRY((int)stack[0], argv, argv + stack[0] + 1);
    for (;;)
        sys(EXIT_GROUP, code, 0, 0);
}
#endif
