/* nnlayer.h answers `nnlayer gradcheck` from C99 or C++11. It is one file without dependencies:

       #include "nnlayer.h"

       static void forward(nnl_point *point) {
           nnl_array x = nnl_input(point, "x"), y = nnl_zeros(x.rank, x.shape);
           for (size_t k = 0; k < x.size; k++) y.data[k] = x.data[k] > 0 ? x.data[k] : 0;
           nnl_put(point, "y", y);
       }

       static void backward(nnl_point *point) {
           nnl_array x = nnl_input(point, "x"), dout = point->dout, dx = nnl_zeros(x.rank, x.shape);
           for (size_t k = 0; k < x.size; k++) dx.data[k] = x.data[k] > 0 ? dout.data[k] : 0;
           nnl_put(point, "dx", dx);
       }

       int main(void) { return nnl_serve("relu", forward, backward); }

   Check it with: nnlayer gradcheck --layer relu --persistent -- ./relu

   docs/gradcheck-protocol.md describes the requests, of which this file reads both versions. Whatever it cannot read, and a setting
   that the program does not ask for, ends the program with a message and status 1. Arrays live until the request is answered.
   Include it in one source file; a program that calls setlocale must leave LC_NUMERIC at "C".

   Licence: MIT or Apache-2.0, at your option. */
#ifndef NNLAYER_H
#define NNLAYER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NNL_MAX_RANK 8

/* An array in row-major order: of rank 0 for a number, and with data NULL if it is absent. */
typedef struct {
    int rank;
    size_t shape[NNL_MAX_RANK], size;
    double *data;
} nnl_array;

/* One point of a request, at which the layer is computed. */
typedef struct {
    const char *layer;     /* name of the layer */
    const char *precision; /* "f64", "f32", "f16" or "bf16"; NULL if none is given */
    nnl_array dout;        /* upstream gradient, in backward */
    /* The rest is of this file. */
    const char *inputs, *settings, *separator;
    char *is_read; /* one flag for each setting */
} nnl_point;

typedef void nnl_function(nnl_point *point);

/* Ends the program with a message, which gradcheck shows. At most 60 bytes of the detail are printed. */
static inline void nnl_fail(const char *message, const char *detail) {
    fprintf(stderr, "nnlayer.h: %s: %.60s\n", message, detail);
    exit(1);
}

/* Memory of the current request: a list of blocks. */
typedef union nnl_block {
    union nnl_block *next;
    double alignment[2];
} nnl_block;
static nnl_block *nnl_blocks;

/* Returns zeros that live until the request is answered. */
static inline void *nnl_allocate(size_t count, size_t bytes) {
    nnl_block *block = NULL;
    if (count < (SIZE_MAX - sizeof(nnl_block)) / bytes) block = (nnl_block *)calloc(1, sizeof(nnl_block) + (count + 1) * bytes);
    if (!block) nnl_fail("out of memory", "an array is too large");
    block->next = nnl_blocks;
    nnl_blocks = block;
    return block + 1;
}

static inline void nnl_free_all(void) {
    while (nnl_blocks) {
        nnl_block *next = nnl_blocks->next;
        free(nnl_blocks);
        nnl_blocks = next;
    }
}

/* Returns zeros of a shape. */
static inline nnl_array nnl_zeros(int rank, const size_t *shape) {
    nnl_array array;
    memset(&array, 0, sizeof array);
    if (rank < 0 || rank > NNL_MAX_RANK) nnl_fail("an array has 0 to 8 axes", "nnl_zeros");
    array.rank = rank;
    array.size = 1;
    for (int axis = 0; axis < rank; axis++) {
        if (shape[axis] && array.size > SIZE_MAX / sizeof(double) / shape[axis]) nnl_fail("out of memory", "a shape overflows");
        array.shape[axis] = shape[axis];
        array.size *= shape[axis];
    }
    array.data = (double *)nnl_allocate(array.size, sizeof(double));
    return array;
}

