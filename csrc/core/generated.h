// Traced from ematheory/optimizers/ and ematheory/problems/ by `make generate`; edit those, not this.
#pragma once

#include "portable.h"

// Unnamed, so that each instruction set keeps its own copy: the linker must never share one compiled for another.
namespace ematheory {
namespace {

// Chooses the terms of one pass over a vector's coordinates.
template <int NUMBER>
struct Pass {};

#define EMATHEORY_OPTIMIZERS(X) X(adamw) X(adamw_cautious) X(adamw_inside) X(adamw_after) X(adam) X(sgd_l2) X(sgd_l2_nesterov) X(sgd_per_lr) X(sgd_per_lr_nesterov) X(sgd_cautious) X(ademamix) X(ademamix_cautious) X(lion) X(lion_cautious) X(nadam_l2) X(nadam_per_lr) X(nadam_cautious) X(rmsprop) X(schedule_free_adamw) X(schedule_free_sgd) X(signsgd) X(signsgd_cautious)

namespace optimizers {

struct adamw {
  static constexpr int STATE = 3;
  static constexpr int COEFFICIENTS = 8;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T second_moment = state[2];
    const T c_step_size = c[0];
    const T c_decay = c[1];
    const T c_beta1 = c[2];
    const T c_one_minus_beta1 = c[3];
    const T c_beta2 = c[4];
    const T c_one_minus_beta2 = c[5];
    const T c_inverse_correction2 = c[6];
    const T c_eps = c[7];
    const T t0 = c_beta1 * first_moment;
    const T t1 = c_one_minus_beta1 * gradient;
    const T t2 = t0 + t1;
    const T t3 = c_beta2 * second_moment;
    const T t4 = gradient * gradient;
    const T t5 = c_one_minus_beta2 * t4;
    const T t6 = t3 + t5;
    const T t7 = c_step_size * t2;
    const T t8 = t6 * c_inverse_correction2;
    const T t9 = root(t8);
    const T t10 = t9 + c_eps;
    const T t11 = t7 / t10;
    const T t12 = c_decay * weight;
    const T t13 = weight - t12;
    const T t14 = t13 - t11;
    state[0] = t14;
    state[1] = t2;
    state[2] = t6;
  }
};

struct adamw_cautious {
  static constexpr int STATE = 3;
  static constexpr int COEFFICIENTS = 8;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T second_moment = state[2];
    const T c_step_size = c[0];
    const T c_decay = c[1];
    const T c_beta1 = c[2];
    const T c_one_minus_beta1 = c[3];
    const T c_beta2 = c[4];
    const T c_one_minus_beta2 = c[5];
    const T c_inverse_correction2 = c[6];
    const T c_eps = c[7];
    const T t0 = c_beta1 * first_moment;
    const T t1 = c_one_minus_beta1 * gradient;
    const T t2 = t0 + t1;
    const T t3 = c_beta2 * second_moment;
    const T t4 = gradient * gradient;
    const T t5 = c_one_minus_beta2 * t4;
    const T t6 = t3 + t5;
    const T t7 = c_step_size * t2;
    const T t8 = t6 * c_inverse_correction2;
    const T t9 = root(t8);
    const T t10 = t9 + c_eps;
    const T t11 = t7 / t10;
    const T t12 = c_decay * weight;
    const T t13 = t11 * weight;
    const bool t14 = t13 >= T(0);
    const T t15 = t14 ? t12 : T(0);
    const T t16 = weight - t15;
    const T t17 = t16 - t11;
    state[0] = t17;
    state[1] = t2;
    state[2] = t6;
  }
};

struct adamw_inside {
  static constexpr int STATE = 3;
  static constexpr int COEFFICIENTS = 8;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T second_moment = state[2];
    const T c_step_size = c[0];
    const T c_decay = c[1];
    const T c_beta1 = c[2];
    const T c_one_minus_beta1 = c[3];
    const T c_beta2 = c[4];
    const T c_one_minus_beta2 = c[5];
    const T c_inverse_correction2 = c[6];
    const T c_eps = c[7];
    const T t0 = c_beta1 * first_moment;
    const T t1 = c_one_minus_beta1 * gradient;
    const T t2 = t0 + t1;
    const T t3 = c_beta2 * second_moment;
    const T t4 = gradient * gradient;
    const T t5 = c_one_minus_beta2 * t4;
    const T t6 = t3 + t5;
    const T t7 = c_step_size * t2;
    const T t8 = t6 * c_inverse_correction2;
    const T t9 = t8 + c_eps;
    const T t10 = root(t9);
    const T t11 = t7 / t10;
    const T t12 = c_decay * weight;
    const T t13 = weight - t12;
    const T t14 = t13 - t11;
    state[0] = t14;
    state[1] = t2;
    state[2] = t6;
  }
};

