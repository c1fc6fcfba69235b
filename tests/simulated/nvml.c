/* libnvidia-ml.so.1 of the simulated driver: what gpu-doctor asks of NVML. Signatures: nvml.h of the CUDA toolkit. */
#include "machine.h"

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };
enum { GPU_IS_LOST = 15 };
enum { SM = 1, MEMORY = 2 }; /* nvmlClockType_t */

typedef struct {
    unsigned pid;
    unsigned long long bytes;
    unsigned gpu_instance, compute_instance;
} process_info;

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
    memory[0] = gpu->memory;
    memory[1] = gpu->free;
    memory[2] = gpu->memory - gpu->free;
    return SUCCESS;
}

int nvmlDeviceGetUUID(simulated_gpu *gpu, char *uuid, unsigned length) {
    write_uuid(uuid, length, gpu->uuid);
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, simulated_gpu **gpu) {
    char own[64];
    if (!ready) return UNINITIALIZED;
    for (int at = 0; at < machine()->count; at++) {
        *gpu = &machine()->gpus[at];
        write_uuid(own, sizeof own, (*gpu)->uuid);
        if (!strcmp(own, uuid)) return (*gpu)->lost ? GPU_IS_LOST : SUCCESS;
    }
    return NOT_FOUND;
}

/* A machine whose text gives no clocks is one whose driver does not tell them. */
static int tell(unsigned value, unsigned *into) {
    *into = value;
    return value ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetClockInfo(simulated_gpu *gpu, int kind, unsigned *clock) {
    return kind == SM ? tell(gpu->clock, clock) : NOT_SUPPORTED;
}

int nvmlDeviceGetMaxClockInfo(simulated_gpu *gpu, int kind, unsigned *clock) {
    return tell(kind == SM ? gpu->highest_clock : kind == MEMORY ? gpu->memory_clock : 0, clock);
}

int nvmlDeviceGetMemoryBusWidth(simulated_gpu *gpu, unsigned *bits) { return tell(gpu->bus, bits); }

int nvmlDeviceGetTemperature(simulated_gpu *gpu, int sensor, unsigned *celsius) {
    return sensor ? INVALID_ARGUMENT : tell(gpu->celsius, celsius);
}

int nvmlDeviceGetUtilizationRates(simulated_gpu *gpu, unsigned rates[2]) {
    rates[0] = gpu->busy;
    rates[1] = 0;
    return gpu->celsius ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(simulated_gpu *gpu, unsigned long long *reasons) {
    *reasons = gpu->slowed;
    return gpu->celsius ? SUCCESS : NOT_SUPPORTED;
}

static int list(const simulated_gpu *gpu, int kind, unsigned *count, process_info *infos) {
    unsigned found = 0;
    if (machine()->wsl) return NOT_SUPPORTED;
    for (int at = 0; at < gpu->processes; at++) {
        if (gpu->process[at].kind != kind) continue;
        if (found < *count) infos[found] = (process_info){gpu->process[at].pid, gpu->process[at].bytes, ~0u, ~0u};
        found++;
    }
    int fits = found <= *count;
    *count = found;
    return fits ? SUCCESS : INSUFFICIENT_SIZE;
}

int nvmlDeviceGetComputeRunningProcesses_v3(simulated_gpu *gpu, unsigned *count, process_info *infos) {
    return list(gpu, COMPUTE, count, infos);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(simulated_gpu *gpu, unsigned *count, process_info *infos) {
    return list(gpu, GRAPHICS, count, infos);
}

int nvmlSystemGetProcessName(unsigned pid, char *name, unsigned length) {
    for (int at = 0; at < machine()->count; at++)
        for (int of = 0; of < machine()->gpus[at].processes; of++)
            if (machine()->gpus[at].process[of].pid == pid && *machine()->gpus[at].process[of].name) {
                snprintf(name, length, "%s", machine()->gpus[at].process[of].name);
                return SUCCESS;
            }
    return NOT_FOUND;
}
