/* bulkhead.h: what a tool in C needs besides the standard library: all of standard
 * input, strings in JSON, and errors that an agent can reason about. */
#ifndef BULKHEAD_H
#define BULKHEAD_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* All of standard input. Its length is in `*length`: a text may hold zero bytes. One
 * more follows it, for functions that look for an end. It need not be freed: the
 * process ends with the call. */
static inline char *bulkhead_read(size_t *length) {
    size_t size = 4096, used = 0, got;
    char *text = malloc(size);
    while (text && (got = fread(text + used, 1, size - used - 1, stdin)) > 0) {
        used += got;
        if (size - used == 1) {
            char *larger = realloc(text, size *= 2);
            if (!larger) free(text);
            text = larger;
        }
    }
    /* The host knows that it refused memory, and says so to the agent. */
    if (!text) abort();
    text[used] = '\0';
    *length = used;
    return text;
}

/* The length of the UTF-8 character at `at`, 1 to 4, or 0 where there is none: neither
 * an overlong form, nor a surrogate, nor what lies beyond U+10FFFF is one. */
static inline size_t bulkhead_character(const char *at, size_t left) {
    const unsigned char *byte = (const unsigned char *)at;
    size_t length = byte[0] < 0x80 ? 1 : byte[0] < 0xc2 ? 0 : byte[0] < 0xe0 ? 2
                  : byte[0] < 0xf0 ? 3 : byte[0] < 0xf5 ? 4 : 0;
    if (length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if ((byte[i] & 0xc0) != 0x80) return 0;
    if (byte[0] == 0xe0 && byte[1] < 0xa0) return 0;
    if (byte[0] == 0xed && byte[1] > 0x9f) return 0;
    if (byte[0] == 0xf0 && byte[1] < 0x90) return 0;
    if (byte[0] == 0xf4 && byte[1] > 0x8f) return 0;
    return length;
}

/* Writes `length` bytes as a JSON string, with its quotes. A byte that is not UTF-8
 * becomes U+FFFD, since JSON has no place for it. */
static inline void bulkhead_string(FILE *out, const char *text, size_t length) {
    putc('"', out);
    for (size_t i = 0, step; i < length; i += step) {
        step = bulkhead_character(text + i, length - i);
        if (step == 0) {
            fputs("\xef\xbf\xbd", out);
            step = 1;
        } else if (text[i] == '"' || text[i] == '\\') {
            fprintf(out, "\\%c", text[i]);
        } else if ((unsigned char)text[i] < 0x20) {
            fprintf(out, "\\u%04x", (unsigned)text[i]);
        } else {
            fwrite(text + i, 1, step, out);
        }
    }
    putc('"', out);
}

/* Ends the program with an error that the agent reads: a code of 3 to 64 of A-Z, 0-9 and
 * _ that starts with a letter, and a sentence, written like printf's. */
__attribute__((noreturn, format(printf, 2, 3)))
static inline void bulkhead_fail(const char *code, const char *format, ...) {
    char message[4096];
    va_list values;
    va_start(values, format);
    int length = vsnprintf(message, sizeof message, format, values);
    va_end(values);
    if (length < 0) length = 0;
    if ((size_t)length >= sizeof message) length = sizeof message - 1;
    /* On a line of its own, whatever was printed before: the host reads the last one. */
    fputs("\n{\"code\":\"", stderr);
    fputs(code, stderr);
    fputs("\",\"message\":", stderr);
    bulkhead_string(stderr, message, (size_t)length);
    fputs("}\n", stderr);
    exit(1);
}

#endif
