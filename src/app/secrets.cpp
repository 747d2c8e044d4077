#include "secrets.hpp"

#include <supd/base/hex.hpp>
#include <supd/base/random.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>

namespace supd::app {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxSecretFile = 4096;

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
    throw ConfigError({path.string() + ": " + what});
}

[[noreturn]] void fail_errno(const fs::path& path) {
    fail(path, std::strerror(errno));
}

class File {
public:
    File(const fs::path& path, int flags, mode_t mode = 0)
        : fd_(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode)) {}
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    int get() const { return fd_; }

private:
    int fd_;
};

std::string random_text() {
    std::array<std::uint8_t, kGeneratedSecretBytes> bytes{};
    static_assert(kGeneratedSecretBytes <= base::kRandomAtOnce);
    base::random_bytes(bytes.data(), bytes.size());
    return base::hex(std::as_bytes(std::span(bytes)));
}

// Written under another name and linked, so that the file is never seen half-written and the
// first of several processes wins.
void create(const fs::path& path) {
    const fs::path fresh = path.string() + "." + std::to_string(::getpid());
    {
        const File file(fresh, O_WRONLY | O_CREAT | O_TRUNC, S_IRUSR | S_IWUSR);
        const std::string text = random_text() + "\n";
        if (file.get() < 0 ||
            ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
            ::fsync(file.get()) != 0) {
            fail_errno(fresh);
        }
    }
    const bool linked = ::link(fresh.c_str(), path.c_str()) == 0 || errno == EEXIST;
    const int error = errno;
    ::unlink(fresh.c_str());
    errno = error;
    if (!linked) fail_errno(path);
}

}  // namespace

base::Secret generated_secret(const fs::path& data_dir, const std::string& name) {
    const fs::path folder = data_dir / "secrets";
    std::error_code ec;
    if (fs::create_directories(data_dir, ec)) ::chmod(data_dir.c_str(), ::geteuid() == 0 ? 0711 : 0700);
    if (ec) fail(data_dir, ec.message());
    if (::mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) fail_errno(folder);
    const fs::path path = folder / name;
    if (!fs::exists(path, ec)) create(path);

    const File file(path, O_RDONLY);
    struct stat info{};
    if (file.get() < 0 || ::fstat(file.get(), &info) != 0) fail_errno(path);
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        fail(path, "is open to other users; it must have mode 0600");
    std::string text(kMaxSecretFile, '\0');
    const auto got = ::read(file.get(), text.data(), text.size());
    if (got < 0) fail_errno(path);
    text.resize(static_cast<std::size_t>(got));
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    if (text.size() < kGeneratedSecretBytes)
        fail(path, "does not hold a secret; remove it to have a new one made");
    return base::Secret(std::move(text));
}

void fill_generated_secrets(Config& config) {
    if (config.auth.jwt_secret.empty()) {
        config.auth.jwt_secret = generated_secret(config.server.data_dir, "jwt_secret");
    }
}

}  // namespace supd::app
