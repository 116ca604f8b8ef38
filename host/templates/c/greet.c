/* The tool of {{name}}: a program that reads standard input and writes standard output.
 * plugin.toml says what a model reads about it, and how a call becomes a run of it. */
#include <string.h>

#include "bulkhead.h"

int main(void) {
    size_t length;
    char *name = bulkhead_read(&length);
    while (length > 0 && name[length - 1] == ' ') length--;
    size_t start = strspn(name, " ");
    if (start >= length) bulkhead_fail("EMPTY_NAME", "The name is empty; ask who is to be greeted.");

    size_t size = length - start + sizeof "Hello, !";
    char *greeting = malloc(size);
    if (!greeting) abort();
    int written = snprintf(greeting, size, "Hello, %.*s!", (int)(length - start), name + start);
    printf("{\"greeting\":");
    bulkhead_string(stdout, greeting, (size_t)written);
    printf("}\n");
    return 0;
}
