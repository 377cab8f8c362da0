#include "order.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "../core/philox.h"

namespace ematheory {
namespace {

// 64 random bits for one number of an epoch.
uint64_t key_of(const uint64_t seed, const uint32_t point, const uint32_t replica, const uint32_t epoch,
                const uint64_t number) {
  const PhiloxKey key = philox_key(seed);
  const uint32_t low = static_cast<uint32_t>(number), high = static_cast<uint32_t>(number >> 32);
  const PhiloxCell cell = philox_cell(high + epoch, replica, key);
  uint32_t words[4];
  philox_finish(cell.low1, cell.high0, cell.low0, philox_block(low, last_word(point, ORDER_STREAM), key), key, words);
  return (static_cast<uint64_t>(words[0]) << 32) | words[1];
}

}  // namespace
}  // namespace ematheory

using namespace ematheory;

void ematheory_order(const uint64_t seed, const uint32_t point, const uint32_t replica, const uint32_t epoch,
                     const int64_t size, uint64_t *keys, int64_t *order) {
  for (int64_t item = 0; item < size; ++item) keys[item] = key_of(seed, point, replica, epoch, item);
  std::iota(order, order + size, int64_t{0});
  std::sort(order, order + size, [keys](const int64_t one, const int64_t other) {
    return keys[one] != keys[other] ? keys[one] < keys[other] : one < other;
  });
}

int64_t ematheory_replaced(const uint64_t seed, const uint32_t point, const uint32_t replica, const uint64_t draw,
                           const int64_t size) {
  // 53 bits place an item; the shares of two items differ by at most 2⁻⁵³.
  const double place = static_cast<double>(key_of(seed, point, replica, 0, draw) >> 11);
  return static_cast<int64_t>(std::floor(place * 0x1p-53 * static_cast<double>(size)));
}
