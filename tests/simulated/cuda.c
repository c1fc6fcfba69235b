/* libcuda.so.1 of the simulated driver: start, versions, devices, contexts and memory; no kernels.
   Signatures and numbers: cuda.h of the CUDA toolkit. */
#include "machine.h"

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101 };
enum { INVALID_CONTEXT = 201 };
enum { COMPUTE_MODE = 20, CAPABILITY_MAJOR = 75, CAPABILITY_MINOR = 76 };

static int ready, count;
static simulated_gpu *visible[GPUS], *current;

/* Return the GPU that one entry of CUDA_VISIBLE_DEVICES names: an index, or the beginning of a UUID. */
static simulated_gpu *named(const char *entry) {
    char *end, uuid[64];
    long index = strtol(entry, &end, 10);
    if (*entry && !*end) return index >= 0 && index < machine()->count ? &machine()->gpus[index] : NULL;
    for (int at = 0; at < machine()->count; at++) {
        write_uuid(uuid, sizeof uuid, machine()->gpus[at].uuid);
        if (!strncasecmp(entry, "GPU-", 4) && !strncasecmp(entry, uuid, strlen(entry))) return &machine()->gpus[at];
    }
    return NULL;
}

/* As NVIDIA's: what stands behind the first entry that names no GPU is not looked at. */
static void choose_visible(void) {
    const char *wish = getenv("CUDA_VISIBLE_DEVICES");
    char entries[1024], *rest = entries, *entry;
    count = 0;
    if (!wish) {
        for (; count < machine()->count; count++) visible[count] = &machine()->gpus[count];
        return;
    }
    snprintf(entries, sizeof entries, "%s", wish);
    while (count < GPUS && (entry = strsep(&rest, ",")) && (visible[count] = named(entry))) count++;
}

int cuInit(unsigned flags) {
    int status = play(machine()->cuda_init);
    (void)flags;
    choose_visible();
    if (status == SUCCESS && !count) status = NO_DEVICE;
    ready = status == SUCCESS;
    return status;
}

int cuDriverGetVersion(int *version) {
    *version = machine()->cuda;
    return SUCCESS;
}

int cuDeviceGetCount(int *number) {
    if (!ready) return NOT_INITIALIZED;
    *number = count;
    return SUCCESS;
}

int cuDeviceGet(int *device, int ordinal) {
    if (!ready) return NOT_INITIALIZED;
    if (ordinal < 0 || ordinal >= count) return INVALID_DEVICE;
    *device = ordinal;
    return SUCCESS;
}

int cuDeviceGetName(char *name, int length, int device) {
    snprintf(name, (size_t)length, "%s", visible[device]->name);
    return SUCCESS;
}

int cuDeviceGetUuid_v2(unsigned char *uuid, int device) {
    memcpy(uuid, visible[device]->uuid, 16);
    return SUCCESS;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    *bytes = visible[device]->memory;
    return SUCCESS;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    switch (attribute) {
    case COMPUTE_MODE: *value = visible[device]->mode; return SUCCESS;
    case CAPABILITY_MAJOR: *value = visible[device]->major; return SUCCESS;
    case CAPABILITY_MINOR: *value = visible[device]->minor; return SUCCESS;
    default: return INVALID_VALUE;
    }
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    int status;
    if (!ready) return NOT_INITIALIZED;
    status = play(visible[device]->context);
    if (status == SUCCESS) *context = visible[device];
    return status;
}

int cuCtxSetCurrent(void *context) {
    current = context;
    return SUCCESS;
}

int cuDevicePrimaryCtxRelease_v2(int device) {
    (void)device;
    return SUCCESS;
}

int cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    if (!current) return INVALID_CONTEXT;
    *free_bytes = current->free;
    *total = current->memory;
    return SUCCESS;
}

int cuMemAlloc_v2(unsigned long long *place, size_t bytes) {
    if (!current) return INVALID_CONTEXT;
    if (bytes > current->free) return OUT_OF_MEMORY;
    current->free -= bytes;
    *place = bytes; /* so that freeing it knows how much it was */
    return SUCCESS;
}

int cuMemFree_v2(unsigned long long place) {
    if (!current) return INVALID_CONTEXT;
    current->free += place;
    return SUCCESS;
}

static const struct { int status; const char *name, *text; } ERRORS[] = {
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {802, "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
    {804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "forward compatibility was attempted on non supported HW"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

static int find_error(int status) {
    for (int at = 0; at < (int)(sizeof ERRORS / sizeof *ERRORS); at++)
        if (ERRORS[at].status == status) return at;
    return -1;
}

int cuGetErrorString(int status, const char **text) {
    int at = find_error(status);
    *text = at < 0 ? NULL : ERRORS[at].text;
    return at < 0 ? INVALID_VALUE : SUCCESS;
}

int cuGetErrorName(int status, const char **name) {
    int at = find_error(status);
    *name = at < 0 ? NULL : ERRORS[at].name;
    return at < 0 ? INVALID_VALUE : SUCCESS;
}
