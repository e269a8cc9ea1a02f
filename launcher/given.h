/* What the program is given: its environment, and its arguments with the marks of secrets replaced. */

#define MARK "$(tfy-secret:"

static char **new_environment(char **own, const struct variables *all)
{
    size_t count = 0;
    while (own[count])
        count++;
    char **made = allocate_or_fail((count + all->count + 1) * sizeof *made), **next = made;
    for (; *own; own++)
        if (!*slot_of(all, *own, name_length(*own)))
            *next++ = *own;
    for (struct variable *one = all->list; one < all->list + all->count; one++)
        if (*slot_of(all, one->entry, one->name) == one && one->entry[one->name])
            *next++ = (char *)(uintptr_t)one->entry; /* execve takes no const, and changes nothing */
    return made;
}

static void put_value(struct text *out, const char *name, size_t length, const struct variables *all)
{
    const struct variable *found = *slot_of(all, name, length);
    if (found && found->entry[length]) {
        put(out, found->entry + length + 1, length_of(found->entry + length + 1));
    } else {
        put(out, "$(", 2);
        put(out, name, length);
        put(out, ")", 1);
    }
}

/* Put the text with its marks replaced; the size of that. */
static size_t expand(const char *text, const struct variables *all, char *into)
{
    struct text out = {into, 0};
    while (*text) {
        if (!same(text, MARK, sizeof MARK - 1)) {
            put(&out, text++, 1);
            continue;
        }
        const char *name = text + sizeof MARK - 1, *end = find_byte(name, ')');
        if (!end)
            break; /* nor does any later mark end: the rest stays as it is */
        put_value(&out, name, (size_t)(end - name), all);
        text = end + 1;
    }
    put(&out, text, length_of(text));
    return out.size;
}

static char **expand_all(char **texts, const struct variables *all, size_t limit)
{
    size_t count = 0;
    while (texts[count])
        count++;
    char **made = allocate_or_fail((count + 1) * sizeof *made);
    for (size_t i = 0; i < count; i++) {
        size_t size = expand(texts[i], all, NULL) + 1;
        if (size > limit) /* before it is made: a value may stand in it thousands of times */
            fail_string(texts[0], (struct string){NULL, i, size}, limit);
        made[i] = allocate_or_fail(size);
        expand(texts[i], all, made[i]);
    }
    return made;
}