/* JSON is read in place: a value is where its text begins. Returns the text behind the whitespace. */
static inline const char *nnl_space(const char *at) { return at + strspn(at, " \t\r\n"); }

/* Returns the text behind a value, which is checked for its brackets, quotes, colons and commas. */
static inline const char *nnl_skip(const char *at, int depth) {
    const char *begin = at;
    if (*at == '"') {
        for (at++; *at != '"'; at++) {
            if (*at == '\\') at++;
            if (!*at) nnl_fail("the request ends within a string", begin);
        }
        return at + 1;
    }
    if (*at != '[' && *at != '{') {
        at += strspn(at, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
        if (at == begin) nnl_fail("expected a JSON value", *at ? at : "the request ends");
        return at;
    }
    if (depth == 64) nnl_fail("brackets are nested too deeply", at);
    char closing = *at == '[' ? ']' : '}';
    for (at = nnl_space(at + 1); *at != closing || at[-1] == ',';) {
        if (closing == '}') {
            if (*at != '"') nnl_fail("expected a key", *at ? at : "the request ends");
            at = nnl_space(nnl_skip(at, depth + 1));
            if (*at != ':') nnl_fail("expected a colon", *at ? at : "the request ends");
            at = nnl_space(at + 1);
        }
        at = nnl_space(nnl_skip(at, depth + 1));
        if (*at != ',' && *at != closing) nnl_fail("expected a comma or a closing bracket", *at ? at : "the request ends");
        if (*at == ',') {
            at = nnl_space(at + 1);
            if (*at == closing) nnl_fail("expected a JSON value", at);
        }
    }
    return at + 1;
}

/* Returns the value or the closing bracket behind a value. */
static inline const char *nnl_next(const char *at) {
    at = nnl_skip(at, 0);
    return at + strspn(at, ",: \t\r\n");
}

/* Returns the value of a key, which is written without escapes; NULL if it is absent or null. */
static inline const char *nnl_find(const char *object, const char *key) {
    size_t length = strlen(key);
    if (!object || *object != '{') return NULL;
    for (const char *at = nnl_space(object + 1); *at != '}'; at = nnl_next(at)) {
        int is_key = !strncmp(at + 1, key, length) && at[length + 1] == '"';
        at = nnl_next(at);
        if (is_key) return strncmp(at, "null", 4) ? at : NULL;
    }
    return NULL;
}

/* Returns a copy of a string; NULL if the value is another one. */
static inline const char *nnl_text(const char *at) {
    if (!at || *at != '"') return NULL;
    size_t length = (size_t)(nnl_skip(at, 0) - at) - 2;
    return (const char *)memcpy(nnl_allocate(length, 1), at + 1, length);
}

/* Returns a number; true and false are 1 and 0, and the strings "NaN", "Infinity" and "-Infinity" are numbers. */
static inline double nnl_parse(const char *at) {
    size_t length = (size_t)(nnl_skip(at, 0) - at);
    char *end;
    double value = strtod(at + (*at == '"'), &end);
    if (!strncmp(at, "\"NaN\"", 5) || !strncmp(at, "\"Infinity\"", 10) || !strncmp(at, "\"-Infinity\"", 11)) return value;
    if (!strncmp(at, "true", 4) || !strncmp(at, "false", 5)) return *at == 't';
    if (strspn(at, "+-.0123456789eE") != length || end != at + length) nnl_fail("expected a number", at);
    return value;
}

/* Copies the numbers of nested lists, whose lengths must be those of the array; returns the text behind them. */
static inline const char *nnl_fill(const char *at, const nnl_array *array, int axis, size_t *filled) {
    size_t length = 0;
    if (axis == array->rank) {
        array->data[(*filled)++] = nnl_parse(at);
        return nnl_skip(at, 0);
    }
    if (*at != '[') nnl_fail("expected a list as deep as the first", at);
    for (at = nnl_space(at + 1); *at != ']' && length < array->shape[axis]; length++) {
        at = nnl_fill(at, array, axis + 1, filled);
        at += strspn(at, ", \t\r\n");
    }
    if (*at != ']' || length != array->shape[axis]) nnl_fail("rows have different lengths", at);
    return at + 1;
}

static inline nnl_array nnl_lists(const char *at) {
    size_t shape[NNL_MAX_RANK], length = (size_t)(nnl_skip(at, 0) - at), size = 1, filled = 0;
    int rank = 0;
    for (const char *list = at; *list == '['; list = nnl_space(list + 1)) {
        if (rank == NNL_MAX_RANK) nnl_fail("an array has at most 8 axes", at);
        shape[rank] = 0;
        for (const char *entry = nnl_space(list + 1); *entry != ']'; entry = nnl_next(entry)) shape[rank]++;
        /* Each number is a character at least. */
        if (shape[rank] && size > length / shape[rank]) nnl_fail("rows have different lengths", at);
        size *= shape[rank++];
    }
    nnl_array array = nnl_zeros(rank, shape);
    nnl_fill(at, &array, 0, &filled);
    return array;
}

/* Returns the number of four characters of base64, 24 bits; padding counts as zeros. */
static inline uint32_t nnl_base64(const char *at) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    for (int k = 0; k < 4; k++) {
        const char *digit = at[k] == '=' ? digits : at[k] ? strchr(digits, at[k]) : NULL;
        if (!digit) nnl_fail("expected base64", at);
        bits = bits << 6 | (uint32_t)(digit - digits);
    }
    return bits;
}

