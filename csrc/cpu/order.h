// The order in which a data set's items come: compiled once, for it sorts with the standard library.
#pragma once

#include <stdint.h>

extern "C" {
// The items of an epoch in their order for one replica of one point: by 64 random bits each, ties by number.
void ematheory_order(uint64_t seed, uint32_t point, uint32_t replica, uint32_t epoch, int64_t size, uint64_t *keys,
                     int64_t *order);
}
