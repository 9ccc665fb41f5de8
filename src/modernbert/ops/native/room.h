// Memory of one call, aligned for vectors.
#pragma once
#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace modernbert {

template <class T>
class Room {
  public:
    explicit Room(long count) {
        const size_t page = 1 << 21, bytes = count * sizeof(T) + 64, align = bytes < 2 * page ? 64 : page;
        start_ = static_cast<T*>(std::aligned_alloc(align, (bytes + align - 1) / align * align));
        if (!start_) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
        if (align == page) madvise(start_, bytes / page * page, MADV_HUGEPAGE);  // may be refused: only slower
#endif
    }
    ~Room() { std::free(start_); }
    Room(const Room&) = delete;
    operator T*() const { return start_; }

  private:
    T* start_;
};

}  // namespace modernbert