struct adamw_after {
  static constexpr int STATE = 3;
  static constexpr int COEFFICIENTS = 8;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T second_moment = state[2];
    const T c_step_size = c[0];
    const T c_decay = c[1];
    const T c_beta1 = c[2];
    const T c_one_minus_beta1 = c[3];
    const T c_beta2 = c[4];
    const T c_one_minus_beta2 = c[5];
    const T c_inverse_correction2 = c[6];
    const T c_eps = c[7];
    const T t0 = c_beta1 * first_moment;
    const T t1 = c_one_minus_beta1 * gradient;
    const T t2 = t0 + t1;
    const T t3 = c_beta2 * second_moment;
    const T t4 = gradient * gradient;
    const T t5 = c_one_minus_beta2 * t4;
    const T t6 = t3 + t5;
    const T t7 = c_step_size * t2;
    const T t8 = t6 * c_inverse_correction2;
    const T t9 = root(t8);
    const T t10 = t9 + c_eps;
    const T t11 = t7 / t10;
    const T t12 = weight - t11;
    const T t13 = c_decay * t12;
    const T t14 = t12 - t13;
    state[0] = t14;
    state[1] = t2;
    state[2] = t6;
  }
};

struct adam {
  static constexpr int STATE = 3;
  static constexpr int COEFFICIENTS = 8;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T second_moment = state[2];
    const T c_step_size = c[0];
    const T c_weight_decay = c[1];
    const T c_beta1 = c[2];
    const T c_one_minus_beta1 = c[3];
    const T c_beta2 = c[4];
    const T c_one_minus_beta2 = c[5];
    const T c_inverse_correction2 = c[6];
    const T c_eps = c[7];
    const T t0 = c_weight_decay * weight;
    const T t1 = gradient + t0;
    const T t2 = c_beta1 * first_moment;
    const T t3 = c_one_minus_beta1 * t1;
    const T t4 = t2 + t3;
    const T t5 = c_beta2 * second_moment;
    const T t6 = t1 * t1;
    const T t7 = c_one_minus_beta2 * t6;
    const T t8 = t5 + t7;
    const T t9 = c_step_size * t4;
    const T t10 = t8 * c_inverse_correction2;
    const T t11 = root(t10);
    const T t12 = t11 + c_eps;
    const T t13 = t9 / t12;
    const T t14 = weight - t13;
    state[0] = t14;
    state[1] = t4;
    state[2] = t8;
  }
};

struct sgd_l2 {
  static constexpr int STATE = 2;
  static constexpr int COEFFICIENTS = 3;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T momentum = state[1];
    const T c_lr = c[0];
    const T c_momentum = c[1];
    const T c_decay = c[2];
    const T t0 = c_decay * weight;
    const T t1 = gradient + t0;
    const T t2 = c_momentum * momentum;
    const T t3 = t2 + t1;
    const T t4 = c_lr * t3;
    const T t5 = weight - t4;
    state[0] = t5;
    state[1] = t3;
  }
};

struct sgd_l2_nesterov {
  static constexpr int STATE = 2;
  static constexpr int COEFFICIENTS = 3;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T momentum = state[1];
    const T c_lr = c[0];
    const T c_momentum = c[1];
    const T c_decay = c[2];
    const T t0 = c_decay * weight;
    const T t1 = gradient + t0;
    const T t2 = c_momentum * momentum;
    const T t3 = t2 + t1;
    const T t4 = c_momentum * t3;
    const T t5 = t1 + t4;
    const T t6 = c_lr * t5;
    const T t7 = weight - t6;
    state[0] = t7;
    state[1] = t3;
  }
};

struct sgd_per_lr {
  static constexpr int STATE = 2;
  static constexpr int COEFFICIENTS = 3;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T momentum = state[1];
    const T c_lr = c[0];
    const T c_momentum = c[1];
    const T c_decay = c[2];
    const T t0 = c_decay * weight;
    const T t1 = c_momentum * momentum;
    const T t2 = t1 + gradient;
    const T t3 = weight - t0;
    const T t4 = c_lr * t2;
    const T t5 = t3 - t4;
    state[0] = t5;
    state[1] = t2;
  }
};

struct sgd_per_lr_nesterov {
  static constexpr int STATE = 2;
  static constexpr int COEFFICIENTS = 3;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T momentum = state[1];
    const T c_lr = c[0];
    const T c_momentum = c[1];
    const T c_decay = c[2];
    const T t0 = c_decay * weight;
    const T t1 = c_momentum * momentum;
    const T t2 = t1 + gradient;
    const T t3 = c_momentum * t2;
    const T t4 = gradient + t3;
    const T t5 = weight - t0;
    const T t6 = c_lr * t4;
    const T t7 = t5 - t6;
    state[0] = t7;
    state[1] = t2;
  }
};

struct sgd_cautious {
  static constexpr int STATE = 2;
  static constexpr int COEFFICIENTS = 3;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T momentum = state[1];
    const T c_lr = c[0];
    const T c_momentum = c[1];
    const T c_decay = c[2];
    const T t0 = c_decay * weight;
    const T t1 = c_momentum * momentum;
    const T t2 = t1 + gradient;
    const T t3 = t2 * weight;
    const bool t4 = t3 >= T(0);
    const T t5 = t4 ? t0 : T(0);
    const T t6 = weight - t5;
    const T t7 = c_lr * t2;
    const T t8 = t6 - t7;
    state[0] = t8;
    state[1] = t2;
  }
};

