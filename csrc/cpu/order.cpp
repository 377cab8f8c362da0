#include "order.h"

#include <algorithm>
#include <numeric>

#include "../core/items.h"

using namespace ematheory;

void ematheory_order(const uint64_t seed, const uint32_t point, const uint32_t replica, const uint32_t epoch,
                     const int64_t size, uint64_t *keys, int64_t *order) {
  for (int64_t item = 0; item < size; ++item) keys[item] = item_key(seed, point, replica, epoch, item);
  std::iota(order, order + size, int64_t{0});
  std::sort(order, order + size,
            [keys](const int64_t one, const int64_t other) { return comes_first(keys, one, other); });
}
