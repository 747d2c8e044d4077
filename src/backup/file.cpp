#include "file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace supd::backup {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path) {
    throw std::system_error(errno, std::generic_category(), path.string());
}

}  // namespace

File::File(const std::filesystem::path& path, int flags, unsigned mode)
    : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, static_cast<mode_t>(mode))) {
    if (fd_ < 0) fail(path);
}

File::~File() {
    if (fd_ >= 0) ::close(fd_);
}

File::File(File&& other) noexcept : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

void File::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto put = ::write(fd_, bytes.data(), bytes.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) fail(path_);
        bytes.remove_prefix(static_cast<std::size_t>(put));
    }
}

std::string File::read(std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t have = 0;
    while (have < size) {
        const auto got = ::read(fd_, bytes.data() + have, size - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail(path_);
        if (got == 0) break;
        have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
}

void File::sync() {
    if (::fsync(fd_) != 0) fail(path_);
}

void move_into_place(const std::filesystem::path& from, const std::filesystem::path& to) {
    std::filesystem::rename(from, to);
    File(to.parent_path(), O_RDONLY | O_DIRECTORY).sync();
}

}  // namespace supd::backup
