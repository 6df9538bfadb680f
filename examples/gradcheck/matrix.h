/* Reads matrices from JSON and prints them. A vector is one row, a number one row of one value; rank tells them apart. */
#include "json.h"

typedef struct {
    int rank, rows, columns;
    double *at; /* in row-major order */
} Matrix;

static int length(Json *list) {
    int n = 0;
    for (Json *entry = list->child; entry; entry = entry->next) n++;
    return n;
}

static Matrix zeros(int rank, int rows, int columns) {
    Matrix m = {rank, rows, columns, calloc((size_t)rows * columns + 1, sizeof(double))};
    return m;
}

static Matrix matrix(Json *value) {
    int rank = value->kind != '[' ? 0 : value->child && value->child->kind == '[' ? 2 : 1;
    Matrix m = zeros(rank, rank == 2 ? length(value) : 1, rank == 2 ? length(value->child) : rank ? length(value) : 1);
    double *at = m.at;
    if (rank == 0) *at = value->number;
    for (Json *row = rank ? value->child : NULL; row; row = row->next) {
        if (rank == 1) *at++ = row->number;
        else for (Json *entry = row->child; entry; entry = entry->next) *at++ = entry->number;
    }
    return m;
}

/* Returns a·b; each is transposed if its flag is set. */
static inline Matrix dot(Matrix a, int transpose_a, Matrix b, int transpose_b) {
    int rows = transpose_a ? a.columns : a.rows, inner = transpose_a ? a.rows : a.columns;
    int columns = transpose_b ? b.rows : b.columns;
    Matrix m = zeros(2, rows, columns);
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < columns; k++)
            for (int j = 0; j < inner; j++)
                m.at[i * columns + k] += (transpose_a ? a.at[j * a.columns + i] : a.at[i * a.columns + j]) *
                                         (transpose_b ? b.at[k * b.columns + j] : b.at[j * b.columns + k]);
    return m;
}

static void print_matrix(const char *name, Matrix m, int rank) {
    printf("\"%s\":%s", name, rank == 2 ? "[" : "");
    for (int i = 0; i < m.rows; i++) {
        printf("%s%s", i ? "," : "", rank ? "[" : "");
        for (int k = 0; k < m.columns; k++) printf(k ? "," : ""), print_number(m.at[i * m.columns + k]);
        printf("%s", rank ? "]" : "");
    }
    printf("%s", rank == 2 ? "]" : "");
}
