// Calls of the CUDA run-time library, and memory on the device.
#pragma once

#include <cstdio>

#include "engine.h"

namespace ematheory {

// Does one thing after another until one fails, and keeps what that one said.
class Attempt {
 public:
  explicit Attempt(char *message) : message_(message) { message_[0] = 0; }

  bool operator()(const cudaError_t status, const char *what) {
    if (status == cudaSuccess || failed()) return !failed();
    std::snprintf(message_, EMATHEORY_MESSAGE, "%s: %s", what, cudaGetErrorString(status));
    return false;
  }

  bool failed() const { return message_[0] != 0; }

 private:
  char *message_;
};

// A copy of a host array on the device, freed with it.
class Copy {
 public:
  Copy(Attempt &attempt, const void *host, const size_t size, const bool filled = true) : attempt_(attempt) {
    if (size == 0 || !attempt_(cudaMalloc(&device_, size), "cannot allocate the GPU's memory")) return;
    if (filled) attempt_(cudaMemcpy(device_, host, size, cudaMemcpyHostToDevice), "cannot copy to the GPU");
  }
  ~Copy() { cudaFree(device_); }
  Copy(const Copy &) = delete;
  Copy &operator=(const Copy &) = delete;

  void back(void *host, const size_t size) {
    if (size && !attempt_.failed())
      attempt_(cudaMemcpy(host, device_, size, cudaMemcpyDeviceToHost), "cannot copy from the GPU");
  }

  void *device() const { return device_; }

 private:
  Attempt &attempt_;
  void *device_ = nullptr;
};

}  // namespace ematheory
