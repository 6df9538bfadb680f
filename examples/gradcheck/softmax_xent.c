/* Softmax with cross-entropy, loss = -Σ t·log softmax(x), as a program for

       cc -o softmax_xent softmax_xent.c -lm
       nnlayer gradcheck --layer softmax-xent ... -- ./softmax_xent                                              */
#define _POSIX_C_SOURCE 200809L
#include "matrix.h"

static void answer(Json *point, int mean, int none) {
    Json *inputs = get(point, "inputs"), *upstream = get(point, "dout");
    Matrix x = matrix(get(inputs, "x")), t = matrix(get(inputs, "t"));
    int n = x.rows, classes = x.columns, per_row = none && x.rank == 2;
    Matrix y = zeros(x.rank, n, classes), dx = zeros(x.rank, n, classes), losses = zeros(1, 1, n), loss = zeros(0, 1, 1);
    Matrix dout = upstream ? matrix(upstream) : zeros(0, 1, 1);
    for (int i = 0; i < n; i++) {
        double *row = x.at + i * classes, largest = -INFINITY, total = 0, targets = 0;
        for (int k = 0; k < classes; k++) largest = fmax(largest, row[k]);
        for (int k = 0; k < classes; k++) total += exp(row[k] - largest);
        for (int k = 0; k < classes; k++) {
            /* Targets with one axis less are class indices. */
            double target = t.rank == x.rank ? t.at[i * classes + k] : t.at[i] == k;
            targets += target;
            y.at[i * classes + k] = exp(row[k] - largest) / total;
            dx.at[i * classes + k] = -target;
            if (target != 0) losses.at[i] += target * (largest + log(total) - row[k]);
        }
        for (int k = 0; k < classes; k++) {
            dx.at[i * classes + k] += y.at[i * classes + k] * targets;
            dx.at[i * classes + k] *= dout.at[per_row ? i : 0] / (mean ? n : 1);
        }
        loss.at[0] += losses.at[i] / (mean ? n : 1);
    }
    printf("{\"outputs\":{");
    print_matrix("y", y, x.rank);
    printf(",");
    print_matrix("loss", per_row ? losses : loss, per_row ? 1 : 0);
    printf("}");
    if (upstream) printf(",\"gradients\":{"), print_matrix("dx", dx, x.rank), printf("}");
    printf("}");
}

int main(void) {
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        Json request = {0};
        read_value(line, &request);
        Json *reduction = get(get(&request, "settings"), "reduction");
        printf("{\"points\":[");
        for (Json *point = get(&request, "points")->child; point; point = point->next) {
            answer(point, reduction && !strcmp(reduction->text, "mean"), reduction && !strcmp(reduction->text, "none"));
            if (point->next) printf(",");
        }
        printf("]}\n");
        fflush(stdout);
    }
}
