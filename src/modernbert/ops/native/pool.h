// Threads that share out a phase's tasks one by one. Nobody waits for a thread that the system has put aside, unless it
// sits on a task: a busy neighbour costs one task's delay, where a parallel region with fixed shares costs a whole share.
#pragma once
#include <dlfcn.h>
#include <unistd.h>

#include "vectors.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace modernbert {

INLINE void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// A parallel region of the process's OpenMP, through its C interface: calls body(data) in each of so many threads.
using Region = void (*)(void (*body)(void*), void* data, unsigned threads, unsigned flags);

// That of PyTorch, which shows it to all libraries; absent where PyTorch has other threads.
inline Region torchs_region() {
    static const Region found = reinterpret_cast<Region>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
    return found;
}

class Pool {
  public:
    using Task = void (*)(const void* work, long task);

    // Without helpers: tasks are shared out in a region of so many threads.
    Pool(int threads, Region region) : region_(region), in_region_(threads) {}

    explicit Pool(int threads) {
        try {
            for (int i = 1; i < threads; i++) helpers_.emplace_back([this] { help(); });
        } catch (const std::system_error&) {
        }  // the system lends no more threads: those that are there, or the caller alone, do it all
    }

    ~Pool() {
        {
            std::lock_guard<std::mutex> hold(mutex_);
            ends_ = true;
        }
        wake_.notify_all();
        for (auto& helper : helpers_) helper.join();
    }

    long threads() const { return region_ ? in_region_ : helpers_.size() + 1; }

    // Call work(task) for each task below `tasks`; returns when all are done.
    template <class Work>
    void run(long tasks, const Work& work) {
        if (threads() < 2 || tasks < 2) {
            for (long task = 0; task < tasks; task++) work(task);
            return;
        }
        if (region_) return in_region(tasks, work);
        // A helper that comes late must not take a task of the wrong phase: the counter holds the phase's number too,
        // and is closed before anything of the phase is written.
        const uint64_t phase = (phase_.load(std::memory_order_relaxed) + 1) & 0xffffffff;
        next_.store(phase << 32 | 0xffffffff, std::memory_order_seq_cst);
        task_.store([](const void* some, long task) { (*static_cast<const Work*>(some))(task); });
        work_.store(&work);
        tasks_.store(tasks);
        done_.store(0);
        next_.store(phase << 32, std::memory_order_seq_cst);
        phase_.store(phase, std::memory_order_seq_cst);
        if (asleep_.load(std::memory_order_seq_cst) > 0) {
            { std::lock_guard<std::mutex> hold(mutex_); }
            wake_.notify_all();
        }
        take(phase);
        for (int turns = 0; done_.load(std::memory_order_acquire) < tasks; turns++) {
            if (turns < SPINS) relax();
            else std::this_thread::yield();  // the one we wait for may need this core
        }
    }

  private:
    static constexpr int SPINS = 4000;  // about 50 microseconds

    template <class Work>
    void in_region(long tasks, const Work& work) {
        struct Phase {
            const Work& work;
            const long tasks;
            std::atomic<long> next;
        } phase{work, tasks, {0}};
        const auto body = [](void* some) {
            auto& phase = *static_cast<Phase*>(some);
            for (long task; (task = phase.next.fetch_add(1, std::memory_order_relaxed)) < phase.tasks;) phase.work(task);
        };
        region_(body, &phase, static_cast<unsigned>(in_region_), 0);
    }

    void take(uint64_t phase) {
        for (;;) {
            uint64_t seen = next_.load(std::memory_order_acquire);
            if (seen >> 32 != phase) return;
            long task = static_cast<long>(seen & 0xffffffff);
            if (task >= tasks_.load()) return;
            if (!next_.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) continue;
            task_.load()(work_.load(), task);
            done_.fetch_add(1, std::memory_order_acq_rel);
        }
    }

    void help() {
        uint64_t seen = 0;
        for (;;) {
            uint64_t phase = phase_.load(std::memory_order_acquire);
            for (int turns = 0; phase == seen && turns < SPINS; turns++) {
                relax();
                phase = phase_.load(std::memory_order_acquire);
            }
            if (phase == seen) {
                std::unique_lock<std::mutex> hold(mutex_);
                asleep_.fetch_add(1, std::memory_order_seq_cst);
                wake_.wait(hold, [&] { return ends_ || phase_.load(std::memory_order_seq_cst) != seen; });
                asleep_.fetch_sub(1, std::memory_order_seq_cst);
                if (ends_) return;
                phase = phase_.load(std::memory_order_acquire);
            }
            seen = phase;
            take(phase);
        }
    }

    const Region region_ = nullptr;
    const long in_region_ = 1;  // threads
    std::vector<std::thread> helpers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool ends_ = false;
    std::atomic<Task> task_{nullptr};
    std::atomic<const void*> work_{nullptr};
    std::atomic<long> tasks_{0};
    std::atomic<uint64_t> next_{0};   // phase in the upper half, next task in the lower
    std::atomic<uint64_t> phase_{0};
    std::atomic<long> done_{0};
    std::atomic<int> asleep_{0};
};

const pid_t LOADED_IN = getpid();

// Whose threads compute. Between two operations PyTorch's spin for some milliseconds, each on a core: what is called between
// them has to compute in the same threads, or waits for a core that nobody works on. What is called by itself is better off
// with threads that nobody waits for.
enum class Threads { OWN, TORCHS };

// The process's pool, for one caller at a time; a second caller meanwhile gets one without helpers, and waits for nobody.
class Borrowed {
  public:
    explicit Borrowed(int threads, Threads whose = Threads::OWN) : lock_(mutex(), std::defer_lock) {
        // after a fork OpenMP's threads are gone, and it does not know
        if (threads > 1 && whose == Threads::TORCHS && torchs_region() && getpid() == LOADED_IN) {
            alone_ = std::make_unique<Pool>(threads, torchs_region());
            pool_ = alone_.get();
        } else if (threads > 1 && lock_.try_lock()) {
            Shared& shared = Borrowed::shared();
            if (!shared.pool || shared.threads != threads || shared.process != getpid()) {
                if (shared.process != getpid()) shared.pool.release();  // after a fork its threads are gone
                shared.pool = std::make_unique<Pool>(threads);
                shared.threads = threads;
                shared.process = getpid();
            }
            pool_ = shared.pool.get();
        } else {
            alone_ = std::make_unique<Pool>(1);
            pool_ = alone_.get();
        }
    }
    Pool& operator*() { return *pool_; }

  private:
    struct Shared {
        std::unique_ptr<Pool> pool;
        int threads = 0;
        pid_t process = 0;
    };
    static Shared& shared() { static Shared* one = new Shared; return *one; }  // never destroyed: threads may outlive main
    static std::mutex& mutex() { static std::mutex* one = new std::mutex; return *one; }

    std::unique_lock<std::mutex> lock_;
    std::unique_ptr<Pool> alone_;
    Pool* pool_;
};

}  // namespace modernbert
