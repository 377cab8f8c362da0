// Traced from ematheory/optimizers/ and ematheory/problems/ by `make generate`; edit those, not this.
#pragma once

#include "portable.h"

// Unnamed, so that each instruction set keeps its own copy: the linker must never share one compiled for another.
namespace ematheory {
namespace {

#define EMATHEORY_OPTIMIZERS(X) X(adamw) X(adamw_cautious) X(adam) X(sgd_l2) X(sgd_l2_nesterov) X(sgd_per_lr) X(sgd_per_lr_nesterov)

namespace optimizers {

struct adamw {
  static constexpr int STATE = 3;
  static constexpr int COEFFICIENTS = 8;
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

struct adam {
  static constexpr int STATE = 3;
  static constexpr int COEFFICIENTS = 8;
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

}  // namespace optimizers

#define EMATHEORY_PROBLEMS(X) X(noisy_quadratic) X(random_walk)

namespace problems {

struct noisy_quadratic {
  static constexpr int COEFFICIENTS = 3;
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
  template <class T>
  EMATHEORY_FUNCTION static T gradient(const T, const T noise, const T *c) {
    const T c_noise_scale = c[0];
    const T t0 = c_noise_scale * noise;
    return t0;
  }
};

}  // namespace problems

}  // namespace
}  // namespace ematheory
