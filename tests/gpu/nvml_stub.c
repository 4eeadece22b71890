/* A libnvidia-ml.so.1 for tests: answers from the text file that $FAKE_NVML names, so that a test can be any machine.
 *
 * Lines are `<gpu> <key> <value>`; a later line overrides an earlier one, gpu -1 holds for every card and for the
 * library. A key that is not there is what a card without that sensor says: NOT_SUPPORTED (3). A value `!15` is that
 * error. Keys of the library: count, init, opening (seconds that init takes). Of a card: name, uuid, bus, util, memtotal,
 * memused, memreserved, temp, power (mW), plimit (mW), clksm, energy (mJ), throttle (mask), mig, slices (places),
 * slicesmade, lost, open (`!15`: no handle), hang (seconds that each question for utilization takes), growing (lists of
 * processes outgrow their buffer so many times), proc and drawing (pid and bytes, or pid and `none`; many
 * lines), putil (pid, percent, time in us; many lines), putilmode (1: success where there is none), lists (`!4`).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CARDS 64
#define SLICES 8
#define API __attribute__((visibility("default")))

typedef unsigned int u32;
typedef unsigned long long u64;
typedef struct { u32 gpu, memory; } Rates;
typedef struct { u64 total, free, used; } Memory;
typedef struct { u32 version; u64 total, reserved, free, used; } Memory2;
typedef struct { u32 pid; u64 used; u32 gi, ci; } Process;
typedef struct { u32 pid; u64 at; u32 sm, mem, enc, dec; } Sample;
typedef struct { char legacy[16]; u32 domain, bus, device, pci, subsystem; char id[32]; } Pci;

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, LOST = 15 };

static char handles[CARDS * (SLICES + 1)];
static int ready;
static int grown[CARDS];

/* The value of a key: the last line that has it; which > 0 counts lines from the first instead. */
static int look(int gpu, const char *key, char *value, int which) {
    FILE *file = fopen(getenv("FAKE_NVML") ? getenv("FAKE_NVML") : "/dev/null", "r");
    char line[512], name[64];
    int card, end, found = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%d %63s %n", &card, name, &end) < 2 || strcmp(name, key) || (card != gpu && card != -1))
            continue;
        line[strcspn(line, "\n")] = 0;
        strcpy(value, line + end);
        if (++found == which) break;
    }
    if (file) fclose(file);
    return which ? found == which : found > 0;
}

static int card_of(void *handle) {
    long at = (char *)handle - handles;
    return at < 0 || at >= (long)sizeof handles ? -2 : (int)(at / (SLICES + 1));
}

static int slice_of(void *handle) { return (int)(((char *)handle - handles) % (SLICES + 1)) - 1; }

static int number(void *handle, const char *key, u64 *value) {
    char words[512];
    int card = card_of(handle);
    if (!ready) return UNINITIALIZED;
    if (card < 0) return INVALID;
    if (look(card, "lost", words, 0) && atoi(words)) return LOST;
    if (!look(card, key, words, 0)) return NOT_SUPPORTED;
    if (words[0] == '!') return atoi(words + 1);
    *value = strtoull(words, 0, 0);
    return OK;
}

static int word(void *handle, const char *key, char *value, u32 length) {
    char words[512];
    int card = card_of(handle);
    if (!ready) return UNINITIALIZED;
    if (look(card, "lost", words, 0) && atoi(words)) return LOST;
    if (!look(card, key, words, 0)) return NOT_SUPPORTED;
    if (words[0] == '!') return atoi(words + 1);
    if (slice_of(handle) >= 0) snprintf(value, length, "MIG %s slice %d", words, slice_of(handle));
    else snprintf(value, length, "%s", words);
    return OK;
}

static void hang(int gpu, const char *key) {
    char words[512];
    if (look(gpu, key, words, 0)) usleep((u32)(atof(words) * 1e6));
}

