// Scratch memory, cut into aligned arrays.
#pragma once

#include <stdint.h>
#include <stdlib.h>

namespace ematheory {
namespace {

constexpr size_t ALIGNMENT = 64;

class Scratch {
 public:
  explicit Scratch(const size_t size) : memory_(static_cast<char *>(aligned_alloc(ALIGNMENT, rounded(size)))) {}
  ~Scratch() { free(memory_); }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;

  template <class Entry>
  Entry *take(const int64_t count) {
    char *const array = memory_ + used_;
    used_ += size_of<Entry>(count);
    return reinterpret_cast<Entry *>(array);
  }

  template <class Entry>
  static size_t size_of(const int64_t count) {
    return rounded(static_cast<size_t>(count) * sizeof(Entry));
  }

  bool is_there() const { return memory_ != nullptr; }

 private:
  static size_t rounded(const size_t size) { return (size / ALIGNMENT + 1) * ALIGNMENT; }

  char *const memory_;
  size_t used_ = 0;
};

}  // namespace
}  // namespace ematheory
