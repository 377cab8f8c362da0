// Random numbers that a vector's steps take, four steps of them at a time, and the memory they and other arrays are in.
#pragma once

#include <stddef.h>

#include "normal.h"

namespace ematheory {
namespace {

// Memory that is cut into arrays one after another, each aligned; from address 0 it only counts.
struct Arena {
  static constexpr size_t ALIGNMENT = 64;

  uintptr_t address;
  size_t used = 0;

  template <class Entry>
  EMATHEORY_FUNCTION Entry *take(const int64_t count) {
    Entry *const array = reinterpret_cast<Entry *>(address + used);
    used += (static_cast<size_t>(count) * sizeof(Entry) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return array;
  }
};

// The numbers of one stream for so many columns: of each of four steps a row, filled up to a multiple of what the
// engine draws at once. Entries are normals, or the words that these are made of.
template <class Entry>
struct Drawn {
  Stream stream;
  int64_t columns, row;
  Entry *rows;
  int64_t block = -1;  // of steps, that was drawn last

  EMATHEORY_FUNCTION Drawn(Arena &arena, const Stream stream, const int64_t columns, const int64_t multiple)
      : stream(stream),
        columns(columns),
        row((columns + multiple - 1) / multiple * multiple),
        rows(arena.take<Entry>(STEPS_PER_CALL * row)) {}

  // Of a step, or of the item of that number, which must have been drawn.
  EMATHEORY_FUNCTION const Entry *at(const uint64_t step) const {
    return rows + static_cast<int64_t>(step % STEPS_PER_CALL) * row;
  }
};

// The entries that a column's four words make.
EMATHEORY_FUNCTION void entries_of(const uint32_t words[4], float four[STEPS_PER_CALL]) { box_muller(words, four); }

EMATHEORY_FUNCTION void entries_of(const uint32_t words[4], uint32_t four[STEPS_PER_CALL]) {
  EMATHEORY_UNROLL
  for (int step = 0; step < STEPS_PER_CALL; ++step) four[step] = words[step];
}

}  // namespace
}  // namespace ematheory
