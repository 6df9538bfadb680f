/* Parses the JSON of a request into a tree of values. Memory is never freed, because the program ends with the check. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Json Json;
struct Json {
    char kind; /* { for an object, [ for an array, " for a string, 0 for a number or word */
    char *key, *text;
    double number;
    Json *child, *next;
};

static char *skip_space(char *at) { return at + strspn(at, " \t\r\n"); }

static char *read_value(char *at, Json *into) {
    at = skip_space(at);
    into->kind = *at == '{' || *at == '[' || *at == '"' ? *at : 0;
    if (into->kind == '"') { /* keys and values contain no escapes */
        into->text = ++at;
        at = strchr(at, '"');
        *at++ = 0;
        into->number = strtod(into->text, NULL); /* "NaN" and "Infinity" */
    } else if (into->kind) {
        Json **last = &into->child;
        for (at = skip_space(at + 1); *at != '}' && *at != ']'; at = skip_space(at)) {
            Json *entry = *last = calloc(1, sizeof(Json));
            if (into->kind == '{') {
                Json key = {0};
                at = skip_space(read_value(at, &key)) + 1; /* the colon */
                entry->key = key.text;
            }
            at = skip_space(read_value(at, entry));
            at += *at == ',';
            last = &entry->next;
        }
        at++;
    } else {
        into->number = strtod(at, &at);
    }
    return at;
}

static Json *get(Json *object, const char *key) {
    Json *entry = object->child;
    while (entry && strcmp(entry->key, key)) entry = entry->next;
    return entry;
}

static void print_number(double v) {
    if (isfinite(v)) printf("%.17g", v);
    else printf(isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
}
