/* libnvidia-ml.so.1 of the simulated driver: what gpu-doctor asks of NVML. Signatures: nvml.h of the CUDA toolkit. */
#include "machine.h"

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, GPU_IS_LOST = 15 };

static int ready;

int nvmlInitWithFlags(unsigned flags) {
    int status = play(machine()->nvml_init);
    (void)flags;
    ready = status == SUCCESS;
    return status;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int status) {
    switch (status) {
    case 1: return "Uninitialized";
    case 3: return "Not Supported";
    case 9: return "Driver Not Loaded";
    case 12: return "NVML Shared Library Not Found";
    case 15: return "GPU is lost";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    if (!ready) return UNINITIALIZED;
    snprintf(version, length, "%s", machine()->driver);
    return SUCCESS;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    *version = machine()->cuda;
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    if (!ready) return UNINITIALIZED;
    *count = (unsigned)machine()->count;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, simulated_gpu **gpu) {
    if (!ready) return UNINITIALIZED;
    if (index >= (unsigned)machine()->count) return INVALID_ARGUMENT;
    *gpu = &machine()->gpus[index];
    return (*gpu)->lost ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetName(simulated_gpu *gpu, char *name, unsigned length) {
    snprintf(name, length, "%s", gpu->name);
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(simulated_gpu *gpu, int *major, int *minor) {
    *major = gpu->major;
    *minor = gpu->minor;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(simulated_gpu *gpu, unsigned long long memory[3]) {
    memory[0] = memory[1] = gpu->memory;
    memory[2] = 0;
    return SUCCESS;
}
