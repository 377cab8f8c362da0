// Philox4x32-10 (Salmon et al., SC11), as ematheory/simulation/philox.py, in three parts.
//
// In the counter (block, column, replica, last) only block changes with time and only column and replica with the
// cell, and two rounds pass before the two meet. So a cell's share and a block's share of them are made once each.
#pragma once

#include "portable.h"

namespace ematheory {
namespace {

constexpr uint32_t PHILOX_MULTIPLIER0 = 0xD2511F53u;
constexpr uint32_t PHILOX_MULTIPLIER1 = 0xCD9E8D57u;
constexpr uint32_t PHILOX_INCREMENT0 = 0x9E3779B9u;
constexpr uint32_t PHILOX_INCREMENT1 = 0xBB67AE85u;
constexpr int PHILOX_ROUNDS = 10;

// What random numbers are for; with the point's number it is the last word of the counter.
enum Stream : uint32_t {
  GRADIENT_STREAM = 0,
  DATA_STREAM = 2,
  ORDER_STREAM = 3,
  ROUNDING_STREAM = 4,
  DRIFT_STREAM = 5
};

EMATHEORY_FUNCTION uint32_t last_word(const uint32_t point, const Stream stream) { return point * 16u + stream; }

// The two halves of a 32×32-bit product; csrc/cpu/vector.h adds the same for vectors of words.
template <class Word>
struct Product;

template <>
struct Product<uint32_t> {
  uint32_t high, low;

  EMATHEORY_FUNCTION Product(const uint32_t multiplier, const uint32_t word) {
    const uint64_t product = wide_product(multiplier, word);
    high = static_cast<uint32_t>(product >> 32);
    low = static_cast<uint32_t>(product);
  }
};

// The 64-bit seed's halves, and what they have grown to after some rounds.
struct PhiloxKey {
  uint32_t word0, word1;

  EMATHEORY_FUNCTION PhiloxKey after(const uint32_t rounds) const {
    return {word0 + rounds * PHILOX_INCREMENT0, word1 + rounds * PHILOX_INCREMENT1};
  }
};

EMATHEORY_FUNCTION PhiloxKey philox_key(const uint64_t seed) {
  return {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)};
}

// The same from memory, for those who have it to spare: an instruction of a CPU reads its operand from there.
struct PhiloxKeys {
  PhiloxKey all[PHILOX_ROUNDS];

  EMATHEORY_FUNCTION PhiloxKey after(const uint32_t rounds) const { return all[rounds]; }
};

EMATHEORY_FUNCTION PhiloxKeys philox_keys(const uint64_t seed) {
  PhiloxKeys keys;
  for (uint32_t rounds = 0; rounds < PHILOX_ROUNDS; ++rounds) keys.all[rounds] = philox_key(seed).after(rounds);
  return keys;
}

// A cell's share of the first two rounds.
struct PhiloxCell {
  uint32_t low1, high0, low0;
};

EMATHEORY_FUNCTION PhiloxCell philox_cell(const uint32_t column, const uint32_t replica, const PhiloxKey key) {
  const Product<uint32_t> first(PHILOX_MULTIPLIER1, replica);
  const Product<uint32_t> second(PHILOX_MULTIPLIER0, first.high ^ column ^ key.word0);
  return {first.low, second.high, second.low};
}

// The share of all cells of one point in one block of four steps; Word is a vector where there are several points.
template <class Word>
struct PhiloxBlock {
  Word word0, word1;
  uint32_t word2;
};

template <class Word, class Key>
EMATHEORY_FUNCTION PhiloxBlock<Word> philox_block(const uint32_t block, const Word last, const Key key) {
  const Product<uint32_t> first(PHILOX_MULTIPLIER0, block);
  const Product<Word> second(PHILOX_MULTIPLIER1, last ^ (first.high ^ key.after(0).word1));
  return {second.high ^ key.after(1).word0, second.low, first.low ^ key.after(1).word1};
}

// The other rounds; Word is uint32_t or a vector of them.
template <class Word, class Shared, class Key>
EMATHEORY_FUNCTION void philox_finish(const Word low1, const Word high0, const Word low0, const Shared &block,
                                      const Key &key, Word words[4]) {
  Word x0 = low1 ^ block.word0, x1 = Word{} ^ block.word1, x2 = high0 ^ block.word2, x3 = low0;
#if defined(__CUDACC__)
#pragma unroll
#endif
  for (int round = 2; round < PHILOX_ROUNDS; ++round) {
    const PhiloxKey now = key.after(round);
    const Product<Word> even(PHILOX_MULTIPLIER0, x0), odd(PHILOX_MULTIPLIER1, x2);
    x0 = odd.high ^ x1 ^ now.word0;
    x1 = odd.low;
    x2 = even.high ^ x3 ^ now.word1;
    x3 = even.low;
  }
  words[0] = x0;
  words[1] = x1;
  words[2] = x2;
  words[3] = x3;
}

}  // namespace
}  // namespace ematheory
