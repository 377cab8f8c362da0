// The items of a data set that a step takes: each epoch's are ordered by random keys, or each is drawn anew.
#pragma once

#include "philox.h"

namespace ematheory {
namespace {

// 64 random bits for one number of an epoch.
EMATHEORY_FUNCTION uint64_t item_key(const uint64_t seed, const uint32_t point, const uint32_t replica,
                                     const uint32_t epoch, const uint64_t number) {
  const PhiloxKey key = philox_key(seed);
  const uint32_t low = static_cast<uint32_t>(number), high = static_cast<uint32_t>(number >> 32);
  const PhiloxCell cell = philox_cell(high + epoch, replica, key);
  uint32_t words[4];
  philox_finish(cell.low1, cell.high0, cell.low0, philox_block(low, last_word(point, ORDER_STREAM), key), key, words);
  return (static_cast<uint64_t>(words[0]) << 32) | words[1];
}

// Which of `size` items is drawn as number `draw` with items put back.
EMATHEORY_FUNCTION int64_t replaced_item(const uint64_t seed, const uint32_t point, const uint32_t replica,
                                         const uint64_t draw, const int64_t size) {
  // 53 bits place an item; the shares of two items differ by at most 2⁻⁵³.
  const double place = static_cast<double>(item_key(seed, point, replica, 0, draw) >> 11);
  return static_cast<int64_t>(place * 0x1p-53 * static_cast<double>(size));
}

// Whether one item comes before another: by their keys, and by their numbers where those are equal.
EMATHEORY_FUNCTION bool comes_first(const uint64_t *keys, const int64_t one, const int64_t other) {
  return keys[one] != keys[other] ? keys[one] < keys[other] : one < other;
}

}  // namespace
}  // namespace ematheory
