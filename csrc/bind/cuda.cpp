// The Python face of the CUDA engine: the arrays and checks of the CPU's `advance`, on a device.
#include "../cuda/engine.h"
#include "checks.h"

using namespace py::literals;

namespace ematheory {
namespace {

// Calls what fills in a message, and raises RuntimeError with it.
template <class Work>
auto said(const Work &work) {
  char message[EMATHEORY_MESSAGE] = "";
  struct Said {
    const char *message;
    ~Said() noexcept(false) {
      if (message[0]) throw std::runtime_error(message);
    }
  };
  const Said on_return{message};
  return work(message);
}

void advance(const std::string &problem, const std::string &optimizer, py::array state,
             const py::array &problem_coefficients, const py::array &coefficients, const uint64_t first_step,
             const uint64_t seed, const uint64_t first_replica, const py::array &point_numbers,
             const py::array &snapshots_at, py::array snapshots, const int64_t items, const bool is_replaced,
             const int64_t first_column, const std::optional<py::array> &clip_norm,
             const std::optional<py::array> &averaging, const std::string &rounding,
             const std::optional<py::array> &drift, const bool on_host) {
  const StepOptions options{clip_norm, averaging, rounding, drift};
  ematheory_job job = checked_job({problem, optimizer, state, problem_coefficients, coefficients, first_step, seed,
                                   first_replica, point_numbers, snapshots_at, snapshots, items, is_replaced, options});
  set_first_column(job, first_column);
  const py::gil_scoped_release others_may_run;
  said([&](char *message) { (on_host ? ematheory_cuda_advance_on_host : ematheory_cuda_advance)(&job, message); });
}

py::dict device(const int number) {
  ematheory_device found{};
  said([&](char *message) { ematheory_cuda_device(number, &found, message); });
  return py::dict("name"_a = std::string(found.name), "compute_capability"_a = py::make_tuple(found.major, found.minor),
                  "multiprocessors"_a = found.multiprocessors, "memory"_a = found.memory);
}

std::vector<py::dict> devices() {
  char message[EMATHEORY_MESSAGE];
  const int count = ematheory_cuda_devices(message);
  std::vector<py::dict> found;
  for (int number = 0; number < count; ++number) found.push_back(device(number));
  return found;
}

std::string why_no_device() {
  char message[EMATHEORY_MESSAGE];
  return ematheory_cuda_devices(message) ? "" : message[0] ? message : "no CUDA device";
}

bool contraction_is_off() {
  const std::vector<float> singles = contraction_cases<float>(0x1p-13f);
  const std::vector<double> doubles = contraction_cases<double>(0x1p-28);
  return said([&](char *message) {
    return ematheory_cuda_contraction_is_off(singles.data(), doubles.data(), 64, message) != 0;
  });
}

}  // namespace
}  // namespace ematheory

PYBIND11_MODULE(_cuda, module) {
  using namespace ematheory;
  module.doc() = "The CUDA engine; ematheory/_cuda.pyi describes it.";
  module.def("devices", &devices);
  module.def("why_no_device", &why_no_device);
  module.def("optimizers", [] { return names(traced_optimizers(), traced_optimizers().size()); });
  module.def("problems", [] { return names(traced_problems(), traced_problems().size()); });
  module.def("advance", &advance, py::kw_only(), "problem"_a, "optimizer"_a, "state"_a, "problem_coefficients"_a,
             "coefficients"_a, "first_step"_a, "seed"_a, "first_replica"_a, "point_numbers"_a, "snapshots_at"_a,
             "snapshots"_a, "items"_a = 0, "is_replaced"_a = false, "first_column"_a = 0, "clip_norm"_a = py::none(),
             "averaging"_a = py::none(), "rounding"_a = "", "drift"_a = py::none(), "on_host"_a = false);
  module.def("contraction_is_off", &contraction_is_off);
}
