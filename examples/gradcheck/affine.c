/* The affine layer y = x·W + b, as a program for

       cc -I include -o affine examples/gradcheck/affine.c
       nnlayer gradcheck --layer affine ... -- ./affine                                                          */
#include "nnlayer.h"

/* A matrix of `rows` rows, whose entries are `row` and `column` apart. */
typedef struct {
    const double *data;
    size_t rows, row, column;
} Matrix;

/* Adds a·b to c, which has the rows of a. */
static void multiply(Matrix a, Matrix b, size_t columns, double *c) {
    for (size_t i = 0; i < a.rows; i++)
        for (size_t k = 0; k < columns; k++)
            for (size_t j = 0; j < b.rows; j++) c[i * columns + k] += a.data[i * a.row + j * a.column] * b.data[j * b.row + k * b.column];
}

/* Reads W, which is (in, out), or (out, in) with --w-layout out-in. */
static Matrix read_w(nnl_point *point, nnl_array x, nnl_array *w, size_t *outs) {
    int out_in = !strcmp(nnl_word(point, "w-layout", "in-out"), "out-in");
    *w = nnl_input(point, "w");
    if (x.rank == 0 || w->rank != 2 || x.shape[x.rank - 1] != w->shape[out_in]) nnl_fail("expected rows of x that fit W", "affine");
    *outs = w->shape[!out_in];
    Matrix matrix = {w->data, w->shape[out_in], out_in ? 1 : *outs, out_in ? w->shape[1] : 1};
    return matrix;
}

static void forward(nnl_point *point) {
    size_t outs;
    nnl_array x = nnl_input(point, "x"), b = nnl_optional(point, "b"), w, y = x;
    Matrix weights = read_w(point, x, &w, &outs);
    y.shape[y.rank - 1] = outs;
    y = nnl_zeros(y.rank, y.shape);
    for (size_t k = 0; b.data && k < y.size; k++) y.data[k] = b.data[b.rank ? k % outs : 0];
    Matrix rows = {x.data, x.size / weights.rows, weights.rows, 1};
    multiply(rows, weights, outs, y.data);
    nnl_put(point, "y", y);
}

static void backward(nnl_point *point) {
    size_t outs;
    nnl_array x = nnl_input(point, "x"), dout = point->dout, w;
    Matrix weights = read_w(point, x, &w, &outs);
    nnl_array dx = nnl_zeros(x.rank, x.shape), dw = nnl_zeros(2, w.shape), db = nnl_zeros(1, &outs);
    size_t ins = weights.rows, n = x.size / ins;
    Matrix transposed = {w.data, outs, weights.column, weights.row};
    Matrix dout_rows = {dout.data, n, outs, 1}, dout_columns = {dout.data, outs, 1, outs};
    Matrix x_rows = {x.data, n, ins, 1}, x_columns = {x.data, ins, 1, ins};
    multiply(dout_rows, transposed, ins, dx.data);
    if (weights.column == 1) multiply(x_columns, dout_rows, outs, dw.data); /* dW has the layout of W */
    else multiply(dout_columns, x_rows, ins, dw.data);
    for (size_t k = 0; k < dout.size; k++) db.data[k % outs] += dout.data[k];
    nnl_put(point, "dx", dx), nnl_put(point, "dw", dw);
    if (nnl_optional(point, "b").data) nnl_put(point, "db", db);
}

int main(void) { return nnl_serve("affine", forward, backward); }