struct ademamix {
  static constexpr int STATE = 4;
  static constexpr int COEFFICIENTS = 11;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T second_moment = state[2];
    const T slow_moment = state[3];
    const T c_step_size = c[0];
    const T c_slow_step_size = c[1];
    const T c_decay = c[2];
    const T c_beta1 = c[3];
    const T c_one_minus_beta1 = c[4];
    const T c_beta2 = c[5];
    const T c_one_minus_beta2 = c[6];
    const T c_beta3 = c[7];
    const T c_one_minus_beta3 = c[8];
    const T c_inverse_correction2 = c[9];
    const T c_eps = c[10];
    const T t0 = c_beta1 * first_moment;
    const T t1 = c_one_minus_beta1 * gradient;
    const T t2 = t0 + t1;
    const T t3 = c_beta2 * second_moment;
    const T t4 = gradient * gradient;
    const T t5 = c_one_minus_beta2 * t4;
    const T t6 = t3 + t5;
    const T t7 = c_beta3 * slow_moment;
    const T t8 = c_one_minus_beta3 * gradient;
    const T t9 = t7 + t8;
    const T t10 = c_step_size * t2;
    const T t11 = c_slow_step_size * t9;
    const T t12 = t10 + t11;
    const T t13 = t6 * c_inverse_correction2;
    const T t14 = root(t13);
    const T t15 = t14 + c_eps;
    const T t16 = t12 / t15;
    const T t17 = c_decay * weight;
    const T t18 = weight - t17;
    const T t19 = t18 - t16;
    state[0] = t19;
    state[1] = t2;
    state[2] = t6;
    state[3] = t9;
  }
};

struct ademamix_cautious {
  static constexpr int STATE = 4;
  static constexpr int COEFFICIENTS = 11;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T second_moment = state[2];
    const T slow_moment = state[3];
    const T c_step_size = c[0];
    const T c_slow_step_size = c[1];
    const T c_decay = c[2];
    const T c_beta1 = c[3];
    const T c_one_minus_beta1 = c[4];
    const T c_beta2 = c[5];
    const T c_one_minus_beta2 = c[6];
    const T c_beta3 = c[7];
    const T c_one_minus_beta3 = c[8];
    const T c_inverse_correction2 = c[9];
    const T c_eps = c[10];
    const T t0 = c_beta1 * first_moment;
    const T t1 = c_one_minus_beta1 * gradient;
    const T t2 = t0 + t1;
    const T t3 = c_beta2 * second_moment;
    const T t4 = gradient * gradient;
    const T t5 = c_one_minus_beta2 * t4;
    const T t6 = t3 + t5;
    const T t7 = c_beta3 * slow_moment;
    const T t8 = c_one_minus_beta3 * gradient;
    const T t9 = t7 + t8;
    const T t10 = c_step_size * t2;
    const T t11 = c_slow_step_size * t9;
    const T t12 = t10 + t11;
    const T t13 = t6 * c_inverse_correction2;
    const T t14 = root(t13);
    const T t15 = t14 + c_eps;
    const T t16 = t12 / t15;
    const T t17 = c_decay * weight;
    const T t18 = t16 * weight;
    const bool t19 = t18 >= T(0);
    const T t20 = t19 ? t17 : T(0);
    const T t21 = weight - t20;
    const T t22 = t21 - t16;
    state[0] = t22;
    state[1] = t2;
    state[2] = t6;
    state[3] = t9;
  }
};

struct lion {
  static constexpr int STATE = 2;
  static constexpr int COEFFICIENTS = 6;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T c_lr = c[0];
    const T c_decay = c[1];
    const T c_beta1 = c[2];
    const T c_one_minus_beta1 = c[3];
    const T c_beta2 = c[4];
    const T c_one_minus_beta2 = c[5];
    const T t0 = c_beta1 * first_moment;
    const T t1 = c_one_minus_beta1 * gradient;
    const T t2 = t0 + t1;
    const bool t3 = t2 > T(0);
    const bool t4 = t2 < T(0);
    const T t5 = t4 ? T(-1) : T(0);
    const T t6 = t3 ? T(1) : t5;
    const T t7 = c_beta2 * first_moment;
    const T t8 = c_one_minus_beta2 * gradient;
    const T t9 = t7 + t8;
    const T t10 = c_decay * weight;
    const T t11 = weight - t10;
    const T t12 = c_lr * t6;
    const T t13 = t11 - t12;
    state[0] = t13;
    state[1] = t9;
  }
};