API int nvmlInitWithFlags(u32 flags) {
    char words[512];
    (void)flags;
    hang(-1, "opening");
    if (look(-1, "init", words, 0) && atoi(words)) return atoi(words);
    ready = 1;
    return OK;
}
API int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
API int nvmlShutdown(void) { ready = 0; return OK; }
API const char *nvmlErrorString(int error) { (void)error; return "an error of the stub"; }
API int nvmlDeviceGetCount_v2(u32 *count) {
    u64 value = 0;
    int said = number(handles, "count", &value);
    *count = (u32)value;
    return said;
}
API int nvmlDeviceGetHandleByIndex_v2(u32 index, void **handle) {
    char words[512];
    if (!ready) return UNINITIALIZED;
    if (look((int)index, "open", words, 0) && words[0] == '!') return atoi(words + 1);
    *handle = handles + index * (SLICES + 1);
    return OK;
}
API int nvmlDeviceGetName(void *handle, char *name, u32 length) { return word(handle, "name", name, length); }
API int nvmlDeviceGetUUID(void *handle, char *uuid, u32 length) { return word(handle, "uuid", uuid, length); }
API int nvmlDeviceGetPciInfo_v3(void *handle, Pci *pci) {
    memset(pci, 0, sizeof *pci);
    return word(handle, "bus", pci->id, sizeof pci->id);
}
API int nvmlDeviceGetUtilizationRates(void *handle, Rates *rates) {
    u64 value = 0;
    int said;
    if (card_of(handle) >= 0) hang(card_of(handle), "hang");
    said = number(handle, "util", &value);
    rates->gpu = rates->memory = (u32)value;
    return said;
}
API int nvmlDeviceGetMemoryInfo(void *handle, Memory *memory) {
    u64 total = 0, used = 0;
    int said = number(handle, "memtotal", &total);
    if (said == OK) said = number(handle, "memused", &used);
    if (slice_of(handle) >= 0) { total /= 2; used /= 2; }
    *memory = (Memory){total, total - used, used};
    return said;
}
#ifndef OLD_DRIVER
API int nvmlDeviceGetMemoryInfo_v2(void *handle, Memory2 *memory) {
    u64 total = 0, used = 0, reserved = 0;
    int said = number(handle, "memtotal", &total);
    if (said == OK) said = number(handle, "memused", &used);
    number(handle, "memreserved", &reserved);
    memory->total = total;
    memory->used = used;
    memory->reserved = reserved;
    memory->free = total - used - reserved;
    return said;
}
#endif
#define NUMBER(function, key, type) \
    API int function { u64 found = 0; int said = number(handle, key, &found); *value = (type)found; return said; }
NUMBER(nvmlDeviceGetPowerUsage(void *handle, u32 *value), "power", u32)
NUMBER(nvmlDeviceGetEnforcedPowerLimit(void *handle, u32 *value), "plimit", u32)
NUMBER(nvmlDeviceGetTotalEnergyConsumption(void *handle, u64 *value), "energy", u64)
NUMBER(nvmlDeviceGetMaxMigDeviceCount(void *handle, u32 *value), "slices", u32)
NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, u64 *value), "throttle", u64)
#ifndef OLD_DRIVER
NUMBER(nvmlDeviceGetCurrentClocksEventReasons(void *handle, u64 *value), "throttle", u64)
#endif
API int nvmlDeviceGetTemperature(void *handle, int sensor, u32 *value) {
    u64 found = 0;
    int said = number(handle, "temp", &found);
    (void)sensor;
    *value = (u32)found;
    return said;
}
API int nvmlDeviceGetClockInfo(void *handle, int clock, u32 *value) {
    u64 found = 0;
    int said = number(handle, clock == 1 ? "clksm" : "clkmem", &found);
    *value = (u32)found;
    return said;
}
API int nvmlDeviceGetMigMode(void *handle, u32 *now, u32 *pending) {
    u64 found = 0;
    int said = number(handle, "mig", &found);
    *now = *pending = (u32)found;
    return said;
}
API int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, u32 index, void **slice) {
    u64 made = 0;
    int said = number(handle, "slicesmade", &made);
    if (said != OK) return said;
    if (index >= made) return NOT_FOUND;
    *slice = (char *)handle + 1 + index;
    return OK;
}
static int list(void *handle, const char *key, u32 *count, Process *found) {
    char words[512], bytes[64];
    u32 room = *count, pid;
    u64 times = 0;
    int card = card_of(handle), said = number(handle, "lists", &times);
    if (said != OK && said != NOT_SUPPORTED) return said;
    *count = 0;
    while (look(card, key, words, (int)*count + 1)) {
        if (*count < room && found && sscanf(words, "%u %63s", &pid, bytes) == 2)
            found[*count] = (Process){pid, bytes[0] == 'n' ? ~0ull : strtoull(bytes, 0, 0), ~0u, ~0u};
        ++*count;
    }
    if (found && number(handle, "growing", &times) == OK && grown[card] < (int)times) {
        ++grown[card];
        *count = room + 1;
        return TOO_SMALL;
    }
    return *count > room || (*count && !found) ? TOO_SMALL : OK;
}
#define PROCESSES(function, key) \
    API int function(void *handle, u32 *count, Process *found) { return list(handle, key, count, found); }
#ifdef OLD_DRIVER
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2, "proc")
#else
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3, "proc")
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3, "drawing")
#endif
API int nvmlDeviceGetProcessUtilization(void *handle, Sample *found, u32 *count, u64 since) {
    char words[512];
    u32 room = *count, pid, sm;
    u64 at, mode = 0;
    int card = card_of(handle), line = 0, said = number(handle, "putilmode", &mode);
    if (said != OK && said != NOT_SUPPORTED) return said;
    *count = 0;
    while (look(card, "putil", words, ++line))
        if (sscanf(words, "%u %u %llu", &pid, &sm, &at) == 3 && at > since) {
            if (*count < room && found) found[*count] = (Sample){pid, at, sm, 0, 0, 0};
            ++*count;
        }
    if (!*count) return mode == 1 ? OK : NOT_FOUND;
    return *count > room || !found ? TOO_SMALL : OK;
}
