/* rmsnorm over the last axis, y = x·r∘gamma with r = 1/√(mean x² + eps), as kernels in single precision for the GPU, or for the CPU:

       nvcc -I include -o rmsnorm examples/gradcheck/rmsnorm.cu
       c++ -I include -o rmsnorm -x c++ examples/gradcheck/rmsnorm.cu
       nnlayer gradcheck --layer rmsnorm --precision f32 --persistent ... -- ./rmsnorm                           */
#include "nnlayer.h"
#include <math.h>
#ifdef __CUDACC__
#define ROW (blockIdx.x * (size_t)blockDim.x + threadIdx.x)
#define LAUNCH(kernel, rows, ...) kernel<<<(unsigned)((rows) / 64 + 1), 64>>>(rows, __VA_ARGS__), check(cudaDeviceSynchronize())
static void check(cudaError_t error) { if (error) nnl_fail("CUDA error", cudaGetErrorString(error)); }
#else /* a loop in place of the threads */
#define __global__ static inline
#define LAUNCH(kernel, rows, ...) for (ROW = 0; ROW < (rows); ROW++) kernel(rows, __VA_ARGS__)
static size_t ROW;
static float atomicAdd(float *sum, float term) { return *sum += term; }
static int cudaMallocManaged(float **data, size_t bytes) { return !(*data = (float *)malloc(bytes)); }
static void cudaFree(float *data) { free(data); }
#endif

__global__ void rmsnorm(size_t rows, size_t length, float eps, const float *x, const float *gamma, float *y, float *r) {
    if (ROW >= rows) return;
    float squares = 0;
    for (size_t k = 0; k < length; k++) squares += x[ROW * length + k] * x[ROW * length + k];
    r[ROW] = 1 / sqrtf(squares / (float)length + eps);
    for (size_t k = 0; k < length; k++) y[ROW * length + k] = x[ROW * length + k] * r[ROW] * gamma[k];
}

/* dx = r·(g − x·r²·mean(g∘x)) with g = dout∘gamma. */
__global__ void gradients(size_t rows, size_t length, const float *x, const float *gamma, const float *dout, const float *r,
                          float *dx, float *dgamma) {
    if (ROW >= rows) return;
    float mean = 0;
    for (size_t k = 0; k < length; k++) mean += dout[ROW * length + k] * gamma[k] * x[ROW * length + k] / (float)length;
    for (size_t k = 0, at = ROW * length; k < length; k++, at++) {
        dx[at] = r[ROW] * (dout[at] * gamma[k] - x[at] * r[ROW] * r[ROW] * mean);
        atomicAdd(&dgamma[k], dout[at] * x[at] * r[ROW]);
    }
}

/* Floats that the GPU and the CPU share: those of an array, or all `otherwise` if it is absent. */
struct Shared {
    float *data;
    Shared(nnl_array array, size_t size, float otherwise) {
        if (cudaMallocManaged(&data, (size + 1) * sizeof(float))) nnl_fail("out of memory", "cudaMallocManaged");
        for (size_t k = 0; k < size; k++) data[k] = array.data ? (float)array.data[k] : otherwise;
    }
    ~Shared() { cudaFree(data); }
    void put(nnl_point *point, const char *name, int rank, const size_t *shape) const {
        nnl_array array = nnl_zeros(rank, shape);
        for (size_t k = 0; k < array.size; k++) array.data[k] = data[k];
        nnl_put(point, name, array);
    }
};

static void compute(nnl_point *point) {
    nnl_array input = nnl_input(point, "x"), weights = nnl_optional(point, "gamma"), none = nnl_array();
    size_t length = input.shape[input.rank - 1], rows = input.size / length;
    float eps = (float)nnl_number(point, "eps", 1e-5);
    Shared x(input, input.size, 0), gamma(weights, length, 1), y(none, input.size, 0), r(none, rows, 0), dgamma(none, length, 0);
    LAUNCH(rmsnorm, rows, length, eps, x.data, gamma.data, y.data, r.data);
    if (!point->dout.data) return y.put(point, "y", input.rank, input.shape);
    Shared dout(point->dout, input.size, 0);
    LAUNCH(gradients, rows, length, x.data, gamma.data, dout.data, r.data, y.data, dgamma.data);
    y.put(point, "dx", input.rank, input.shape);
    if (weights.data) dgamma.put(point, "dgamma", 1, &length);
}

int main() { return nnl_serve("rmsnorm", compute, compute); }
