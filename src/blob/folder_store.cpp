#include <supd/blob/store.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace supd::blob {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPartial = ".partial";

void sync(const fs::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = fd >= 0 && ::fsync(fd) == 0;
    const int error = errno;
    if (fd >= 0) ::close(fd);
    if (!synced) throw StoreError(path.string() + ": " + std::system_category().message(error));
}

template <class Body>
auto said(Body body) {
    try {
        return body();
    } catch (const fs::filesystem_error& error) {
        throw StoreError(error.what());
    }
}

class FolderStore final : public Store {
public:
    explicit FolderStore(fs::path folder) : folder_(std::move(folder)) {}

    void put(const std::string& key, const fs::path& file) override {
        said([&] {
            const auto to = path_of(key);
            fs::create_directories(to.parent_path());
            copy(file, to);
        });
    }
    bool get(const std::string& key, const fs::path& file) override {
        return said([&] {
            const auto from = path_of(key);
            if (!fs::exists(from)) return false;
            copy(from, file);
            return true;
        });
    }
    std::optional<std::uint64_t> size(const std::string& key) override {
        return said([&]() -> std::optional<std::uint64_t> {
            const auto path = path_of(key);
            if (!fs::is_regular_file(path)) return std::nullopt;
            return fs::file_size(path);
        });
    }
    void remove(const std::string& key) override {
        said([&] { fs::remove(path_of(key)); });
    }
    std::vector<Object> list(const std::string& prefix) override {
        return said([&] {
            std::vector<Object> out;
            if (!fs::exists(folder_)) return out;
            for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
                const auto key = entry.path().lexically_relative(folder_).string();
                if (!entry.is_regular_file() || !key.starts_with(prefix) || key.ends_with(kPartial)) continue;
                if (out.size() == kMaxListed) throw StoreError(folder_.string() + " holds too much to list");
                out.push_back({key, entry.file_size()});
            }
            std::ranges::sort(out, {}, &Object::key);
            return out;
        });
    }

private:
    fs::path path_of(const std::string& key) const {
        if (!is_key(key)) throw StoreError("not a key: " + key);
        return folder_ / key;
    }

    static void copy(const fs::path& from, const fs::path& to) {
        const fs::path partial = to.string() + std::string(kPartial);
        fs::copy_file(from, partial, fs::copy_options::overwrite_existing);
        sync(partial);
        fs::rename(partial, to);
        sync(to.has_parent_path() ? to.parent_path() : fs::path("."));
    }

    fs::path folder_;
};

}  // namespace

bool is_key(std::string_view key) noexcept {
    if (key.empty() || key.size() > kMaxKey) return false;
    while (true) {
        const auto segment = key.substr(0, key.find('/'));
        if (segment.empty() || segment == "." || segment == "..") return false;
        for (const char c : segment) {
            const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                               c == '.' || c == '_' || c == '-';
            if (!plain) return false;
        }
        if (segment.size() == key.size()) return true;
        key.remove_prefix(segment.size() + 1);
    }
}

std::unique_ptr<Store> folder_store(fs::path folder) {
    return std::make_unique<FolderStore>(std::move(folder));
}

}  // namespace supd::blob
