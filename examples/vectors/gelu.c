/* A gelu in single precision, checked with test vectors. It needs the header alone:
     nnlayer vectors gelu --out gelu
     cc -std=c99 -I. gelu.c -lm -o gelu_check && ./gelu_check                                                    */
#include "gelu/gelu.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { F64, F32, F16, BF16 }; /* the order of tolerances */

static float gelu(float x) {
    return isinf(x) && x < 0 ? 0 : 0.5f * x * erfcf(-0.70710678f * x);
}

static float gelu_slope(float x) {
    float density = isinf(x) ? 0 : x * 0.39894228f * expf(-0.5f * x * x);
    return 0.5f * erfcf(-0.70710678f * x) + density;
}

/* Returns true if a value of a program in single precision is right. */
static int is_right(const struct nnlayer_array *right, size_t n, float value) {
    double expected = right->values[n], allowed = right->tolerances[F32][n];
    if (value == expected || (isnan(value) && isnan(expected)) || fabs(value - expected) <= allowed)
        return 1;
    for (size_t k = 0; k < right->alternatives; k++) {
        const double *row = right->alternative + 3 * k;
        if (row[0] == n && value >= row[1] - allowed && value <= row[2] + allowed)
            return 1;
    }
    return 0;
}

int main(void) {
    size_t checked = 0, failed = 0;
    for (size_t c = 0; c < nnlayer_gelu_count; c++) {
        const struct nnlayer_vector *vector = &nnlayer_gelu[c];
        if (strcmp(vector->settings, "{}") && strcmp(vector->settings, "{\"approximate\":\"none\"}"))
            continue; /* an approximation, which this kernel does not have */
        const struct nnlayer_array *x = &vector->input[0], *y = &vector->output[0], *dx = &vector->gradient[0];
        size_t wrong = 0;
        for (size_t n = 0; n < x->size; n++) {
            float value = (float)x->values[n];
            wrong += !is_right(y, n, gelu(value));
            wrong += !is_right(dx, n, (float)vector->dout.values[n] * gelu_slope(value));
        }
        if (wrong)
            printf("FAIL %s: %zu wrong entries\n", vector->name, wrong);
        checked++;
        failed += wrong > 0;
    }
    printf("%zu of %zu cases pass\n", checked - failed, checked);
    return failed > 0;
}