/* Returns the number with these bits; bfloat16 is the upper half of a float. */
static inline double nnl_from_bits(uint64_t bits, size_t bytes, int is_half) {
    if (bytes == 8) {
        double value;
        memcpy(&value, &bits, 8);
        return value;
    }
    float value;
    uint32_t word = (uint32_t)(bytes == 4 ? bits : bits << 16);
    if (is_half) {
        uint32_t exponent = bits >> 10 & 31, fraction = (uint32_t)(bits & 1023);
        if (exponent == 0) return (bits >> 15 ? -1.0 : 1.0) * fraction / 16777216; /* in units of 2^-24 */
        word = (uint32_t)(bits >> 15) << 31 | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    }
    memcpy(&value, &word, 4);
    return value;
}

/* Returns the array of an object with a shape, and a dtype and base64, or data, a list. */
static inline nnl_array nnl_packed(const char *object) {
    const char *shape_at = nnl_find(object, "shape"), *base64 = nnl_find(object, "base64"), *data = nnl_find(object, "data");
    const char *dtype = nnl_text(nnl_find(object, "dtype"));
    if (!shape_at || *shape_at != '[' || (base64 ? *base64 != '"' || !dtype : !data || *data != '[')) nnl_fail("expected an array", object);
    nnl_array shape = nnl_lists(shape_at), flat;
    size_t lengths[NNL_MAX_RANK], size = 1;
    if (base64) {
        size_t bytes = !strcmp(dtype, "f64") ? 8 : !strcmp(dtype, "f32") ? 4 : !strcmp(dtype, "f16") || !strcmp(dtype, "bf16") ? 2 : 0;
        size_t characters = (size_t)(nnl_skip(base64, 0) - base64) - 2, held = characters / 4 * 3;
        if (!bytes) nnl_fail("expected f64, f32, f16 or bf16", dtype);
        if (characters % 4) nnl_fail("expected base64 with padding", base64);
        if (held) held -= (size_t)(base64[characters] == '=') + (base64[characters - 1] == '=');
        if (held % bytes) nnl_fail("the base64 has a part of a number", base64);
        held /= bytes;
        flat = nnl_zeros(1, &held);
        uint64_t bits = 0, buffered = 0; /* low bytes first, and how many bits there are */
        for (size_t k = 0, number = 0; number < held; k++) {
            bits |= (uint64_t)(nnl_base64(base64 + 1 + k / 3 * 4) >> (16 - k % 3 * 8) & 255) << buffered;
            buffered += 8;
            if (buffered < bytes * 8) continue;
            flat.data[number++] = nnl_from_bits(bits, bytes, bytes == 2 && *dtype == 'f');
            bits = buffered = 0;
        }
    } else {
        flat = nnl_lists(data);
    }
    if (shape.rank != 1 || shape.size > NNL_MAX_RANK || flat.rank != 1) nnl_fail("expected a shape of at most 8 axes and a list", object);
    for (size_t axis = 0; axis < shape.size; axis++) {
        double length = shape.data[axis];
        if (!(length >= 0 && length < 9e15 && (double)(uint64_t)length == length)) nnl_fail("expected lengths of axes", shape_at);
        lengths[axis] = (size_t)length;
        size = length == 0 ? 0 : size > SIZE_MAX / lengths[axis] ? SIZE_MAX : size * lengths[axis];
    }
    if (size != flat.size) nnl_fail("the shape has another number of entries than the array", object);
    nnl_array array = nnl_zeros((int)shape.size, lengths);
    memcpy(array.data, flat.data, size * sizeof(double));
    return array;
}

