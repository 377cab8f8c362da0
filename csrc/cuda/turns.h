// The threads of one GPU block on the host: each runs until it waits for the others, then the next has its turn.
//
// In every other round the last thread goes first. So what one thread reads of another without a barrier between is out
// of date in one round or another, and the tests see other bits.
#pragma once

#include <stdlib.h>
#include <ucontext.h>

namespace ematheory {
namespace {

template <int THREADS>
class Turns {
 public:
  Turns() : stacks_(static_cast<char *>(malloc(THREADS * STACK))) {}
  ~Turns() { free(stacks_); }
  Turns(const Turns &) = delete;
  Turns &operator=(const Turns &) = delete;

  bool is_there() const { return stacks_ != nullptr; }

  // Calls work(thread) for every thread; false where some ended while others waited for them.
  template <class Work>
  bool run(const Work &work) {
    current() = this;
    work_ = &work;
    call_ = [](const void *given, const int thread) { (*static_cast<const Work *>(given))(thread); };
    for (int thread = 0; thread < THREADS; ++thread) prepare(thread);
    int running = THREADS;
    for (bool is_forward = true; running == THREADS; is_forward = !is_forward) {
      running = 0;
      for (int place = 0; place < THREADS; ++place) running += resume(is_forward ? place : THREADS - 1 - place);
    }
    return running == 0;
  }

  // Leaves the turn to the other threads until all wait.
  static void wait() {
    Turns &turns = *current();
    swapcontext(&turns.threads_[turns.running_], &turns.all_);
  }

 private:
  static constexpr size_t STACK = size_t{1} << 17;

  static Turns *&current() {
    static thread_local Turns *turns;
    return turns;
  }

  void prepare(const int thread) {
    ucontext_t &context = threads_[thread];
    getcontext(&context);
    context.uc_stack.ss_sp = stacks_ + thread * STACK;
    context.uc_stack.ss_size = STACK;
    context.uc_link = &all_;
    makecontext(&context, begin, 0);
    has_ended_[thread] = false;
  }

  static void begin() {
    Turns &turns = *current();
    const int thread = turns.running_;
    turns.call_(turns.work_, thread);
    turns.has_ended_[thread] = true;
  }

  // Whether the thread waits for another turn.
  bool resume(const int thread) {
    running_ = thread;
    swapcontext(&all_, &threads_[thread]);
    return !has_ended_[thread];
  }

  char *const stacks_;
  ucontext_t all_, threads_[THREADS];
  bool has_ended_[THREADS];
  int running_ = 0;
  const void *work_ = nullptr;
  void (*call_)(const void *, int) = nullptr;
};

}  // namespace
}  // namespace ematheory
