/* libcuda.so.1 of the simulated driver: start, versions and devices. Signatures: cuda.h of the CUDA toolkit. */
#include "machine.h"

enum { SUCCESS = 0, INVALID_VALUE = 1, NOT_INITIALIZED = 3, INVALID_DEVICE = 101 };
enum { CAPABILITY_MAJOR = 75, CAPABILITY_MINOR = 76 };

static int ready;

int cuInit(unsigned flags) {
    int status = play(machine()->cuda_init);
    (void)flags;
    ready = status == SUCCESS;
    return status;
}

int cuDriverGetVersion(int *version) {
    *version = machine()->cuda;
    return SUCCESS;
}

int cuDeviceGetCount(int *count) {
    if (!ready) return NOT_INITIALIZED;
    *count = machine()->count;
    return SUCCESS;
}

int cuDeviceGet(int *device, int ordinal) {
    if (!ready) return NOT_INITIALIZED;
    if (ordinal < 0 || ordinal >= machine()->count) return INVALID_DEVICE;
    *device = ordinal;
    return SUCCESS;
}

int cuDeviceGetName(char *name, int length, int device) {
    snprintf(name, (size_t)length, "%s", machine()->gpus[device].name);
    return SUCCESS;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    *bytes = machine()->gpus[device].memory;
    return SUCCESS;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    simulated_gpu *gpu = &machine()->gpus[device];
    if (attribute != CAPABILITY_MAJOR && attribute != CAPABILITY_MINOR) return INVALID_VALUE;
    *value = attribute == CAPABILITY_MAJOR ? gpu->major : gpu->minor;
    return SUCCESS;
}

int cuGetErrorString(int status, const char **text) {
    switch (status) {
    case 100: *text = "no CUDA-capable device is detected"; break;
    case 802: *text = "system not yet initialized"; break;
    case 803: *text = "system has unsupported display driver / cuda driver combination"; break;
    case 804: *text = "forward compatibility was attempted on non supported HW"; break;
    default: *text = "unknown error";
    }
    return SUCCESS;
}
