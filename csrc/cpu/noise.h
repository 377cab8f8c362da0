// The normals of many cells at once, in the widest vectors of the instruction set compiled for.
#pragma once

#include "../core/normal.h"
#include "vector.h"

namespace ematheory {
namespace {

constexpr int LANES = 128;
// While four steps are made, a quarter of the next four steps' normals is drawn beside each: the divisions and roots of
// the update keep one unit of the CPU busy, the products of Philox the others.
constexpr int PART = LANES / STEPS_PER_CALL;

using Normals = float[STEPS_PER_CALL][LANES];

// The noise of a tile's cells of one point: what Philox needs of each, and of the point.
struct Noise {
  alignas(64) uint32_t low1[LANES], high0[LANES], low0[LANES];
  PhiloxKeys keys;
  uint32_t last;
  static constexpr bool ACROSS = false;  // points

  EMATHEORY_FUNCTION uint32_t last_at(int) const { return last; }
};

// The same of cells of several points.
struct NoiseAcross : Noise {
  alignas(64) uint32_t lasts[LANES];
  static constexpr bool ACROSS = true;

  EMATHEORY_FUNCTION Words last_at(const int lane) const;
};

Words NoiseAcross::last_at(const int lane) const { return load(lasts + lane); }

// Cells are numbered replica by replica, coordinate by coordinate, and from the first replica again after `replicas`.
// Those past the end repeat the numbering, unused.
__attribute__((noinline)) void set_up(Noise &noise, const uint64_t seed, const uint32_t last,
                                      const uint32_t first_replica, const int64_t coordinates, const int64_t cell,
                                      const int64_t replicas = INT64_MAX) {
  noise.keys = philox_keys(seed);
  noise.last = last;
  int64_t replica = cell / coordinates % replicas, column = cell % coordinates;
  for (int lane = 0; lane < LANES; ++lane) {
    const PhiloxCell own =
        philox_cell(static_cast<uint32_t>(column), first_replica + static_cast<uint32_t>(replica), philox_key(seed));
    noise.low1[lane] = own.low1;
    noise.high0[lane] = own.high0;
    noise.low0[lane] = own.low0;
    if (++column == coordinates) {
      column = 0;
      if (++replica == replicas) replica = 0;
    }
  }
}

// The words of steps 4·block … 4·block + 3 for one part of the lanes, into rows of `ROW` lanes from `lanes` on.
template <class Source, int ROW>
EMATHEORY_FUNCTION void words_of(const Source &noise, const uint32_t block, const int part, uint32_t (*words)[ROW],
                                 const int lanes) {
  const int first = part * PART;
  for (int lane = 0; lane < PART; lane += WIDTH) {
    const int at = first + lane;
    const auto shared = philox_block(block, noise.last_at(at), noise.keys);
    Words four[4];
    philox_finish(load(noise.low1 + at), load(noise.high0 + at), load(noise.low0 + at), shared, noise.keys, four);
    for (int word = 0; word < 4; ++word) store(four[word], words[word] + lanes + lane);
  }
}

// The normals of steps 4·block … 4·block + 3 for one part of the lanes.
template <class Source>
__attribute__((noinline)) void draw(const Source &noise, const uint32_t block, const int part, Normals &normals) {
  alignas(64) uint32_t words[4][PART];
  words_of(noise, block, part, words, 0);
  const int first = part * PART;
  for (int lane = 0; lane < PART; ++lane) {
    const uint32_t own[4] = {words[0][lane], words[1][lane], words[2][lane], words[3][lane]};
    float drawn[4];
    box_muller(own, drawn);
    for (int step = 0; step < 4; ++step) normals[step][first + lane] = drawn[step];
  }
}

// The words themselves.
using WordRows = uint32_t[STEPS_PER_CALL][LANES];

[[maybe_unused]] __attribute__((noinline)) void draw(const Noise &noise, const uint32_t block, const int part,
                                                     WordRows &words) {
  words_of(noise, block, part, words, part * PART);
}

}  // namespace
}  // namespace ematheory
