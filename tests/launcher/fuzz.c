/* fuzz ROUNDS SEED: made-up and damaged env files, texts and environments through the launcher's own functions, under ASan and UBSan.
 *
 * Every buffer has exactly the bytes that it may, so that one byte too far is seen. Every answer is compared with a second
 * implementation of the rules, written for shortness alone; a difference aborts. The same seed makes the same run.
 */
#define HOSTED
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 512 };
static void *allocated[16]; /* in this round */
static size_t allocated_count;

static void *allocate(size_t size)
{
    return allocated[allocated_count++] = calloc(1, size);
}

#define launch unused_launch
#include "../../initcontainer/launcher.c"

static uint64_t state;

static size_t below(size_t limit)
{
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (size_t)(state >> 16) % limit;
}

/* Pieces that meet in every order: what the formats are made of, and what is next to it. */
static const char *const PIECES[] = {"A", "B", "AB", "=", "==", "", "$", "(", ")", "$(", "$(tfy-secret:", "$(tfy-secret:A)", "$(tfy-secret:AB)", "$(tfy-secret", "\xff", "\n", "x"};

static size_t some_text(char *into, size_t pieces)
{
    size_t size = 0;
    *into = 0;
    for (; pieces; pieces--) {
        const char *piece = PIECES[below(sizeof PIECES / sizeof *PIECES)];
        size += (size_t)sprintf(into + size, "%s", piece);
    }
    return size;
}

static size_t some_body(char *into)
{
    size_t size = 0, entries = below(6);
    for (size_t i = 0; i < entries; i++) {
        if (below(8))
            size += (size_t)sprintf(into + size, "%s", below(2) ? "A" : "B");
        if (below(4))
            into[size++] = '=';
        size += some_text(into + size, below(4));
        into[size++] = 0;
    }
    return size;
}

static unsigned slow_crc(const unsigned char *bytes, size_t size)
{
    unsigned crc = ~0u;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        unsigned one = (crc ^ (unsigned)(bytes[bit / 8] >> bit % 8)) & 1;
        crc = crc >> 1 ^ (one ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* As Python's encode would frame it. */
static size_t frame(char *into, const char *body, size_t size)
{
    int header = sprintf(into, "tfy-secret-env 1 %zu %08x\n", size, slow_crc((const unsigned char *)body, size));
    memcpy(into + header, body, size);
    return (size_t)header + size;
}

static size_t damage(char *file, size_t size)
{
    switch (below(4)) {
    case 0: return below(size); /* cut short */
    case 1: file[below(size)] ^= (char)(1 << below(8)); return size;
    case 2: file[below(size)] = PIECES[below(5)][0]; return size;
    default: file[size] = (char)below(256); return size + 1;
    }
}

static bool is_good(const char *file, size_t size)
{
    char again[2 * MOST];
    const char *line = memchr(file, '\n', size);
    if (!line)
        return false;
    const char *body = line + 1, *end = file + size;
    if (frame(again, body, (size_t)(end - body)) != size || memcmp(again, file, size))
        return false;
    for (const char *at = body; at < end; at += strlen(at) + 1)
        if (end[-1] || !*at || *at == '=')
            return false;
    return true;
}

/* The last entry of a name in the body, or NULL. */
static const char *last_of(struct span body, const char *name, size_t length)
{
    const char *found = NULL;
    for (const char *at = body.at; at < body.end; at += strlen(at) + 1)
        if (strcspn(at, "=") == length && !memcmp(at, name, length))
            found = at;
    return found;
}

static size_t expanded(struct span body, const char *text, char *into)
{
    size_t size = 0;
    const char *mark, *end;
    while ((mark = strstr(text, MARK)) && (end = strchr(mark, ')'))) {
        const char *name = mark + strlen(MARK);
        int length = (int)(end - name);
        const char *entry = last_of(body, name, (size_t)length);
        size += (size_t)sprintf(into + size, "%.*s", (int)(mark - text), text);
        size += (size_t)(entry && entry[length] ? sprintf(into + size, "%s", entry + length + 1) : sprintf(into + size, "$(%.*s)", length, name));
        text = end + 1;
    }
    return size + (size_t)sprintf(into + size, "%s", text);
}

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "fuzz: %s\n", what);
        abort();
    }
}

static void check_text(struct span body, const struct variables *all)
{
    char text[MOST], wanted[8 * MOST];
    size_t length = some_text(text, below(12)), size = expanded(body, text, wanted);
    char *exact = strcpy(malloc(length + 1), text), *into = malloc(size + 1);
    require(expand(exact, all, NULL) == size, "expand: the size that is wanted");
    require(expand(exact, all, into) == size && !memcmp(into, wanted, size), "expand: the text");
    free(exact);
    free(into);
}

static void check_environment(struct span body, const struct variables *all)
{
    char a[] = "A=own", naked[] = "B", other[] = "C=own", empty[] = "=x", again[] = "A=again";
    char *own[] = {a, naked, other, empty, again, NULL};
    char **environment = new_environment(own, all), **next = environment;
    for (char **one = own; *one; one++)
        if (!last_of(body, *one, strcspn(*one, "=")))
            require(*next++ == *one, "environment: our own variable");
    for (const char *at = body.at; at < body.end; at += strlen(at) + 1)
        if (strchr(at, '=') && last_of(body, at, strcspn(at, "=")) == at)
            require(*next++ == at, "environment: the file's variable");
    require(!*next, "environment: its end");
}

static bool try_one(void)
{
    char body[MOST], file[2 * MOST];
    size_t size = frame(file, body, some_body(body));
    if (below(3) == 0)
        size = damage(file, size);
    char *exact = calloc(1, size + 1); /* read_file leaves one zero behind the end, too */
    memcpy(exact, file, size);
    struct variables all;
    bool good = !parse((struct span){exact, exact + size}, &all);
    require(good == is_good(exact, size), good ? "parse: takes a damaged file" : "parse: refuses a good file");
    if (good) {
        struct span rest = {strchr(exact, '\n') + 1, exact + size};
        check_text(rest, &all);
        check_environment(rest, &all);
    }
    free(exact);
    while (allocated_count)
        free(allocated[--allocated_count]);
    return good;
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000, good = 0;
    state = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    for (unsigned long round = 0; round < rounds; round++)
        good += try_one();
    (void)run; /* and launch: the parts that leave this process */
    printf("%lu of %lu files were good\n", good, rounds);
    return 0;
}
