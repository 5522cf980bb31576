/* A fake NVIDIA management library: two GPUs, the first of which is hot and busy, and a process on the
   second (this one, with 1234 MiB). Built with -DOLD it lacks what a driver may lack; with -DANCIENT it has no function with
   a version in its name, and cannot count its GPUs; with -DMIG the second GPU is an instance of one, of which
   little is known. With FAKE_GPUS_ALIKE in the environment both are of one name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct { unsigned pid; unsigned long long used; unsigned gi, ci; } process_t;
typedef struct { unsigned long long total, free, used; } memory_t;

static int gpus[2];
#ifdef MIG
#define SECOND "MIG-fa4e"
#else
#define SECOND "GPU-fa4e"
#endif
#ifdef ANCIENT
typedef struct { unsigned pid; unsigned long long used; } first_process_t;
int nvmlInit(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { return 999; }
#else
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
#endif
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return "fake"; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = &gpus[index]; return index > 1 ? 2 : 0; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    int first = !strcmp(uuid, "GPU-510w");
    *device = &gpus[first ? 0 : 1];
    return first || !strcmp(uuid, SECOND) ? 0 : 6;
}
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned size) { snprintf(uuid, size, device == &gpus[0] ? "GPU-510w" : SECOND); return 0; }
#ifdef ANCIENT
int nvmlDeviceGetComputeRunningProcesses(void *device, unsigned *count, first_process_t *infos) {
    *count = 2;
    infos[0] = (first_process_t){1, 99ull << 20};
    infos[1] = (first_process_t){(unsigned)getpid(), 1234ull << 20};
    return 0;
}
#else
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, process_t *infos) {
    if (device == &gpus[0]) { *count = 0; return 0; }
    if (!infos || *count < 100) { *count = 100; return 7; } /* ask again with more room */
    *count = 2;
    infos[0] = (process_t){1, 99ull << 20, 0, 0};
    infos[1] = (process_t){(unsigned)getpid(), 1234ull << 20, 0, 0};
    return 0;
}
#endif
int nvmlDeviceGetName(void *device, char *name, unsigned size) { snprintf(name, size, device == &gpus[0] && !getenv("FAKE_GPUS_ALIKE") ? "Slow GPU" : "Fake GPU"); return 0; }
int nvmlDeviceGetMemoryInfo(void *device, memory_t *memory) {
    *memory = (memory_t){80ull << 30, 70ull << 30, 10ull << 30};
    return 0;
}
int nvmlDeviceGetPowerManagementLimit(void *device, unsigned *milliwatts) { *milliwatts = 700000; return 0; }
int nvmlDeviceGetPerformanceState(void *device, unsigned *state) { *state = 2; return 0; }
int nvmlDeviceGetClockInfo(void *device, unsigned type, unsigned *mhz) {
#ifdef MIG
    if (device == &gpus[1]) return 3; /* not supported */
#endif
    *mhz = type == 2 ? 2619 : 1980; return 0; }
int nvmlDeviceGetMaxClockInfo(void *device, unsigned type, unsigned *mhz) { *mhz = 2000; return 0; }
#ifndef OLD
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    struct timespec now; /* a constant 250 W */
    clock_gettime(CLOCK_MONOTONIC, &now);
    *millijoules = 250ull * (now.tv_sec * 1000 + now.tv_nsec / 1000000);
    return 0;
}
int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *celsius) { *celsius = sensor ? 0 : 67; return 0; }
int nvmlDeviceGetPersistenceMode(void *device, unsigned *mode) { *mode = device == &gpus[1]; return 0; }
int nvmlDeviceGetUtilizationRates(void *device, unsigned *percent) { percent[0] = device == &gpus[0] ? 55 : 0; percent[1] = 1; return 0; }
#ifdef RENAMED /* since 535 */
int nvmlDeviceGetCurrentClocksEventReasons
#else
int nvmlDeviceGetCurrentClocksThrottleReasons
#endif
(void *device, unsigned long long *reasons) {
    *reasons = device == &gpus[0] ? 0x44 : 0x3; /* heat and the power cap; or idling at a set clock */
    return 0;
}
#endif
int nvmlSystemGetDriverVersion(char *version, unsigned size) { snprintf(version, size, "580.1"); return 0; }
int nvmlSystemGetCudaDriverVersion(int *version) { *version = 13010; return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13010; return 0; }
