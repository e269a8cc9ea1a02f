/* The env file: read whole, checked to the last byte, and its variables found by name. initcontainer/launch.py writes it. */

enum { FILE_LIMIT = 8 * 1024 * 1024 }; /* bytes; the kernel takes 6 MiB of arguments and variables at most */
#define UNSTARTED "; the program is not started without its variables"

struct span { const char *at, *end; };
struct variable { const char *entry; size_t name; }; /* NAME=VALUE or NAME, and the length of NAME */
struct variables { struct variable *list, **slots; size_t count, mask; }; /* slots: a hash table with the last one of each name */

static struct span read_file(const char *path)
{
    char digits[21];
    struct stat stat;
    long got, done = 0;
    long file = sys(OPENAT, AT_FDCWD, (long)path, O_NONBLOCK | O_CLOEXEC); /* a pipe without a writer must not hold us */
    long error = file < 0 ? file : sys(FSTAT, file, (long)&stat, 0);
    if (error < 0)
        fail(BAD_FILE, path, ": it cannot be read: ", reason((int)-error, digits), UNSTARTED, NULL);
    if ((stat.mode & KIND) != REGULAR_FILE)
        fail(BAD_FILE, path, ": found a folder or a special file; allowed: a regular file, as the init container writes it", NULL);
    if (stat.size > FILE_LIMIT)
        fail(BAD_FILE, path, ": it is larger than 8 MiB, more than any program can be started with", NULL);
    char *content = allocate_or_fail((size_t)stat.size + 1);
    while ((got = sys(READ, file, (long)(content + done), stat.size + 1 - done)) > 0 || got == -EINTR)
        done += got > 0 ? got : 0;
    if (got < 0)
        fail(BAD_FILE, path, ": it cannot be read: ", reason((int)-got, digits), UNSTARTED, NULL);
    if (done != stat.size)
        fail(BAD_FILE, path, ": its size changed while it was read", UNSTARTED, NULL);
    return (struct span){content, content + done};
}

static bool take(struct span *rest, const char *text)
{
    size_t size = length_of(text);
    if ((size_t)(rest->end - rest->at) < size || !same(rest->at, text, size))
        return false;
    rest->at += size;
    return true;
}

/* A number as Python's %d and %08x write it: any other spelling is a changed byte. */
static bool take_number(struct span *rest, unsigned base, size_t least, size_t most, uint32_t *number)
{
    const char *begin = rest->at;
    for (*number = 0; rest->at < rest->end && (size_t)(rest->at - begin) < most; rest->at++) {
        unsigned digit = (unsigned char)*rest->at - '0';
        if (digit > 9)
            digit = *rest->at >= 'a' ? (unsigned)(*rest->at - 'a') + 10 : base;
        if (digit >= base)
            break;
        *number = *number * base + digit;
    }
    size_t length = (size_t)(rest->at - begin);
    return length >= least && (base != 10 || length == 1 || *begin != '0');
}

static uint32_t crc32(struct span bytes)
{
    uint32_t table[256], crc = 0xffffffff;
    for (uint32_t byte = 0; byte < 256; byte++) {
        table[byte] = byte;
        for (int bit = 0; bit < 8; bit++)
            table[byte] = table[byte] >> 1 ^ (table[byte] & 1 ? 0xedb88320 : 0);
    }
    for (; bytes.at < bytes.end; bytes.at++)
        crc = crc >> 8 ^ table[(crc ^ (unsigned char)*bytes.at) & 255];
    return ~crc;
}

/* What is wrong with the file, or NULL: then `rest` is left at its body. */
static const char *check(struct span *rest)
{
    uint32_t size, crc;
    if (!take(rest, "tfy-secret-env "))
        return "it is empty, truncated, or no env file: it does not begin with 'tfy-secret-env'";
    if (!take(rest, "1 "))
        return "it is not of version 1; launcher and init container must come from one image";
    if (!take_number(rest, 10, 1, 7, &size) || !take(rest, " ") || !take_number(rest, 16, 8, 8, &crc) || !take(rest, "\n"))
        return "its first line is damaged or truncated";
    if ((size_t)(rest->end - rest->at) < size)
        return "it is truncated";
    if ((size_t)(rest->end - rest->at) > size)
        return "it has bytes past its end";
    if (crc32(*rest) != crc)
        return "it is damaged: its checksum does not match";
    if (size && rest->end[-1])
        return "its last entry does not end in NUL";
    return NULL;
}

/* The slot of a name: empty if the file does not have it. */
static struct variable **slot_of(const struct variables *all, const char *name, size_t length)
{
    size_t at = 5381;
    for (size_t i = 0; i < length; i++)
        at = at * 33 ^ (unsigned char)name[i];
    for (at &= all->mask; all->slots[at]; at = (at + 1) & all->mask)
        if (all->slots[at]->name == length && same(all->slots[at]->entry, name, length))
            break;
    return &all->slots[at];
}

/* What is wrong with the file, or NULL: then `all` holds its variables. */
static const char *parse(struct span file, struct variables *all)
{
    const char *problem = check(&file);
    size_t most = 0;
    if (problem)
        return problem;
    for (const char *at = file.at; at < file.end; at++)
        most += !*at;
    for (all->mask = 1; all->mask < 2 * most; all->mask = all->mask * 2 + 1)
        ; /* at least half of the slots stay empty, so that every search ends soon */
    all->count = 0;
    all->list = allocate_or_fail(most * sizeof *all->list + 1);
    all->slots = allocate_or_fail((all->mask + 1) * sizeof *all->slots);
    for (const char *at = file.at; at < file.end; at += length_of(at) + 1) {
        struct variable *one = &all->list[all->count++];
        *one = (struct variable){at, name_length(at)};
        if (!one->name)
            return "an entry has no name";
        *slot_of(all, at, one->name) = one;
    }
    return NULL;
}