struct lion_cautious {
  static constexpr int STATE = 2;
  static constexpr int COEFFICIENTS = 6;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T c_lr = c[0];
    const T c_decay = c[1];
    const T c_beta1 = c[2];
    const T c_one_minus_beta1 = c[3];
    const T c_beta2 = c[4];
    const T c_one_minus_beta2 = c[5];
    const T t0 = c_beta1 * first_moment;
    const T t1 = c_one_minus_beta1 * gradient;
    const T t2 = t0 + t1;
    const bool t3 = t2 > T(0);
    const bool t4 = t2 < T(0);
    const T t5 = t4 ? T(-1) : T(0);
    const T t6 = t3 ? T(1) : t5;
    const T t7 = c_beta2 * first_moment;
    const T t8 = c_one_minus_beta2 * gradient;
    const T t9 = t7 + t8;
    const T t10 = c_decay * weight;
    const T t11 = t6 * weight;
    const bool t12 = t11 >= T(0);
    const T t13 = t12 ? t10 : T(0);
    const T t14 = weight - t13;
    const T t15 = c_lr * t6;
    const T t16 = t14 - t15;
    state[0] = t16;
    state[1] = t9;
  }
};

struct nadam_l2 {
  static constexpr int STATE = 4;
  static constexpr int COEFFICIENTS = 11;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T second_moment = state[2];
    const T momentum_product = state[3];
    const T c_momentum = c[0];
    const T c_next_momentum = c[1];
    const T c_gradient_step = c[2];
    const T c_momentum_step = c[3];
    const T c_decay = c[4];
    const T c_beta1 = c[5];
    const T c_one_minus_beta1 = c[6];
    const T c_beta2 = c[7];
    const T c_one_minus_beta2 = c[8];
    const T c_inverse_correction2 = c[9];
    const T c_eps = c[10];
    const T t0 = c_decay * weight;
    const T t1 = gradient + t0;
    const T t2 = momentum_product * c_momentum;
    const T t3 = c_beta1 * first_moment;
    const T t4 = c_one_minus_beta1 * t1;
    const T t5 = t3 + t4;
    const T t6 = c_beta2 * second_moment;
    const T t7 = t1 * t1;
    const T t8 = c_one_minus_beta2 * t7;
    const T t9 = t6 + t8;
    const T t10 = T(1) - t2;
    const T t11 = c_gradient_step / t10;
    const T t12 = t11 * t1;
    const T t13 = t2 * c_next_momentum;
    const T t14 = T(1) - t13;
    const T t15 = c_momentum_step / t14;
    const T t16 = t15 * t5;
    const T t17 = t12 + t16;
    const T t18 = t9 * c_inverse_correction2;
    const T t19 = root(t18);
    const T t20 = t19 + c_eps;
    const T t21 = t17 / t20;
    const T t22 = weight - t21;
    state[0] = t22;
    state[1] = t5;
    state[2] = t9;
    state[3] = t2;
  }
};

struct nadam_per_lr {
  static constexpr int STATE = 4;
  static constexpr int COEFFICIENTS = 11;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T second_moment = state[2];
    const T momentum_product = state[3];
    const T c_momentum = c[0];
    const T c_next_momentum = c[1];
    const T c_gradient_step = c[2];
    const T c_momentum_step = c[3];
    const T c_decay = c[4];
    const T c_beta1 = c[5];
    const T c_one_minus_beta1 = c[6];
    const T c_beta2 = c[7];
    const T c_one_minus_beta2 = c[8];
    const T c_inverse_correction2 = c[9];
    const T c_eps = c[10];
    const T t0 = c_decay * weight;
    const T t1 = momentum_product * c_momentum;
    const T t2 = c_beta1 * first_moment;
    const T t3 = c_one_minus_beta1 * gradient;
    const T t4 = t2 + t3;
    const T t5 = c_beta2 * second_moment;
    const T t6 = gradient * gradient;
    const T t7 = c_one_minus_beta2 * t6;
    const T t8 = t5 + t7;
    const T t9 = T(1) - t1;
    const T t10 = c_gradient_step / t9;
    const T t11 = t10 * gradient;
    const T t12 = t1 * c_next_momentum;
    const T t13 = T(1) - t12;
    const T t14 = c_momentum_step / t13;
    const T t15 = t14 * t4;
    const T t16 = t11 + t15;
    const T t17 = t8 * c_inverse_correction2;
    const T t18 = root(t17);
    const T t19 = t18 + c_eps;
    const T t20 = t16 / t19;
    const T t21 = weight - t0;
    const T t22 = t21 - t20;
    state[0] = t22;
    state[1] = t4;
    state[2] = t8;
    state[3] = t1;
  }
};

