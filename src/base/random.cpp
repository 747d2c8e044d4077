#include <supd/base/random.hpp>

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace supd::base {

// Refilled in bulk: one getrandom call serves many ids.
void random_bytes(std::uint8_t* out, std::size_t size) {
    static thread_local std::array<std::uint8_t, kRandomAtOnce> pool;
    static thread_local std::size_t left = 0;
    if (size > pool.size()) std::abort();
    if (left < size) {
        for (std::size_t got = 0; got < pool.size();) {
            const ssize_t n = getrandom(pool.data() + got, pool.size() - got, 0);
            if (n > 0)
                got += static_cast<std::size_t>(n);
            else if (errno != EINTR)
                std::abort();  // no id may ever be made from anything but the kernel's randomness
        }
        left = pool.size();
    }
    std::memcpy(out, pool.data() + (pool.size() - left), size);
    std::memset(pool.data() + (pool.size() - left), 0, size);
    left -= size;
}

}  // namespace supd::base
