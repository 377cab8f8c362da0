// The Python face of the native engine: checks the arrays, lets the interpreter run, and answers Ctrl-C.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <sstream>

#include "../core/philox.h"
#include "../cpu/dispatch.h"

namespace py = pybind11;
using namespace py::literals;

namespace ematheory {
namespace {

constexpr uint64_t MAXIMUM_STEPS = 1ull << 34;
constexpr uint64_t MAXIMUM_COLUMNS = 1ull << 32;
constexpr uint64_t MAXIMUM_REPLICAS = 1ull << 32;
constexpr uint32_t MAXIMUM_POINTS = 1u << 28;
constexpr std::chrono::milliseconds BETWEEN_SIGNAL_CHECKS{50};

using Shape = std::vector<py::ssize_t>;

std::string text(const Shape &shape) {
  std::ostringstream out;
  out << "(";
  for (size_t i = 0; i < shape.size(); ++i) out << (i ? ", " : "") << shape[i];
  out << (shape.size() == 1 ? ",)" : ")");
  return out.str();
}

Shape shape_of(const py::array &array) { return Shape(array.shape(), array.shape() + array.ndim()); }

void check(const bool is_right, const std::string &message) {
  if (!is_right) throw py::value_error(message);
}

std::string dtype_name(const py::dtype &dtype) { return py::str(dtype).cast<std::string>(); }

// Words are made when they are wanted: a dtype's name takes Python longer than a short call's work.
void check_array(const char *name, const py::array &array, const py::dtype &dtype, const Shape &shape) {
  if (!array.dtype().is(dtype) && !array.dtype().equal(dtype))
    throw py::value_error(std::string(name) + " must be " + dtype_name(dtype) + ", got " + dtype_name(array.dtype()));
  if (shape_of(array) != shape)
    throw py::value_error(std::string(name) + " must have shape " + text(shape) + ", got " + text(shape_of(array)));
  check(array.flags() & py::array::c_style, std::string(name) + " must be C-contiguous");
}

void check_dimensions(const char *name, const py::array &array, const int wanted) {
  check(array.ndim() == wanted,
        std::string(name) + " must have " + std::to_string(wanted) + " dimensions, got shape " + text(shape_of(array)));
}

void check_limit(const char *name, const uint64_t last, const uint64_t limit) {
  check(last <= limit,
        std::string(name) + " must stay below " + std::to_string(limit) + ", got " + std::to_string(last));
}

const Level &level_named(const std::string &isa) {
  std::string known;
  for (const Level *level : supported_levels()) {
    if (level->public_name() == isa) return *level;
    known += (known.empty() ? "'" : ", '") + level->public_name() + "'";
  }
  throw py::value_error("isa must be one of " + known + ", got '" + isa + "'");
}

int place_of(const char *kind, const std::vector<Traced> &all, const std::string &name) {
  for (size_t place = 0; place < all.size(); ++place)
    if (all[place].name == name) return static_cast<int>(place);
  std::string known;
  for (const Traced &one : all) known += (known.empty() ? "'" : ", '") + one.name + "'";
  throw py::value_error(std::string(kind) + " must be one of " + known + ", got '" + name + "'");
}

void check_offsets(const py::array &snapshots_at, const int64_t steps) {
  const int64_t *offsets = static_cast<const int64_t *>(snapshots_at.data());
  for (py::ssize_t i = 0; i < snapshots_at.size(); ++i) {
    const bool is_right = offsets[i] >= 0 && offsets[i] <= steps && (i == 0 || offsets[i] > offsets[i - 1]);
    check(is_right, "snapshots_at must be increasing numbers in 0…" + std::to_string(steps) + ", got " +
                        std::to_string(offsets[i]) + " at place " + std::to_string(i));
  }
}

void check_points(const py::array &point_numbers) {
  const uint32_t *numbers = static_cast<const uint32_t *>(point_numbers.data());
  for (py::ssize_t i = 0; i < point_numbers.size(); ++i) check_limit("point_numbers", numbers[i], MAXIMUM_POINTS - 1);
}

// Does the tiles on threads, each by work(tile); between looks at signals, so that Ctrl-C raises KeyboardInterrupt.
template <class Work>
void run(const Work &work, const int64_t tiles, int *stop, const int threads, const py::object &progress) {
  Run threads_at_work(work, tiles, stop, threads);
  try {
    for (;;) {
      bool is_done;
      {
        const py::gil_scoped_release others_may_run;
        is_done = threads_at_work.wait(BETWEEN_SIGNAL_CHECKS);
      }
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (!progress.is_none()) progress(threads_at_work.done());
      if (is_done) return;
    }
  } catch (...) {
    threads_at_work.stop();
    throw;
  }
}

int64_t tiles_of(const int64_t cells, const int64_t cells_per_tile) {
  return (cells + cells_per_tile - 1) / cells_per_tile;
}

void advance(const std::string &isa, const std::string &problem, const std::string &optimizer, py::array state,
             const py::array &problem_coefficients, const py::array &coefficients, const uint64_t first_step,
             const uint64_t seed, const uint64_t first_replica, const py::array &point_numbers,
             const py::array &snapshots_at, py::array snapshots, const int threads, const py::object &progress) {
  const Level &level = level_named(isa);
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
  check_array("state", state, dtype, {of_optimizer.state, points, replicas, coordinates});
  check_array("problem_coefficients", problem_coefficients, dtype, {of_problem.coefficients, points, coordinates});
  check_array("coefficients", coefficients, dtype, {points, steps, of_optimizer.coefficients});
  check_array("point_numbers", point_numbers, py::dtype::of<uint32_t>(), {points});
  check_array("snapshots_at", snapshots_at, py::dtype::of<int64_t>(), {snapshots_at.size()});
  check_array("snapshots", snapshots, dtype, {snapshots_at.size(), points, replicas, coordinates});
  check(threads >= 1, "threads must be at least 1, got " + std::to_string(threads));
  check_limit("first_step", first_step, MAXIMUM_STEPS);
  check_limit("first_step + steps", first_step + static_cast<uint64_t>(steps), MAXIMUM_STEPS);
  check_limit("first_replica", first_replica, MAXIMUM_REPLICAS);
  check_limit("first_replica + replicas", first_replica + static_cast<uint64_t>(replicas), MAXIMUM_REPLICAS);
  check_limit("coordinates", static_cast<uint64_t>(coordinates), MAXIMUM_COLUMNS);
  check_points(point_numbers);
  check_offsets(snapshots_at, steps);

  job.points = points;
  job.replicas = replicas;
  job.coordinates = coordinates;
  job.steps = steps;
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
  int stop = 0;
  job.stop = &stop;
  const int64_t tiles = tiles_of(replicas * coordinates, level.cells_per_tile());
  run([&](const int64_t tile) { level.advance(&job, tile / tiles, tile % tiles); }, tiles * points, &stop, threads,
      progress);
}

void moments(const std::string &isa, const std::string &program, py::array state, const py::array &gradient,
             const py::array &coefficients, const py::array &snapshots_at, py::array snapshots, const int threads) {
  const Level &level = level_named(isa);
  ematheory_moments_job job{};
  job.program = place_of("program", traced_moments(), program);
  const Traced &traced = traced_moments()[job.program];
  check_dimensions("state", state, 3);
  check_dimensions("coefficients", coefficients, 3);
  check_dimensions("snapshots_at", snapshots_at, 1);
  const py::dtype dtype = py::dtype::of<double>();
  const py::ssize_t points = state.shape(1), columns = state.shape(2), steps = coefficients.shape(1);
  check_array("state", state, dtype, {traced.state, points, columns});
  check_array("gradient", gradient, dtype, {traced.gradient, points, columns});
  check_array("coefficients", coefficients, dtype, {points, steps, traced.coefficients});
  check_array("snapshots_at", snapshots_at, py::dtype::of<int64_t>(), {snapshots_at.size()});
  check_array("snapshots", snapshots, dtype, {snapshots_at.size(), traced.state, points, columns});
  check(threads >= 1, "threads must be at least 1, got " + std::to_string(threads));
  check_offsets(snapshots_at, steps);
  job.points = points;
  job.columns = columns;
  job.steps = steps;
  job.gradient = static_cast<const double *>(gradient.data());
  job.coefficients = static_cast<const double *>(coefficients.data());
  job.state = static_cast<double *>(state.mutable_data());
  job.snapshot_count = snapshots_at.size();
  job.snapshots_at = static_cast<const int64_t *>(snapshots_at.data());
  job.snapshots = static_cast<double *>(snapshots.mutable_data());
  int stop = 0;
  job.stop = &stop;
  const int64_t tiles = tiles_of(columns, level.cells_per_moments_tile());
  run([&](const int64_t tile) { level.moments(&job, tile / tiles, tile % tiles); }, tiles * points, &stop, threads,
      py::none());
}

py::array_t<float> normals(const std::string &isa, const uint64_t seed, const uint64_t first_step,
                           const py::ssize_t steps, const py::ssize_t columns, const py::ssize_t replicas,
                           const uint64_t first_replica, const uint32_t point) {
  check(steps >= 0 && columns >= 1 && replicas >= 1, "steps, columns and replicas must be positive");
  check_limit("first_step + steps", first_step + static_cast<uint64_t>(steps), MAXIMUM_STEPS);
  check_limit("first_replica + replicas", first_replica + static_cast<uint64_t>(replicas), MAXIMUM_REPLICAS);
  check_limit("columns", static_cast<uint64_t>(columns), MAXIMUM_COLUMNS);
  check_limit("point", point, MAXIMUM_POINTS - 1);
  const Level &level = level_named(isa);
  py::array_t<float> drawn(Shape{steps, replicas, columns});
  const ematheory_normals wanted{
      seed, first_step, steps, replicas, columns, static_cast<uint32_t>(first_replica), point, drawn.mutable_data()};
  const py::gil_scoped_release others_may_run;
  level.normals(&wanted);
  return drawn;
}

using Counter = std::tuple<uint32_t, uint32_t, uint32_t, uint32_t>;

Counter philox(const Counter &counter, const uint64_t key) {
  const auto [block, column, replica, last] = counter;
  const PhiloxKey halves = philox_key(key);
  const PhiloxCell cell = philox_cell(column, replica, halves);
  uint32_t words[4];
  philox_finish(cell.low1, cell.high0, cell.low0, philox_block(block, last, halves), halves, words);
  return {words[0], words[1], words[2], words[3]};
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

bool contraction_is_off(const std::string &isa) {
  const std::vector<float> singles = contraction_cases<float>(0x1p-13f);
  const std::vector<double> doubles = contraction_cases<double>(0x1p-28);
  return level_named(isa).contraction_is_off(singles.data(), doubles.data(), 64) != 0;
}

std::vector<std::string> names(const std::vector<Traced> &all) {
  std::vector<std::string> listed;
  for (const Traced &one : all) listed.push_back(one.name);
  return listed;
}

std::vector<std::string> isas() {
  std::vector<std::string> listed;
  for (const Level *level : supported_levels()) listed.push_back(level->public_name());
  return listed;
}

}  // namespace
}  // namespace ematheory

PYBIND11_MODULE(_native, module) {
  using namespace ematheory;
  module.doc() = "The native engine; ematheory/_native.pyi describes it.";
  module.def("isas", &isas);
  module.def("optimizers", [] { return names(traced_optimizers()); });
  module.def("problems", [] { return names(traced_problems()); });
  module.def("advance", &advance, py::kw_only(), "isa"_a, "problem"_a, "optimizer"_a, "state"_a,
             "problem_coefficients"_a, "coefficients"_a, "first_step"_a, "seed"_a, "first_replica"_a, "point_numbers"_a,
             "snapshots_at"_a, "snapshots"_a, "threads"_a, "progress"_a = py::none());
  module.def("moment_programs", [] { return names(traced_moments()); });
  module.def("moments", &moments, py::kw_only(), "isa"_a, "program"_a, "state"_a, "gradient"_a, "coefficients"_a,
             "snapshots_at"_a, "snapshots"_a, "threads"_a);
  module.def("normals", &normals, py::kw_only(), "isa"_a, "seed"_a, "first_step"_a, "steps"_a, "columns"_a,
             "replicas"_a, "first_replica"_a, "point"_a);
  module.def("philox", &philox, "counter"_a, "key"_a);
  module.def("contraction_is_off", &contraction_is_off, "isa"_a);
}