static inline nnl_array nnl_read_array(const char *at) {
    nnl_array none;
    memset(&none, 0, sizeof none);
    return !at ? none : *at == '{' ? nnl_packed(at) : nnl_lists(at);
}

/* Returns an input that may be absent: its data is then NULL. */
static inline nnl_array nnl_optional(nnl_point *point, const char *name) { return nnl_read_array(nnl_find(point->inputs, name)); }

/* Returns an input. */
static inline nnl_array nnl_input(nnl_point *point, const char *name) {
    nnl_array array = nnl_optional(point, name);
    if (!array.data) nnl_fail("the request has no input of this name", name);
    return array;
}

/* Returns the value of a setting, and notes that the program knows it. */
static inline const char *nnl_setting(nnl_point *point, const char *name) {
    size_t n = 0, length = strlen(name);
    for (const char *at = nnl_space(point->settings + 1); *at != '}'; at = nnl_next(nnl_next(at)), n++)
        if (!strncmp(at + 1, name, length) && at[length + 1] == '"') point->is_read[n] = 1;
    return nnl_find(point->settings, name);
}

/* Returns a number among the settings, such as "eps"; true is 1. An absent one has its default. */
static inline double nnl_number(nnl_point *point, const char *name, double otherwise) {
    const char *at = nnl_setting(point, name);
    return at ? nnl_parse(at) : otherwise;
}

/* Returns a word among the settings, such as "reduction". */
static inline const char *nnl_word(nnl_point *point, const char *name, const char *otherwise) {
    const char *at = nnl_setting(point, name), *text = nnl_text(at);
    if (at && !text) nnl_fail("expected a string", at);
    return at ? text : otherwise;
}

/* Returns a number, list or rows of integers among the settings, such as "stride"; its data is NULL if it is absent. */
static inline nnl_array nnl_list(nnl_point *point, const char *name) { return nnl_read_array(nnl_setting(point, name)); }

/* Prints an array with digits that give back the same doubles: an output in forward, a gradient in backward. */
static inline void nnl_put(nnl_point *point, const char *name, nnl_array array) {
    char text[32];
    if (!array.data) nnl_fail("this result has no data", name);
    printf("%s\"%s\":", point->separator, name);
    point->separator = ",";
    if (!array.size) {
        /* Brackets would not tell all lengths. */
        printf("{\"shape\":[");
        for (int axis = 0; axis < array.rank; axis++) printf("%s%lu", axis ? "," : "", (unsigned long)array.shape[axis]);
        printf("],\"dtype\":\"f64\",\"base64\":\"\"}");
    }
    for (size_t k = 0; k < array.size; k++) {
        int opened = 0, closed = 0; /* brackets before and behind the entry */
        size_t block = 1;
        for (int axis = array.rank; axis-- > 0;) {
            block *= array.shape[axis];
            opened += k % block == 0;
            closed += (k + 1) % block == 0;
        }
        snprintf(text, sizeof text, "%.17g", array.data[k]);
        /* An n is in nan and inf, also where -ffast-math takes every number for finite. */
        if (strchr(text, 'n')) strcpy(text, strchr(text, 'a') ? "\"NaN\"" : *text == '-' ? "\"-Infinity\"" : "\"Infinity\"");
        printf("%s%.*s%s%.*s", k ? "," : "", opened, "[[[[[[[[", text, closed, "]]]]]]]]");
    }
}