struct nadam_cautious {
  static constexpr int STATE = 4;
  static constexpr int COEFFICIENTS = 11;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T second_moment = state[2];
    const T momentum_product = state[3];
    const T c_momentum = c[0];
    const T c_next_momentum = c[1];
    const T c_gradient_step = c[2];
    const T c_momentum_step = c[3];
    const T c_decay = c[4];
    const T c_beta1 = c[5];
    const T c_one_minus_beta1 = c[6];
    const T c_beta2 = c[7];
    const T c_one_minus_beta2 = c[8];
    const T c_inverse_correction2 = c[9];
    const T c_eps = c[10];
    const T t0 = c_decay * weight;
    const T t1 = momentum_product * c_momentum;
    const T t2 = c_beta1 * first_moment;
    const T t3 = c_one_minus_beta1 * gradient;
    const T t4 = t2 + t3;
    const T t5 = c_beta2 * second_moment;
    const T t6 = gradient * gradient;
    const T t7 = c_one_minus_beta2 * t6;
    const T t8 = t5 + t7;
    const T t9 = T(1) - t1;
    const T t10 = c_gradient_step / t9;
    const T t11 = t10 * gradient;
    const T t12 = t1 * c_next_momentum;
    const T t13 = T(1) - t12;
    const T t14 = c_momentum_step / t13;
    const T t15 = t14 * t4;
    const T t16 = t11 + t15;
    const T t17 = t8 * c_inverse_correction2;
    const T t18 = root(t17);
    const T t19 = t18 + c_eps;
    const T t20 = t16 / t19;
    const T t21 = t20 * weight;
    const bool t22 = t21 >= T(0);
    const T t23 = t22 ? t0 : T(0);
    const T t24 = weight - t23;
    const T t25 = t24 - t20;
    state[0] = t25;
    state[1] = t4;
    state[2] = t8;
    state[3] = t1;
  }
};

struct rmsprop {
  static constexpr int STATE = 3;
  static constexpr int COEFFICIENTS = 6;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T momentum = state[1];
    const T second_moment = state[2];
    const T c_lr = c[0];
    const T c_decay = c[1];
    const T c_momentum = c[2];
    const T c_beta2 = c[3];
    const T c_one_minus_beta2 = c[4];
    const T c_eps = c[5];
    const T t0 = c_decay * weight;
    const T t1 = gradient + t0;
    const T t2 = c_beta2 * second_moment;
    const T t3 = t1 * t1;
    const T t4 = c_one_minus_beta2 * t3;
    const T t5 = t2 + t4;
    const T t6 = c_momentum * momentum;
    const T t7 = root(t5);
    const T t8 = t7 + c_eps;
    const T t9 = t1 / t8;
    const T t10 = t6 + t9;
    const T t11 = c_lr * t10;
    const T t12 = weight - t11;
    state[0] = t12;
    state[1] = t10;
    state[2] = t5;
  }
};

struct schedule_free_adamw {
  static constexpr int STATE = 3;
  static constexpr int COEFFICIENTS = 10;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *c) {
    const T weight = state[0];
    const T iterate = state[1];
    const T c_beta1 = c[2];
    const T c_one_minus_beta1 = c[3];
    const T t0 = c_beta1 * weight;
    const T t1 = c_one_minus_beta1 * iterate;
    const T t2 = t0 + t1;
    return t2;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T iterate = state[1];
    const T second_moment = state[2];
    const T c_lr = c[0];
    const T c_decay = c[1];
    const T c_beta1 = c[2];
    const T c_one_minus_beta1 = c[3];
    const T c_beta2 = c[4];
    const T c_one_minus_beta2 = c[5];
    const T c_inverse_correction2 = c[6];
    const T c_eps = c[7];
    const T c_share = c[8];
    const T c_one_minus_share = c[9];
    const T t0 = c_beta2 * second_moment;
    const T t1 = gradient * gradient;
    const T t2 = c_one_minus_beta2 * t1;
    const T t3 = t0 + t2;
    const T t4 = c_lr * gradient;
    const T t5 = t3 * c_inverse_correction2;
    const T t6 = root(t5);
    const T t7 = t6 + c_eps;
    const T t8 = t4 / t7;
    const T t9 = c_beta1 * weight;
    const T t10 = c_one_minus_beta1 * iterate;
    const T t11 = t9 + t10;
    const T t12 = c_decay * t11;
    const T t13 = iterate - t12;
    const T t14 = t13 - t8;
    const T t15 = c_one_minus_share * weight;
    const T t16 = c_share * t14;
    const T t17 = t15 + t16;
    state[0] = t17;
    state[1] = t14;
    state[2] = t3;
  }
};

struct schedule_free_sgd {
  static constexpr int STATE = 2;
  static constexpr int COEFFICIENTS = 6;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *c) {
    const T weight = state[0];
    const T iterate = state[1];
    const T c_beta1 = c[2];
    const T c_one_minus_beta1 = c[3];
    const T t0 = c_beta1 * weight;
    const T t1 = c_one_minus_beta1 * iterate;
    const T t2 = t0 + t1;
    return t2;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T iterate = state[1];
    const T c_lr = c[0];
    const T c_decay = c[1];
    const T c_beta1 = c[2];
    const T c_one_minus_beta1 = c[3];
    const T c_share = c[4];
    const T c_one_minus_share = c[5];
    const T t0 = c_beta1 * weight;
    const T t1 = c_one_minus_beta1 * iterate;
    const T t2 = t0 + t1;
    const T t3 = c_decay * t2;
    const T t4 = gradient + t3;
    const T t5 = c_lr * t4;
    const T t6 = iterate - t5;
    const T t7 = c_one_minus_share * weight;
    const T t8 = c_share * t6;
    const T t9 = t7 + t8;
    state[0] = t9;
    state[1] = t6;
  }
};

