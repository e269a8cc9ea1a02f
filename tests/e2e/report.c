/* The one static program of an image without a shell: tells length and FNV-1a digest of each variable and word that an app was given. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void tell(const char *text) {
  uint64_t digest = 0xcbf29ce484222325u;
  for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++) digest = (digest ^ *byte) * 0x100000001b3u;
  printf(" %zu %016llx\n", strlen(text), (unsigned long long)digest);
}

int main(int count, char **words, char **environment) {
  for (int i = 0; i < count; i++) printf("word:%d", i), tell(words[i]);
  for (; *environment; environment++) {
    const char *equals = strchr(*environment, '=');
    if (!equals) continue;
    printf("env:%.*s", (int)(equals - *environment), *environment), tell(equals + 1);
  }
  return 0;
}
