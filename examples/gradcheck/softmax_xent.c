/* Softmax with cross-entropy, loss = -Σ t·log softmax(x), as a program for

       cc -I include -o softmax_xent examples/gradcheck/softmax_xent.c -lm
       nnlayer gradcheck --layer softmax-xent ... -- ./softmax_xent                                              */
#include "nnlayer.h"
#include <math.h>

/* Writes the softmax of a row to y, and returns the logarithm of the sum of its powers. */
static double softmax(const double *x, size_t classes, double *y) {
    double largest = -INFINITY, total = 0;
    for (size_t k = 0; k < classes; k++) largest = fmax(largest, x[k]);
    for (size_t k = 0; k < classes; k++) total += y[k] = exp(x[k] - largest);
    for (size_t k = 0; k < classes; k++) y[k] /= total;
    return largest + log(total);
}

/* Returns an entry of the targets. Those with one axis less than x are class indices. */
static double target(nnl_array t, nnl_array x, size_t row, size_t k) {
    size_t classes = x.shape[x.rank - 1];
    return t.rank == x.rank ? t.data[row * classes + k] : t.data[row] == (double)k;
}

static void forward(nnl_point *point) {
    nnl_array x = nnl_input(point, "x"), t = nnl_input(point, "t"), y = nnl_zeros(x.rank, x.shape);
    const char *reduction = nnl_word(point, "reduction", "sum");
    nnl_word(point, "t-kind", ""); /* the ranks tell it */
    size_t classes = x.shape[x.rank - 1], rows = x.size / classes;
    nnl_array losses = nnl_zeros(x.rank - 1, x.shape), loss = nnl_zeros(0, NULL);
    for (size_t i = 0; i < rows; i++) {
        double log_sum = softmax(x.data + i * classes, classes, y.data + i * classes);
        for (size_t k = 0; k < classes; k++)
            if (target(t, x, i, k) != 0) losses.data[i] += target(t, x, i, k) * (log_sum - x.data[i * classes + k]);
        loss.data[0] += losses.data[i] / (double)(strcmp(reduction, "mean") ? 1 : rows);
    }
    nnl_put(point, "y", y);
    nnl_put(point, "loss", strcmp(reduction, "none") ? loss : losses);
}

static void backward(nnl_point *point) {
    nnl_array x = nnl_input(point, "x"), t = nnl_input(point, "t"), dout = point->dout, dx = nnl_zeros(x.rank, x.shape);
    size_t classes = x.shape[x.rank - 1], rows = x.size / classes;
    double divisor = (double)(strcmp(nnl_word(point, "reduction", "sum"), "mean") ? 1 : rows);
    for (size_t i = 0; i < rows; i++) {
        double *row = dx.data + i * classes, scale = dout.data[dout.rank ? i : 0] / divisor, total = 0;
        softmax(x.data + i * classes, classes, row);
        for (size_t k = 0; k < classes; k++) total += target(t, x, i, k);
        for (size_t k = 0; k < classes; k++) row[k] = scale * (row[k] * total - target(t, x, i, k));
    }
    nnl_put(point, "dx", dx);
}

int main(void) { return nnl_serve("softmax-xent", forward, backward); }
