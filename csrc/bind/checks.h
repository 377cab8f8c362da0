// What both modules of the binding check of the arrays they are given, and the job that these make up.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "../core/job.h"
#include "../core/options.h"
#include "traced.h"

namespace py = pybind11;

namespace ematheory {

constexpr uint64_t MAXIMUM_STEPS = 1ull << 34;
constexpr uint64_t MAXIMUM_COLUMNS = 1ull << 32;
constexpr uint64_t MAXIMUM_REPLICAS = 1ull << 32;
constexpr uint32_t MAXIMUM_POINTS = 1u << 28;
using Shape = std::vector<py::ssize_t>;

// Without the standard library's streams: where a compiler links that library into the module, and another is in the
// process, their locales mix and the first number written crashes (seen with g++ 13).
inline std::string text(const Shape &shape) {
  std::string out = "(";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + (shape.size() == 1 ? ",)" : ")");
}

inline Shape shape_of(const py::array &array) { return Shape(array.shape(), array.shape() + array.ndim()); }

inline void check(const bool is_right, const std::string &message) {
  if (!is_right) throw py::value_error(message);
}

inline std::string dtype_name(const py::dtype &dtype) { return py::str(dtype).cast<std::string>(); }

// Words are made when they are wanted: a dtype's name takes Python longer than a short call's work.
inline void check_array(const char *name, const py::array &array, const py::dtype &dtype, const Shape &shape) {
  if (!array.dtype().is(dtype) && !array.dtype().equal(dtype))
    throw py::value_error(std::string(name) + " must be " + dtype_name(dtype) + ", got " + dtype_name(array.dtype()));
  if (shape_of(array) != shape)
    throw py::value_error(std::string(name) + " must have shape " + text(shape) + ", got " + text(shape_of(array)));
  check(array.flags() & py::array::c_style, std::string(name) + " must be C-contiguous");
}

inline void check_dimensions(const char *name, const py::array &array, const int wanted) {
  check(array.ndim() == wanted,
        std::string(name) + " must have " + std::to_string(wanted) + " dimensions, got shape " + text(shape_of(array)));
}

inline void check_limit(const char *name, const uint64_t last, const uint64_t limit) {
  check(last <= limit,
        std::string(name) + " must stay below " + std::to_string(limit) + ", got " + std::to_string(last));
}

inline int place_of(const char *kind, const std::vector<Traced> &all, const std::string &name) {
  for (size_t place = 0; place < all.size(); ++place)
    if (all[place].name == name) return static_cast<int>(place);
  std::string known;
  for (const Traced &one : all) known += (known.empty() ? "'" : ", '") + one.name + "'";
  throw py::value_error(std::string(kind) + " must be one of " + known + ", got '" + name + "'");
}

inline void check_offsets(const py::array &snapshots_at, const int64_t steps) {
  const int64_t *offsets = static_cast<const int64_t *>(snapshots_at.data());
  for (py::ssize_t i = 0; i < snapshots_at.size(); ++i) {
    const bool is_right = offsets[i] >= 0 && offsets[i] <= steps && (i == 0 || offsets[i] > offsets[i - 1]);
    check(is_right, "snapshots_at must be increasing numbers in 0…" + std::to_string(steps) + ", got " +
                        std::to_string(offsets[i]) + " at place " + std::to_string(i));
  }
}

inline void check_points(const py::array &point_numbers) {
  const uint32_t *numbers = static_cast<const uint32_t *>(point_numbers.data());
  for (py::ssize_t i = 0; i < point_numbers.size(); ++i) check_limit("point_numbers", numbers[i], MAXIMUM_POINTS - 1);
}

// Options of a step, which only the engines for whole vectors have.
struct StepOptions {
  std::optional<py::array> clip_norm, averaging;
  std::string rounding;
  std::optional<py::array> drift;
};

// The arrays of one call of `advance`, as ematheory/_native.pyi describes them.
struct Arrays {
  const std::string &problem, &optimizer;
  py::array &state;
  const py::array &problem_coefficients, &coefficients;
  uint64_t first_step, seed, first_replica;
  const py::array &point_numbers, &snapshots_at;
  py::array &snapshots;
  int64_t items;
  bool is_replaced;
  const StepOptions &options;
};

constexpr uint64_t MAXIMUM_EPOCHS = 1ull << 32;

// A batch of the data set, and the columns of normals that a step draws, fit the counter. `batches` are of one point
// each, equal for its coordinates.
template <class T>
void check_batches(const Traced &problem, const ematheory_job &job) {
  // Without coordinates there is nothing to read, nor to do.
  if (problem.batch < 0 || job.coordinates == 0) return;
  for (int64_t point = 0; point < job.points; ++point) {
    const T batch =
        static_cast<const T *>(job.problem_coefficients)[(problem.batch * job.points + point) * job.coordinates];
    check(batch >= 1 && batch < T(MAXIMUM_COLUMNS) && batch == T(static_cast<int64_t>(batch)),
          "the batch size must be a whole number of at least 1, got " + std::to_string(batch));
    const uint64_t whole = static_cast<uint64_t>(batch), updates = job.first_step + static_cast<uint64_t>(job.steps);
    const uint64_t draws = updates > UINT64_MAX / whole ? UINT64_MAX : updates * whole;
    if (problem.has_samples)
      check_limit("normals per step", whole * (static_cast<uint64_t>(job.coordinates) + 1), MAXIMUM_COLUMNS);
    check(job.items == 0 || job.is_replaced || job.items % static_cast<int64_t>(whole) == 0,
          "the batch size must divide items=" + std::to_string(job.items) + ", got " + std::to_string(whole));
    if (job.items) check_limit("epochs", draws / job.items + (draws >> 32), MAXIMUM_EPOCHS);
  }
}

inline ematheory_rounding rounding_named(const std::string &word, const bool is_double) {
  if (word.empty()) return EMATHEORY_UNROUNDED;
  check(!is_double, "rounding to bfloat16 is of float32 weights, got a state of float64");
  check(word == "nearest" || word == "stochastic",
        "rounding must be '', 'nearest' or 'stochastic', got '" + word + "'");
  return word == "nearest" ? EMATHEORY_NEAREST : EMATHEORY_STOCHASTIC;
}

// What the options add to a job whose sizes are known.
inline void add_options(const StepOptions &given, const py::dtype &dtype, ematheory_job &job) {
  if (given.clip_norm) {
    check_array("clip_norm", *given.clip_norm, py::dtype::of<double>(), {job.points});
    job.clip_norm = static_cast<const double *>(given.clip_norm->data());
  }
  if (given.averaging) {
    check_dimensions("averaging", *given.averaging, 3);
    job.averages = given.averaging->shape(1);
    check_array("averaging", *given.averaging, dtype, {job.steps, job.averages, 2});
    job.averaging = given.averaging->data();
  }
  job.rounding = rounding_named(given.rounding, job.is_double);
  if (given.drift) {
    check_array("drift", *given.drift, dtype, {2, job.points, job.coordinates});
    job.drift = given.drift->data();
  }
  job.is_coupled |= has_options(job);
}

// Raises ValueError for anything that does not fit together or is beyond a limit.
inline ematheory_job checked_job(const Arrays &given) {
  const auto &[problem, optimizer, state, problem_coefficients, coefficients, first_step, seed, first_replica,
               point_numbers, snapshots_at, snapshots, items, is_replaced, options] = given;
  ematheory_job job{};
  job.problem = place_of("problem", traced_problems(), problem);
  job.optimizer = place_of("optimizer", traced_optimizers(), optimizer);
  const Traced &of_problem = traced_problems()[job.problem], &of_optimizer = traced_optimizers()[job.optimizer];

  check_dimensions("state", state, 4);
  check_dimensions("coefficients", coefficients, 3);
  check_dimensions("snapshots_at", snapshots_at, 1);
  const py::dtype dtype = state.dtype();
  job.is_double = dtype.equal(py::dtype::of<double>());
  check(job.is_double || dtype.equal(py::dtype::of<float>()),
        "state must be float32 or float64, got " + dtype_name(dtype));
  const Shape shape = shape_of(state);
  const py::ssize_t points = shape[1], replicas = shape[2], coordinates = shape[3], steps = coefficients.shape(1);
  job.points = points;
  job.replicas = replicas;
  job.coordinates = coordinates;
  job.steps = steps;
  job.is_coupled = job.problem >= SEPARABLE_PROBLEMS || job.optimizer >= SEPARABLE_OPTIMIZERS;
  add_options(options, dtype, job);
  check_array("state", state, dtype, {of_optimizer.state + held_of(job), points, replicas, coordinates});
  check_array("snapshots", snapshots, dtype, {snapshots_at.size(), points * copies_of(job), replicas, coordinates});
  check_array("problem_coefficients", problem_coefficients, dtype, {of_problem.coefficients, points, coordinates});
  check_array("coefficients", coefficients, dtype, {points, steps, of_optimizer.coefficients});
  check_array("point_numbers", point_numbers, py::dtype::of<uint32_t>(), {points});
  check_array("snapshots_at", snapshots_at, py::dtype::of<int64_t>(), {snapshots_at.size()});
  check_limit("first_step", first_step, MAXIMUM_STEPS);
  check_limit("first_step + steps", first_step + static_cast<uint64_t>(steps), MAXIMUM_STEPS);
  check_limit("first_replica", first_replica, MAXIMUM_REPLICAS);
  check_limit("first_replica + replicas", first_replica + static_cast<uint64_t>(replicas), MAXIMUM_REPLICAS);
  check_limit("coordinates", static_cast<uint64_t>(coordinates), MAXIMUM_COLUMNS);
  check_points(point_numbers);
  const bool has_items = of_problem.batch >= 0 && !of_problem.has_samples;
  check(has_items ? items >= 1 : items == 0,
        has_items ? "items must be at least 1, got " + std::to_string(items)
                  : "items are for problems with a data set, got " + std::to_string(items) + " for " + problem);
  check_offsets(snapshots_at, steps);

  job.first_step = first_step;
  job.seed = seed;
  job.first_replica = static_cast<uint32_t>(first_replica);
  job.point_numbers = static_cast<const uint32_t *>(point_numbers.data());
  job.state = state.mutable_data();
  job.problem_coefficients = problem_coefficients.data();
  job.coefficients = coefficients.data();
  job.snapshot_count = snapshots_at.size();
  job.snapshots_at = static_cast<const int64_t *>(snapshots_at.data());
  job.snapshots = snapshots.mutable_data();
  job.items = items;
  job.is_replaced = is_replaced;
  job.is_double ? check_batches<double>(of_problem, job) : check_batches<float>(of_problem, job);
  return job;
}

// Of one vector of several: where its coordinates stand among all of a replica's.
inline void set_first_column(ematheory_job &job, const int64_t first_column) {
  const bool has_vectors = job.is_coupled && !traced_problems()[job.problem].has_samples;
  check(first_column == 0 || has_vectors,
        "first_column is for vectors without samples, got " + std::to_string(first_column));
  check(first_column >= 0, "first_column must be at least 0, got " + std::to_string(first_column));
  check_limit("first_column", static_cast<uint64_t>(first_column), MAXIMUM_COLUMNS);
  check_limit("first_column + coordinates", static_cast<uint64_t>(first_column + job.coordinates), MAXIMUM_COLUMNS);
  job.first_column = first_column;
}

// Factors whose product is not a number of the dtype, and the sum that shows the part a second rounding loses.
template <class T>
std::vector<T> contraction_cases(const T unit) {
  std::vector<T> numbers;
  for (int i = 1; i <= 64; ++i) {
    const volatile T a = 1 + static_cast<T>(i) * unit, b = 1 - static_cast<T>(i) * unit;
    const volatile T product = a * b, c = -product;
    numbers.insert(numbers.end(), {a, b, c, product});
  }
  return numbers;
}

// The first `count` names.
inline std::vector<std::string> names(const std::vector<Traced> &all, const size_t count) {
  std::vector<std::string> listed;
  for (size_t place = 0; place < count; ++place) listed.push_back(all[place].name);
  return listed;
}

}  // namespace ematheory
