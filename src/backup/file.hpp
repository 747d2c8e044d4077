// Files with errors that name them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace supd::backup {

class File {
public:
    /// Throws std::system_error that names the path.
    File(const std::filesystem::path& path, int flags, unsigned mode = 0);
    ~File();
    File(File&& other) noexcept;
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    int get() const noexcept { return fd_; }
    void write(std::string_view bytes);
    /// Up to `size` bytes; fewer only at the end of the file.
    std::string read(std::size_t size);
    void sync();

private:
    std::filesystem::path path_;
    int fd_;
};

/// Renames and syncs the folder, so that it survives a power cut.
void move_into_place(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace supd::backup