/* Answers one point, whose inputs and dout are in the object; settings and names are those of the request. */
static inline void nnl_answer(nnl_point point, const char *object, nnl_function *forward, nnl_function *backward) {
    point.inputs = nnl_find(object, "inputs");
    if (!point.inputs || *point.inputs != '{') nnl_fail("expected a point with inputs", object);
    printf("{\"outputs\":{");
    point.separator = "";
    forward(&point);
    point.dout = nnl_read_array(nnl_find(object, "dout"));
    if (point.dout.data) { /* without dout, no gradients are needed */
        printf("},\"gradients\":{");
        point.separator = "";
        backward(&point);
        const char *entry = nnl_space(point.settings + 1);
        for (size_t n = 0; *entry != '}'; n++, entry = nnl_next(nnl_next(entry)))
            if (!point.is_read[n]) nnl_fail("this program does not know the setting", nnl_text(entry));
    }
    printf("}}");
}

/* Returns one line of standard input, which the caller frees; NULL at its end. */
static inline char *nnl_read_line(void) {
    size_t capacity = 1 << 16, length = 0;
    char *line = (char *)malloc(capacity);
    int c = EOF;
    while (line && (c = getchar()) != EOF && c != '\n') {
        if (length + 1 == capacity) {
            char *longer = capacity > SIZE_MAX / 2 ? NULL : (char *)realloc(line, capacity * 2);
            if (!longer) free(line);
            line = longer;
            capacity *= 2;
        }
        if (line) line[length++] = (char)c;
    }
    if (!line) nnl_fail("out of memory", "the request is too long");
    line[length] = 0;
    if (c != EOF || length > 0) return line;
    free(line);
    return NULL;
}

/* Answers the requests on standard input until it ends: one request, or several with --persistent. Returns 0. `layer` is the name of
   the one layer that the program computes; if it is NULL, the functions look at point->layer. */
static inline int nnl_serve(const char *layer, nnl_function *forward, nnl_function *backward) {
    for (char *line; (line = nnl_read_line()); free(line)) {
        const char *request = nnl_space(line), *at;
        size_t settings = 0;
        nnl_point point;
        memset(&point, 0, sizeof point);
        if (*nnl_space(nnl_skip(request, 0))) nnl_fail("expected one JSON object on a line", request);
        point.layer = nnl_text(nnl_find(request, "layer"));
        point.precision = nnl_text(nnl_find(request, "precision"));
        point.settings = nnl_find(request, "settings");
        at = nnl_find(request, "points");
        if (!point.layer || !point.settings || *point.settings != '{' || !at || *at != '[')
            nnl_fail("expected a request with a layer, its settings and points", request);
        if (layer && strcmp(point.layer, layer)) nnl_fail("this program computes another layer", layer);
        for (const char *entry = nnl_space(point.settings + 1); *entry != '}'; entry = nnl_next(nnl_next(entry))) settings++;
        point.is_read = (char *)nnl_allocate(settings, 1);

        at = nnl_space(at + 1);
        if (*at == ']') { /* the hello of version 2 */
            printf("{\"nnlayer\":2,\"arrays\":\"base64\"%s%s%s}\n", layer ? ",\"layers\":[\"" : "", layer ? layer : "", layer ? "\"]" : "");
        } else {
            const char *separator = "{\"points\":[";
            for (; *at != ']'; at = nnl_next(at), separator = ",") {
                printf("%s", separator);
                nnl_answer(point, at, forward, backward);
            }
            printf("]}\n");
        }
        fflush(stdout);
        nnl_free_all();
    }
    return 0;
}

#endif
