/* wordstats: counts the characters, lines and words of a text. The text is standard
 * input, and `--top N` says how many of the most frequent words to list. */
#include <string.h>

#include "bulkhead.h"

typedef struct {
    const char *text;
    size_t length, count;
} Word;

typedef struct {
    Word *at;
    size_t length;
} Words;

/* Unicode code points: every byte of UTF-8 that does not continue one. */
static size_t characters(const char *text, size_t length) {
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += (text[i] & 0xc0) != 0x80;
    return count;
}

static size_t lines(const char *text, size_t length) {
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += text[i] == '\n';
    return count + (length > 0 && text[length - 1] != '\n');
}

/* Not those of ctype.h, which are the locale's; a word means the same in every language. */
static int is_space(char c) { return c == ' ' || ('\t' <= c && c <= '\r'); }

static int is_punctuation(char c) {
    return ('!' <= c && c <= '/') || (':' <= c && c <= '@') || ('[' <= c && c <= '`') || ('{' <= c && c <= '~');
}

/* The words of a text, in order, each as often as it occurs. Puts the text in lower case. */
static Words split(char *text, size_t length) {
    /* A word and what ends it take two bytes. */
    Words words = {malloc((length / 2 + 1) * sizeof(Word)), 0};
    if (!words.at) abort();
    for (size_t next = 0; next < length;) {
        size_t start = next;
        while (next < length && !is_space(text[next])) next++;
        size_t end = next++;
        while (start < end && is_punctuation(text[start])) start++;
        while (start < end && is_punctuation(text[end - 1])) end--;
        for (size_t i = start; i < end; i++)
            if ('A' <= text[i] && text[i] <= 'Z') text[i] += 'a' - 'A';
        if (start < end) words.at[words.length++] = (Word){text + start, end - start, 1};
    }
    return words;
}

/* By bytes, which for UTF-8 is by code points. */
static int by_text(const void *left, const void *right) {
    const Word *a = left, *b = right;
    int order = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static int by_count(const void *left, const void *right) {
    const Word *a = left, *b = right;
    return a->count != b->count ? (a->count < b->count ? 1 : -1) : by_text(a, b);
}

/* Sorts the words and counts equal ones, of which one is left. */
static void count(Words *words) {
    size_t distinct = 0;
    qsort(words->at, words->length, sizeof(Word), by_text);
    for (size_t i = 0; i < words->length; i++) {
        if (distinct > 0 && by_text(&words->at[distinct - 1], &words->at[i]) == 0)
            words->at[distinct - 1].count++;
        else
            words->at[distinct++] = words->at[i];
    }
    words->length = distinct;
}

/* The word of most code points, the first of several in sorted words. */
static Word longest(Words words) {
    Word found = {"", 0, 0};
    size_t most = 0;
    for (size_t i = 0; i < words.length; i++) {
        size_t points = characters(words.at[i].text, words.at[i].length);
        if (points > most) {
            most = points;
            found = words.at[i];
        }
    }
    return found;
}

int main(int argc, char **argv) {
    /* JSON may write 10 as 10.0 or 1e1, which strtol would read as 1. */
    size_t top = argc == 3 && strcmp(argv[1], "--top") == 0 ? (size_t)strtod(argv[2], NULL) : 10;
    size_t length;
    char *text = bulkhead_read(&length);
    Words words = split(text, length);
    if (words.length == 0) bulkhead_fail("EMPTY_TEXT", "The text has no words.");

    printf("{\"characters\":%zu,\"lines\":%zu,\"words\":%zu,", characters(text, length), lines(text, length), words.length);
    count(&words);
    Word word = longest(words);
    printf("\"distinct\":%zu,\"longest\":", words.length);
    bulkhead_string(stdout, word.text, word.length);
    printf(",\"frequent\":[");
    qsort(words.at, words.length, sizeof(Word), by_count);
    for (size_t i = 0; i < top && i < words.length; i++) {
        printf("%s{\"word\":", i > 0 ? "," : "");
        bulkhead_string(stdout, words.at[i].text, words.at[i].length);
        printf(",\"count\":%zu}", words.at[i].count);
    }
    printf("]}\n");
    return 0;
}
