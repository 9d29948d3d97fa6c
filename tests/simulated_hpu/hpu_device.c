/* A TensorFlow device of type "HPU" that is plain host memory.
 *
 * It has no kernels: TensorFlow places variables on it and runs what has no
 * kernel there on the CPU (soft placement), which is enough to test device
 * placement, order of start-up and precision without a Gaudi. Every callback
 * is synchronous, so streams, events and timers carry no state.
 */
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/experimental/stream_executor/stream_executor.h"

#define ALIGNMENT 256u
#define MEMORY_BYTES ((int64_t)8 << 30)

static char token; /* What a stream, event or timer handle points at. */

static void ok(TF_Status* status) { TF_SetStatus(status, TF_OK, ""); }

/* Memory. */
static void* allocate_bytes(const SP_Device* device, uint64_t size) {
  return aligned_alloc(ALIGNMENT,
                       (size + ALIGNMENT) / ALIGNMENT * ALIGNMENT);
}
static void free_bytes(const SP_Device* device, void* memory) { free(memory); }
static void allocate(const SP_Device* device, uint64_t size, int64_t space,
                     SP_DeviceMemoryBase* memory) {
  memory->struct_size = SP_DEVICE_MEMORY_BASE_STRUCT_SIZE;
  memory->opaque = allocate_bytes(device, size);
  memory->size = size;
}
static void deallocate(const SP_Device* device, SP_DeviceMemoryBase* memory) {
  free(memory->opaque);
  memory->opaque = NULL;
  memory->size = 0;
}
static TF_Bool no_stats(const SP_Device* device, SP_AllocatorStats* stats) {
  return 0;
}
static TF_Bool memory_usage(const SP_Device* device, int64_t* free_bytes,
                            int64_t* total_bytes) {
  *free_bytes = *total_bytes = MEMORY_BYTES;
  return 1;
}

/* Streams, events and timers: always idle, always complete. */
static void create_stream(const SP_Device* device, SP_Stream* stream,
                          TF_Status* status) {
  *stream = (SP_Stream)&token;
  ok(status);
}
static void destroy_stream(const SP_Device* device, SP_Stream stream) {}
static void depend(const SP_Device* device, SP_Stream dependent,
                   SP_Stream other, TF_Status* status) {
  ok(status);
}
static void stream_status(const SP_Device* device, SP_Stream stream,
                          TF_Status* status) {
  ok(status);
}
static void create_event(const SP_Device* device, SP_Event* event,
                         TF_Status* status) {
  *event = (SP_Event)&token;
  ok(status);
}
static void destroy_event(const SP_Device* device, SP_Event event) {}
static SE_EventStatus event_status(const SP_Device* device, SP_Event event) {
  return SE_EVENT_COMPLETE;
}
static void stream_event(const SP_Device* device, SP_Stream stream,
                         SP_Event event, TF_Status* status) {
  ok(status);
}
static void block_for_event(const SP_Device* device, SP_Event event,
                            TF_Status* status) {
  ok(status);
}
static void create_timer(const SP_Device* device, SP_Timer* timer,
                         TF_Status* status) {
  *timer = (SP_Timer)&token;
  ok(status);
}
static void destroy_timer(const SP_Device* device, SP_Timer timer) {}
static void stream_timer(const SP_Device* device, SP_Stream stream,
                         SP_Timer timer, TF_Status* status) {
  ok(status);
}
static uint64_t nanoseconds(SP_Timer timer) { return 0; }
static void synchronize(const SP_Device* device, TF_Status* status) {
  ok(status);
}
static TF_Bool host_callback(const SP_Device* device, SP_Stream stream,
                             SE_StatusCallbackFn callback, void* argument) {
  TF_Status* status = TF_NewStatus();
  callback(argument, status);
  TF_Bool done = TF_GetCode(status) == TF_OK;
  TF_DeleteStatus(status);
  return done;
}

/* Copies: "queued" ones are done at once. */
static void sync_dtoh(const SP_Device* device, void* host,
                      const SP_DeviceMemoryBase* source, uint64_t size,
                      TF_Status* status) {
  memcpy(host, source->opaque, size);
  ok(status);
}
static void sync_htod(const SP_Device* device, SP_DeviceMemoryBase* target,
                      const void* host, uint64_t size, TF_Status* status) {
  memcpy(target->opaque, host, size);
  ok(status);
}
static void sync_dtod(const SP_Device* device, SP_DeviceMemoryBase* target,
                      const SP_DeviceMemoryBase* source, uint64_t size,
                      TF_Status* status) {
  memmove(target->opaque, source->opaque, size);
  ok(status);
}
static void dtoh(const SP_Device* device, SP_Stream stream, void* host,
                 const SP_DeviceMemoryBase* source, uint64_t size,
                 TF_Status* status) {
  sync_dtoh(device, host, source, size, status);
}
static void htod(const SP_Device* device, SP_Stream stream,
                 SP_DeviceMemoryBase* target, const void* host, uint64_t size,
                 TF_Status* status) {
  sync_htod(device, target, host, size, status);
}
static void dtod(const SP_Device* device, SP_Stream stream,
                 SP_DeviceMemoryBase* target,
                 const SP_DeviceMemoryBase* source, uint64_t size,
                 TF_Status* status) {
  sync_dtod(device, target, source, size, status);
}
static void fill8(const SP_Device* device, SP_Stream stream,
                  SP_DeviceMemoryBase* target, uint8_t pattern, uint64_t size,
                  TF_Status* status) {
  memset(target->opaque, pattern, size);
  ok(status);
}
static void fill0(const SP_Device* device, SP_Stream stream,
                  SP_DeviceMemoryBase* target, uint64_t size,
                  TF_Status* status) {
  fill8(device, stream, target, 0, size, status);
}
static void fill32(const SP_Device* device, SP_Stream stream,
                   SP_DeviceMemoryBase* target, uint32_t pattern,
                   uint64_t size, TF_Status* status) {
  for (uint64_t i = 0; i < size / 4; ++i) {
    ((uint32_t*)target->opaque)[i] = pattern;
  }
  ok(status);
}

