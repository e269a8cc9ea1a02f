/* Text that ends in NUL, and the last words of a launcher that cannot start its program. */
#include <stdarg.h>

enum { BAD_FILE = 125, CANNOT_EXECUTE = 126, NOT_FOUND = 127 }; /* exit codes; the last two as a shell has them */
enum { NO_INTERPRETER = 4096 }; /* our own, past every errno: the program is there, and what it names to run it is not */

struct text { char *at; size_t size; }; /* that is being made; at NULL: only the size is wanted */

static size_t length_of(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

static size_t name_length(const char *entry)
{
    size_t length = 0;
    while (entry[length] && entry[length] != '=')
        length++;
    return length;
}

static bool same(const char *one, const char *other, size_t size)
{
    while (size && *one == *other)
        one++, other++, size--;
    return size == 0;
}

static const char *find_byte(const char *text, char wanted)
{
    while (*text && *text != wanted)
        text++;
    return *text ? text : NULL;
}

static void put(struct text *out, const char *bytes, size_t size)
{
    for (size_t i = 0; out->at && i < size; i++)
        out->at[out->size + i] = bytes[i];
    out->size += size;
}

static const char *decimal(unsigned long number, char digits[21])
{
    char *at = digits + 20;
    *at = 0;
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    return at;
}

/* Say it in one write, so that it stays one line of the log, and end. The texts end with NULL. */
static _Noreturn void fail(int code, ...)
{
    struct { const char *at; size_t size; } parts[12];
    size_t count = 0;
    va_list texts;
    va_start(texts, code);
    for (const char *text = "tfy-secret-launcher: "; text && count < 11; text = va_arg(texts, const char *), count++)
        parts[count].at = text, parts[count].size = length_of(text);
    va_end(texts);
    parts[count].at = "\n", parts[count].size = 1;
    sys(WRITEV, STDERR, (long)parts, (long)count + 1);
    for (;;)
        sys(EXIT_GROUP, code, 0, 0);
}

static void *allocate_or_fail(size_t size)
{
    void *memory = allocate(size);
    if (!memory)
        fail(BAD_FILE, "there is no memory left to prepare the program's start", NULL);
    return memory;
}

static const char *reason(int error, char digits[21])
{
    switch (error) {
    case ENOENT: return "it does not exist";
    case NO_INTERPRETER: return "it exists, but the interpreter or loader that it names does not";
    case EACCES: return "permission is denied: this user may not, or it is a folder";
    case ENOEXEC: return "it is not a program of this machine; a script needs a first line that begins with #!";
    case ENOTDIR: return "a part of its path is not a folder";
    case ENAMETOOLONG: return "its path is too long";
    case ELOOP: return "its path has too many symbolic links";
    case ETXTBSY: return "it is open for writing";
    case ENOMEM: return "there is no memory left";
    default: return decimal((unsigned long)error, digits);
    }
}