struct signsgd {
  static constexpr int STATE = 2;
  static constexpr int COEFFICIENTS = 4;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T c_lr = c[0];
    const T c_decay = c[1];
    const T c_momentum = c[2];
    const T c_one_minus_momentum = c[3];
    const T t0 = c_momentum * first_moment;
    const T t1 = c_one_minus_momentum * gradient;
    const T t2 = t0 + t1;
    const T t3 = c_decay * weight;
    const T t4 = weight - t3;
    const bool t5 = t2 > T(0);
    const bool t6 = t2 < T(0);
    const T t7 = t6 ? T(-1) : T(0);
    const T t8 = t5 ? T(1) : t7;
    const T t9 = c_lr * t8;
    const T t10 = t4 - t9;
    state[0] = t10;
    state[1] = t2;
  }
};

struct signsgd_cautious {
  static constexpr int STATE = 2;
  static constexpr int COEFFICIENTS = 4;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T c_lr = c[0];
    const T c_decay = c[1];
    const T c_momentum = c[2];
    const T c_one_minus_momentum = c[3];
    const T t0 = c_momentum * first_moment;
    const T t1 = c_one_minus_momentum * gradient;
    const T t2 = t0 + t1;
    const T t3 = c_decay * weight;
    const T t4 = t2 * weight;
    const bool t5 = t4 >= T(0);
    const T t6 = t5 ? t3 : T(0);
    const T t7 = weight - t6;
    const bool t8 = t2 > T(0);
    const bool t9 = t2 < T(0);
    const T t10 = t9 ? T(-1) : T(0);
    const T t11 = t8 ? T(1) : t10;
    const T t12 = c_lr * t11;
    const T t13 = t7 - t12;
    state[0] = t13;
    state[1] = t2;
  }
};

}  // namespace optimizers

#define EMATHEORY_COUPLED_OPTIMIZERS(X) X(adamp) X(amos)

namespace optimizers {

struct adamp {
  static constexpr int STATE = 3;
  static constexpr int COEFFICIENTS = 10;
  static constexpr int PASSES = 2;
  static constexpr int DOTS = 6;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void terms(Pass<0>, const T *state, const T gradient, const T *, const T *, double *terms) {
    const T weight = state[0];
    const T t12 = T(0);
    const T t13 = t12 + T(1);
    terms[0] = double(gradient) * double(weight);
    terms[1] = double(gradient) * double(gradient);
    terms[2] = double(weight) * double(weight);
    terms[3] = double(t13) * double(t13);
    terms[4] = double(weight) * double(weight);
  }
  template <class T>
  EMATHEORY_FUNCTION static void terms(Pass<1>, const T *state, const T gradient, const T *c, const T *dots, double *terms) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T second_moment = state[2];
    const T c_step_size = c[0];
    const T c_beta1 = c[3];
    const T c_one_minus_beta1 = c[4];
    const T c_beta2 = c[5];
    const T c_one_minus_beta2 = c[6];
    const T c_inverse_correction2 = c[7];
    const T c_eps = c[8];
    const T dot4 = dots[4];
    const T t0 = c_beta1 * first_moment;
    const T t1 = c_one_minus_beta1 * gradient;
    const T t2 = t0 + t1;
    const T t3 = c_beta2 * second_moment;
    const T t4 = gradient * gradient;
    const T t5 = c_one_minus_beta2 * t4;
    const T t6 = t3 + t5;
    const T t7 = c_step_size * t2;
    const T t8 = t6 * c_inverse_correction2;
    const T t9 = root(t8);
    const T t10 = t9 + c_eps;
    const T t11 = t7 / t10;
    const T t19 = root(dot4);
    const T t20 = t19 + c_eps;
    const T t21 = weight / t20;
    terms[5] = double(t21) * double(t11);
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c, const T *dots) {
    const T weight = state[0];
    const T first_moment = state[1];
    const T second_moment = state[2];
    const T c_step_size = c[0];
    const T c_decay = c[1];
    const T c_detected_decay = c[2];
    const T c_beta1 = c[3];
    const T c_one_minus_beta1 = c[4];
    const T c_beta2 = c[5];
    const T c_one_minus_beta2 = c[6];
    const T c_inverse_correction2 = c[7];
    const T c_eps = c[8];
    const T c_squared_delta = c[9];
    const T dot0 = dots[0];
    const T dot1 = dots[1];
    const T dot2 = dots[2];
    const T dot3 = dots[3];
    const T dot4 = dots[4];
    const T dot5 = dots[5];
    const T t0 = c_beta1 * first_moment;
    const T t1 = c_one_minus_beta1 * gradient;
    const T t2 = t0 + t1;
    const T t3 = c_beta2 * second_moment;
    const T t4 = gradient * gradient;
    const T t5 = c_one_minus_beta2 * t4;
    const T t6 = t3 + t5;
    const T t7 = c_step_size * t2;
    const T t8 = t6 * c_inverse_correction2;
    const T t9 = root(t8);
    const T t10 = t9 + c_eps;
    const T t11 = t7 / t10;
    const T t14 = dot1 * dot2;
    const T t15 = c_squared_delta * t14;
    const T t16 = dot0 * dot0;
    const T t17 = t16 * dot3;
    const bool t18 = t17 < t15;
    const T t19 = root(dot4);
    const T t20 = t19 + c_eps;
    const T t21 = weight / t20;
    const T t22 = t21 * dot5;
    const T t23 = t11 - t22;
    const T t24 = t18 ? t23 : t11;
    const T t25 = c_detected_decay * weight;
    const T t26 = c_decay * weight;
    const T t27 = t18 ? t25 : t26;
    const T t28 = weight - t27;
    const T t29 = t28 - t24;
    state[0] = t29;
    state[1] = t2;
    state[2] = t6;
  }
  EMATHEORY_FUNCTION static constexpr int pass_of(const int dot) { return dot == 0 ? 0 : dot == 1 ? 0 : dot == 2 ? 0 : dot == 3 ? 0 : dot == 4 ? 0 : dot == 5 ? 1 : -1; }
};

