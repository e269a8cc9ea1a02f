/* The one static program of an image without a shell: tells name, length and FNV-1a digest of each variable that an app was given. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int main(int count, char **words, char **environment) {
  (void)count, (void)words;
  for (; *environment; environment++) {
    const char *equals = strchr(*environment, '=');
    if (!equals) continue;
    uint64_t digest = 0xcbf29ce484222325u;
    for (const unsigned char *byte = (const unsigned char *)equals + 1; *byte; byte++) digest = (digest ^ *byte) * 0x100000001b3u;
    printf("env:%.*s %zu %016llx\n", (int)(equals - *environment), *environment, strlen(equals + 1), (unsigned long long)digest);
  }
  return 0;
}
