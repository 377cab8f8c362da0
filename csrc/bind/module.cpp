// The Python face of the native engine: checks the arrays, lets the interpreter run, and answers Ctrl-C.
#include "../core/philox.h"
#include "../cpu/dispatch.h"
#include "checks.h"

using namespace py::literals;

namespace ematheory {
namespace {

constexpr std::chrono::milliseconds BETWEEN_SIGNAL_CHECKS{50};

const Level &level_named(const std::string &isa) {
  std::string known;
  for (const Level *level : supported_levels()) {
    if (level->public_name() == isa) return *level;
    known += (known.empty() ? "'" : ", '") + level->public_name() + "'";
  }
  throw py::value_error("isa must be one of " + known + ", got '" + isa + "'");
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

// So few cells of a point leave so much of its tile's lanes empty that points had better share tiles, though each lane
// then has coefficients of its own.
constexpr int64_t CELLS_TO_PACK = 16;

int64_t tiles_of(const int64_t cells, const int64_t cells_per_tile) {
  return (cells + cells_per_tile - 1) / cells_per_tile;
}

// One vector after another, a replica of a point each.
void advance_vectors(const Level &level, const ematheory_job &job, int *stop, const int threads,
                     const py::object &progress) {
  std::atomic<bool> is_short_of_memory{false};
  const auto work = [&](const int64_t vector) {
    if (level.advance_vector(&job, vector / job.replicas, vector % job.replicas)) return;
    is_short_of_memory = true;
    __atomic_store_n(stop, 1, __ATOMIC_RELAXED);
  };
  run(work, job.coordinates ? job.points * job.replicas : 0, stop, threads, progress);
  if (is_short_of_memory) throw std::bad_alloc();
}

void advance(const std::string &isa, const std::string &problem, const std::string &optimizer, py::array state,
             const py::array &problem_coefficients, const py::array &coefficients, const uint64_t first_step,
             const uint64_t seed, const uint64_t first_replica, const py::array &point_numbers,
             const py::array &snapshots_at, py::array snapshots, const int threads, const py::object &progress,
             const int64_t items, const bool is_replaced, const int64_t first_column,
             const std::optional<py::array> &clip_norm, const std::optional<py::array> &averaging,
             const std::string &rounding, const std::optional<py::array> &drift) {
  const Level &level = level_named(isa);
  check(threads >= 1, "threads must be at least 1, got " + std::to_string(threads));
  const StepOptions options{clip_norm, averaging, rounding, drift};
  ematheory_job job = checked_job({problem, optimizer, state, problem_coefficients, coefficients, first_step, seed,
                                   first_replica, point_numbers, snapshots_at, snapshots, items, is_replaced, options});
  set_first_column(job, first_column);
  int stop = 0;
  job.stop = &stop;
  if (job.is_coupled) {
    advance_vectors(level, job, &stop, threads, progress);
    return;
  }
  const int64_t cells = job.replicas * job.coordinates;
  if (job.points > 1 && cells <= CELLS_TO_PACK) {
    run([&](const int64_t tile) { level.advance(&job, ALL_POINTS, tile); },
        tiles_of(job.points * cells, level.cells_per_tile()), &stop, threads, progress);
    return;
  }
  const int64_t tiles = tiles_of(cells, level.cells_per_tile());
  run([&](const int64_t tile) { level.advance(&job, tile / tiles, tile % tiles); }, tiles * job.points, &stop, threads,
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
  const int64_t cells = level.cells_per_moments_tile(), tiles = tiles_of(columns, cells);
  // Where a point's columns are summed over, its threads wait for each other: no more than there are, so that all run.
  job.crew = threads < tiles ? threads : tiles;
  std::vector<int64_t> arrived(traced.sums ? points : 0);
  std::vector<double> terms(points * 2 * tiles * traced.sums * cells);
  job.arrived = arrived.data();
  job.terms = terms.data();
  const int64_t shares = traced.sums ? job.crew : tiles;
  run([&](const int64_t share) { level.moments(&job, share / shares, share % shares); }, shares * points, &stop,
      threads, py::none());
}

void update(const std::string &isa, const std::string &optimizer, std::vector<py::array> state,
            const py::array &gradient, const py::array &coefficients) {
  const Level &level = level_named(isa);
  ematheory_update_job job{};
  job.optimizer = place_of("optimizer", traced_optimizers(), optimizer);
  check(job.optimizer < SEPARABLE_OPTIMIZERS, "optimizer " + optimizer + " takes sums over a vector: it has no update");
  const Traced &traced = traced_optimizers()[job.optimizer];
  check_dimensions("gradient", gradient, 2);
  job.is_double = gradient.dtype().equal(py::dtype::of<double>());
  const py::dtype dtype = job.is_double ? py::dtype::of<double>() : py::dtype::of<float>();
  job.rows = gradient.shape(0);
  job.columns = gradient.shape(1);
  check_array("gradient", gradient, dtype, {job.rows, job.columns});
  check_array("coefficients", coefficients, dtype, {job.rows, traced.coefficients});
  check(static_cast<int64_t>(state.size()) == traced.state,
        "state must hold " + std::to_string(traced.state) + " arrays, got " + std::to_string(state.size()));
  std::vector<void *> members;
  for (py::array &member : state) {
    check_array("state", member, dtype, {job.rows, job.columns});
    members.push_back(member.mutable_data());
  }
  job.state = members.data();
  job.gradient = gradient.data();
  job.coefficients = coefficients.data();
  const py::gil_scoped_release others_may_run;
  const IeeeDefaults defaults;
  level.update(&job);
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

bool contraction_is_off(const std::string &isa) {
  const std::vector<float> singles = contraction_cases<float>(0x1p-13f);
  const std::vector<double> doubles = contraction_cases<double>(0x1p-28);
  return level_named(isa).contraction_is_off(singles.data(), doubles.data(), 64) != 0;
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
  module.def("optimizers", [] { return names(traced_optimizers(), traced_optimizers().size()); });
  module.def("problems", [] { return names(traced_problems(), traced_problems().size()); });
  module.def("advance", &advance, py::kw_only(), "isa"_a, "problem"_a, "optimizer"_a, "state"_a,
             "problem_coefficients"_a, "coefficients"_a, "first_step"_a, "seed"_a, "first_replica"_a, "point_numbers"_a,
             "snapshots_at"_a, "snapshots"_a, "threads"_a, "progress"_a = py::none(), "items"_a = 0,
             "is_replaced"_a = false, "first_column"_a = 0, "clip_norm"_a = py::none(), "averaging"_a = py::none(),
             "rounding"_a = "", "drift"_a = py::none());
  module.def("moment_programs", [] { return names(traced_moments(), traced_moments().size()); });
  module.def("moments", &moments, py::kw_only(), "isa"_a, "program"_a, "state"_a, "gradient"_a, "coefficients"_a,
             "snapshots_at"_a, "snapshots"_a, "threads"_a);
  module.def("update", &update, py::kw_only(), "isa"_a, "optimizer"_a, "state"_a, "gradient"_a, "coefficients"_a);
  module.def("normals", &normals, py::kw_only(), "isa"_a, "seed"_a, "first_step"_a, "steps"_a, "columns"_a,
             "replicas"_a, "first_replica"_a, "point"_a);
  module.def("philox", &philox, "counter"_a, "key"_a);
  module.def("contraction_is_off", &contraction_is_off, "isa"_a);
}