/* The platform. */
static void device_count(const SP_Platform* platform, int* count,
                         TF_Status* status) {
  *count = 1;
  ok(status);
}
static void create_device(const SP_Platform* platform,
                          SE_CreateDeviceParams* params, TF_Status* status) {
  params->device->struct_size = SP_DEVICE_STRUCT_SIZE;
  params->device->ordinal = params->ordinal;
  params->device->device_handle = &token;
  params->device->hardware_name = "simulated HPU";
  params->device->device_vendor = "segnet tests";
  params->device->pci_bus_id = "0000:00:00.0";
  ok(status);
}
static void destroy_device(const SP_Platform* platform, SP_Device* device) {}
static void create_device_fns(const SP_Platform* platform,
                              SE_CreateDeviceFnsParams* params,
                              TF_Status* status) {
  params->device_fns->struct_size = SP_DEVICE_FNS_STRUCT_SIZE;
  ok(status);
}
static void destroy_device_fns(const SP_Platform* platform,
                               SP_DeviceFns* functions) {}
static void create_timer_fns(const SP_Platform* platform, SP_TimerFns* timer,
                             TF_Status* status) {
  timer->struct_size = SP_TIMER_FNS_STRUCT_SIZE;
  timer->nanoseconds = nanoseconds;
  ok(status);
}
static void destroy_timer_fns(const SP_Platform* platform,
                              SP_TimerFns* timer) {}
static void create_executor(const SP_Platform* platform,
                            SE_CreateStreamExecutorParams* params,
                            TF_Status* status) {
  SP_StreamExecutor* executor = params->stream_executor;
  executor->struct_size = SP_STREAMEXECUTOR_STRUCT_SIZE;
  executor->allocate = allocate;
  executor->deallocate = deallocate;
  executor->host_memory_allocate = allocate_bytes;
  executor->host_memory_deallocate = free_bytes;
  executor->unified_memory_allocate = allocate_bytes;
  executor->unified_memory_deallocate = free_bytes;
  executor->get_allocator_stats = no_stats;
  executor->device_memory_usage = memory_usage;
  executor->create_stream = create_stream;
  executor->destroy_stream = destroy_stream;
  executor->create_stream_dependency = depend;
  executor->get_stream_status = stream_status;
  executor->create_event = create_event;
  executor->destroy_event = destroy_event;
  executor->get_event_status = event_status;
  executor->record_event = stream_event;
  executor->wait_for_event = stream_event;
  executor->create_timer = create_timer;
  executor->destroy_timer = destroy_timer;
  executor->start_timer = stream_timer;
  executor->stop_timer = stream_timer;
  executor->memcpy_dtoh = dtoh;
  executor->memcpy_htod = htod;
  executor->memcpy_dtod = dtod;
  executor->sync_memcpy_dtoh = sync_dtoh;
  executor->sync_memcpy_htod = sync_htod;
  executor->sync_memcpy_dtod = sync_dtod;
  executor->block_host_for_event = block_for_event;
  executor->synchronize_all_activity = synchronize;
  executor->mem_zero = fill0;
  executor->memset = fill8;
  executor->memset32 = fill32;
  executor->host_callback = host_callback;
  ok(status);
}
static void destroy_executor(const SP_Platform* platform,
                             SP_StreamExecutor* executor) {}
static void destroy_platform(SP_Platform* platform) {}
static void destroy_platform_fns(SP_PlatformFns* functions) {}

void SE_InitPlugin(SE_PlatformRegistrationParams* params, TF_Status* status) {
  params->platform->struct_size = SP_PLATFORM_STRUCT_SIZE;
  params->platform->name = "SIMULATED_HPU";
  params->platform->type = "HPU";
  params->platform->use_bfc_allocator = 1;
  params->platform->force_memory_growth = 1;
  SP_PlatformFns* functions = params->platform_fns;
  functions->struct_size = SP_PLATFORM_FNS_STRUCT_SIZE;
  functions->get_device_count = device_count;
  functions->create_device = create_device;
  functions->destroy_device = destroy_device;
  functions->create_device_fns = create_device_fns;
  functions->destroy_device_fns = destroy_device_fns;
  functions->create_stream_executor = create_executor;
  functions->destroy_stream_executor = destroy_executor;
  functions->create_timer_fns = create_timer_fns;
  functions->destroy_timer_fns = destroy_timer_fns;
  params->destroy_platform = destroy_platform;
  params->destroy_platform_fns = destroy_platform_fns;
  ok(status);
}