struct amos {
  static constexpr int STATE = 4;
  static constexpr int COEFFICIENTS = 10;
  static constexpr int PASSES = 1;
  static constexpr int DOTS = 2;
  template <class T>
  EMATHEORY_FUNCTION static T point(const T *state, const T *) {
    const T weight = state[0];
    return weight;
  }
  template <class T>
  EMATHEORY_FUNCTION static void terms(Pass<0>, const T *, const T gradient, const T *, const T *, double *terms) {
    const T t0 = T(0);
    const T t1 = t0 + T(1);
    terms[0] = double(gradient) * double(gradient);
    terms[1] = double(t1) * double(t1);
  }
  template <class T>
  EMATHEORY_FUNCTION static void update(T *state, const T gradient, const T *c, const T *dots) {
    const T weight = state[0];
    const T momentum = state[1];
    const T second_moment = state[2];
    const T decayed = state[3];
    const T c_lr = c[0];
    const T c_squared_lr = c[1];
    const T c_slow_c = c[2];
    const T c_slow_d = c[3];
    const T c_correction = c[4];
    const T c_beta2 = c[5];
    const T c_one_minus_beta2 = c[6];
    const T c_eps = c[7];
    const T c_momentum = c[8];
    const T c_one_minus_momentum = c[9];
    const T dot0 = dots[0];
    const T dot1 = dots[1];
    const T t2 = dot0 / dot1;
    const T t3 = c_beta2 * second_moment;
    const T t4 = c_one_minus_beta2 * t2;
    const T t5 = t3 + t4;
    const T t6 = t5 + c_eps;
    const T t7 = c_correction / t6;
    const T t8 = t7 * t2;
    const T t9 = c_squared_lr * t8;
    const T t10 = c_slow_c * decayed;
    const T t11 = T(1) + t10;
    const T t12 = root(t11);
    const T t13 = t9 / t12;
    const T t14 = t13 / T(2);
    const T t15 = t14 * weight;
    const T t16 = root(t7);
    const T t17 = t16 * gradient;
    const T t18 = c_lr * t17;
    const T t19 = t15 + t18;
    const T t20 = c_momentum * momentum;
    const T t21 = c_slow_d * decayed;
    const T t22 = T(1) + t21;
    const T t23 = t19 / t22;
    const T t24 = c_one_minus_momentum * t23;
    const T t25 = t20 + t24;
    const T t26 = T(1) + decayed;
    const T t27 = t13 * t26;
    const T t28 = decayed + t27;
    const T t29 = weight - t25;
    state[0] = t29;
    state[1] = t25;
    state[2] = t5;
    state[3] = t28;
  }
  EMATHEORY_FUNCTION static constexpr int pass_of(const int dot) { return dot == 0 ? 0 : dot == 1 ? 0 : -1; }
};

}  // namespace optimizers

#define EMATHEORY_PROBLEMS(X) X(noisy_quadratic) X(random_walk)

namespace problems {

struct noisy_quadratic {
  static constexpr int COEFFICIENTS = 3;
  static constexpr int SAMPLES = 0;
  static constexpr int BATCH = -1;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T gradient(const T weight, const T noise, const T *c) {
    const T c_curvature = c[0];
    const T c_optimum = c[1];
    const T c_noise_scale = c[2];
    const T t0 = weight - c_optimum;
    const T t1 = c_curvature * t0;
    const T t2 = c_noise_scale * noise;
    const T t3 = t1 + t2;
    return t3;
  }
};

struct random_walk {
  static constexpr int COEFFICIENTS = 1;
  static constexpr int SAMPLES = 0;
  static constexpr int BATCH = -1;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T gradient(const T, const T noise, const T *c) {
    const T c_noise_scale = c[0];
    const T t0 = c_noise_scale * noise;
    return t0;
  }
};

}  // namespace problems

#define EMATHEORY_COUPLED_PROBLEMS(X) X(scale_invariant) X(rayleigh_quotient) X(linear_regression) X(reshuffled_data)

