/* The affine layer y = x·W + b, as a program for

       cc -o affine affine.c -lm
       nnlayer gradcheck --layer affine ... -- ./affine                                                          */
#define _POSIX_C_SOURCE 200809L
#include "matrix.h"

static void answer(Json *point, int out_in) {
    Json *inputs = get(point, "inputs"), *bias = get(inputs, "b"), *upstream = get(point, "dout");
    Matrix x = matrix(get(inputs, "x")), w = matrix(get(inputs, "w")), b = zeros(0, 1, 1);
    Matrix y = dot(x, 0, w, out_in);
    if (bias) {
        b = matrix(bias);
        for (int i = 0; i < y.rows; i++)
            for (int k = 0; k < y.columns; k++) y.at[i * y.columns + k] += b.at[b.rank ? k : 0];
    }
    printf("{\"outputs\":{");
    print_matrix("y", y, x.rank); /* a vector is one sample, and its results are vectors */
    printf("}");
    if (upstream) { /* without dout, no gradients are needed */
        Matrix dout = matrix(upstream);
        printf(",\"gradients\":{");
        print_matrix("dx", dot(dout, 0, w, !out_in), x.rank);
        printf(",");
        print_matrix("dw", out_in ? dot(dout, 1, x, 0) : dot(x, 1, dout, 0), 2);
        if (bias) {
            Matrix db = zeros(1, 1, dout.columns);
            for (int i = 0; i < dout.rows; i++)
                for (int k = 0; k < dout.columns; k++) db.at[k] += dout.at[i * dout.columns + k];
            printf(",");
            print_matrix("db", db, 1);
        }
        printf("}");
    }
    printf("}");
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) { /* one request, or several with --persistent */
        Json request = {0};
        read_value(line, &request);
        Json *layout = get(get(&request, "settings"), "w-layout");
        printf("{\"points\":[");
        for (Json *point = get(&request, "points")->child; point; point = point->next) {
            answer(point, layout && !strcmp(layout->text, "out-in"));
            if (point->next) printf(",");
        }
        printf("]}\n");
        fflush(stdout);
    }
}
