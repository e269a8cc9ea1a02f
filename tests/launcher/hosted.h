/* A libc in the place of the launcher's own memory and start: each allocation has its own bounds, which ASan and valgrind know. */
#define HOSTED
#include <stdlib.h>

static void *allocate(size_t size)
{
    return calloc(1, size);
}