namespace problems {

struct scale_invariant {
  static constexpr int COEFFICIENTS = 1;
  static constexpr int SAMPLES = 0;
  static constexpr int BATCH = -1;
  static constexpr int PASSES = 1;
  static constexpr int DOTS = 2;
  template <class T>
  EMATHEORY_FUNCTION static void terms(Pass<0>, const T weight, const T noise, const T *c, const T *, double *terms) {
    const T c_noise_scale = c[0];
    const T t0 = c_noise_scale * noise;
    terms[0] = double(weight) * double(weight);
    terms[1] = double(weight) * double(t0);
  }
  template <class T>
  EMATHEORY_FUNCTION static T gradient(const T weight, const T noise, const T *c, const T *dots) {
    const T c_noise_scale = c[0];
    const T dot0 = dots[0];
    const T dot1 = dots[1];
    const T t0 = c_noise_scale * noise;
    const T t1 = dot1 / dot0;
    const T t2 = t1 * weight;
    const T t3 = t0 - t2;
    const T t4 = root(dot0);
    const T t5 = t3 / t4;
    return t5;
  }
  EMATHEORY_FUNCTION static constexpr int pass_of(const int dot) { return dot == 0 ? 0 : dot == 1 ? 0 : -1; }
};

struct rayleigh_quotient {
  static constexpr int COEFFICIENTS = 2;
  static constexpr int SAMPLES = 0;
  static constexpr int BATCH = -1;
  static constexpr int PASSES = 1;
  static constexpr int DOTS = 3;
  template <class T>
  EMATHEORY_FUNCTION static void terms(Pass<0>, const T weight, const T noise, const T *c, const T *, double *terms) {
    const T c_curvature = c[0];
    const T c_noise_scale = c[1];
    const T t1 = c_curvature * weight;
    const T t6 = c_noise_scale * noise;
    terms[0] = double(weight) * double(weight);
    terms[1] = double(weight) * double(t1);
    terms[2] = double(weight) * double(t6);
  }
  template <class T>
  EMATHEORY_FUNCTION static T gradient(const T weight, const T noise, const T *c, const T *dots) {
    const T c_curvature = c[0];
    const T c_noise_scale = c[1];
    const T dot0 = dots[0];
    const T dot1 = dots[1];
    const T dot2 = dots[2];
    const T t0 = root(dot0);
    const T t1 = c_curvature * weight;
    const T t2 = dot1 / dot0;
    const T t3 = t2 * weight;
    const T t4 = t1 - t3;
    const T t5 = t4 / t0;
    const T t6 = c_noise_scale * noise;
    const T t7 = dot2 / dot0;
    const T t8 = t7 * weight;
    const T t9 = t6 - t8;
    const T t10 = t5 + t9;
    const T t11 = t10 / t0;
    return t11;
  }
  EMATHEORY_FUNCTION static constexpr int pass_of(const int dot) { return dot == 0 ? 0 : dot == 1 ? 0 : dot == 2 ? 0 : -1; }
};

struct linear_regression {
  static constexpr int COEFFICIENTS = 5;
  static constexpr int SAMPLES = 1;
  static constexpr int BATCH = 4;
  static constexpr int PASSES = 1;
  static constexpr int DOTS = 1;
  template <class T>
  EMATHEORY_FUNCTION static void terms(Pass<0>, const T weight, const T noise, const T *c, const T *, double *terms) {
    const T c_optimum = c[1];
    const T c_feature_scale = c[2];
    const T t0 = c_feature_scale * noise;
    const T t1 = weight - c_optimum;
    terms[0] = double(t0) * double(t1);
  }
  template <class T>
  EMATHEORY_FUNCTION static T gradient(const T, const T noise, const T *c, const T *dots) {
    const T c_feature_scale = c[2];
    const T c_label_noise = c[3];
    const T label = c[5];
    const T dot0 = dots[0];
    const T t0 = c_feature_scale * noise;
    const T t2 = c_label_noise * label;
    const T t3 = dot0 - t2;
    const T t4 = t3 * t0;
    return t4;
  }
  EMATHEORY_FUNCTION static constexpr int pass_of(const int dot) { return dot == 0 ? 0 : -1; }
  template <class T>
  EMATHEORY_FUNCTION static T mean(const T total, const T *c) {
    const T c_batch_size = c[4];
    const T t0 = total / c_batch_size;
    return t0;
  }
};

struct reshuffled_data {
  static constexpr int COEFFICIENTS = 4;
  static constexpr int SAMPLES = 0;
  static constexpr int BATCH = 3;
  static constexpr int PASSES = 0;
  static constexpr int DOTS = 0;
  template <class T>
  EMATHEORY_FUNCTION static T gradient(const T weight, const T noise, const T *c) {
    const T c_curvature = c[0];
    const T c_optimum = c[1];
    const T c_noise_scale = c[2];
    const T t0 = weight - c_optimum;
    const T t1 = c_curvature * t0;
    const T t2 = c_noise_scale * noise;
    const T t3 = t1 + t2;
    return t3;
  }
};

}  // namespace problems

}  // namespace
}  // namespace ematheory
