#include "child_process.hpp"
#include "pq.hpp"

#include <supd/db/server.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>

namespace supd::db {
namespace fs = std::filesystem;
namespace {

// An index of a large table is built without a word from either side.
constexpr std::chrono::hours kLongestSilence{6};
constexpr std::chrono::seconds kKillPatience{10};
constexpr std::size_t kPiece = 64 * 1024;
constexpr std::size_t kErrorTail = 1500;

// Of the server's own major version, else the next newer one: an older pg_dump refuses a newer server.
fs::path program(const std::string& name, const std::string& url) {
    int server = 0;
    try {
        PqSession session(conninfo_with(url, {}));
        server = std::stoi(session.query("show server_version_num").front().front()) / 10000;
    } catch (const PqError& error) {
        throw ServerError(std::string("the database server: ") + error.what());
    }
    int best = 0;
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", ec)) {
        const std::string folder = entry.path().filename();
        int version = 0;
        std::from_chars(folder.data(), folder.data() + folder.size(), version);
        if (version >= server && (best == 0 || version < best) && fs::exists(entry.path() / "bin" / name, ec))
            best = version;
    }
    if (best == 0) {
        throw ServerError(name + " of PostgreSQL " + std::to_string(server) +
                          " or newer is not installed (looked in /usr/lib/postgresql/*/bin): install the "
                          "package postgresql-client-" +
                          std::to_string(server));
    }
    return fs::path("/usr/lib/postgresql") / std::to_string(best) / "bin" / name;
}

// One of PostgreSQL's programs at work on a database. What it complains of goes to a file in memory, so that
// it never waits for a reader.
class Program {
public:
    Program(const std::string& name, const std::string& url, std::vector<std::string> options, int input_fd,
            int output_fd)
        : name_(name), errors_(::memfd_create("errors", MFD_CLOEXEC)) {
        if (!errors_) throw std::system_error(errno, std::generic_category(), "memfd_create");
        ChildSpec spec;
        spec.argv = {program(name, url)};
        spec.argv.insert(spec.argv.end(), options.begin(), options.end());
        spec.env = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8"};
        for (char** entry = environ; *entry != nullptr; ++entry) {
            const std::string_view text = *entry;
            // libpq of the program is to find what ours finds: certificates, service files.
            if (text.starts_with("HOME=") || (text.starts_with("PG") && !text.starts_with("PGPASSWORD=")))
                spec.env.emplace_back(text);
        }
        // The command line is everybody's to read, the environment is not.
        spec.argv.push_back("--dbname=" + conninfo_with(url, {{"password", ""}}));
        if (const auto secret = password_of(url); !secret.empty()) spec.env.push_back("PGPASSWORD=" + secret);
        spec.input_fd = input_fd;
        spec.output_fd = output_fd;
        spec.error_fd = errors_.get();
        spec.parent_death_signal = SIGTERM;
        child_ = spawn(spec);
    }
    ~Program() {
        if (!child_) return;
        child_.signal(SIGKILL);
        child_.wait(kKillPatience);
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    void finish() {
        if (!child_.wait(kLongestSilence)) throw ServerError(name_ + " does not end");
        if (WIFEXITED(child_.status()) && WEXITSTATUS(child_.status()) == 0) return;
        throw ServerError(name_ + " failed: " + complaint());
    }

private:
    static std::string password_of(const std::string& url) {
        const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
            PQconninfoParse(url.c_str(), nullptr), &PQconninfoFree);
        for (auto* option = options.get(); option && option->keyword; ++option)
            if (option->val && std::strcmp(option->keyword, "password") == 0) return option->val;
        return "";
    }

    // The last lines. A refused row is quoted there with its content, behind "CONTEXT:" or "DETAIL:".
    std::string complaint() const {
        const auto size = ::lseek(errors_.get(), 0, SEEK_END);
        const auto length = std::min<off_t>(std::max<off_t>(size, 0), kErrorTail);
        std::string text(static_cast<std::size_t>(length), '\0');
        const auto got = ::pread(errors_.get(), text.data(), text.size(), size - length);
        text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        for (const char* quotes : {"DETAIL:", "CONTEXT:", "Command was:"})
            text = text.substr(0, text.find(quotes));
        while (!text.empty() && text.back() == '\n')
            text.pop_back();
        return text;
    }

    std::string name_;
    Fd errors_;
    Child child_;
};

void wait_for(int fd, short what) {
    pollfd watched{fd, what, 0};
    const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(kLongestSilence);
    int ready = 0;
    do {
        ready = ::poll(&watched, 1, static_cast<int>(patience.count()));
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0) throw ServerError("PostgreSQL's program says nothing any more");
}

}  // namespace

void dump(const std::string& url, const std::string& snapshot,
          const std::function<void(std::string_view)>& sink) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    const Fd from(ends[0]);
    Fd to(ends[1]);
    Program pg_dump("pg_dump", url,
                    {"--format=custom", "--no-owner", "--no-privileges", "--snapshot=" + snapshot}, -1,
                    to.get());
    to.reset();
    std::string piece(kPiece, '\0');
    for (;;) {
        wait_for(from.get(), POLLIN);
        const auto got = ::read(from.get(), piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw std::system_error(errno, std::generic_category(), "read from pg_dump");
        if (got == 0) break;
        sink(std::string_view(piece).substr(0, static_cast<std::size_t>(got)));
    }
    pg_dump.finish();
}

struct Load::Impl {
    Fd to;
    std::unique_ptr<Program> program;
};

Load::Load(const std::string& url, Part part) : impl_(std::make_unique<Impl>()) {
    // A socket instead of a pipe: writing to a program that has ended must not be a signal.
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        throw std::system_error(errno, std::generic_category(), "socketpair");
    impl_->to = Fd(ends[0]);
    const Fd from(ends[1]);
    std::vector<std::string> options{"--exit-on-error", "--no-owner", "--no-privileges"};
    if (part == Part::tables_and_rows)
        options.insert(options.end(), {"--section=pre-data", "--section=data"});
    else
        options.emplace_back("--section=post-data");
    impl_->program = std::make_unique<Program>("pg_restore", url, std::move(options), from.get(), -1);
}

Load::~Load() = default;

bool Load::write(std::string_view bytes) {
    while (!bytes.empty()) {
        wait_for(impl_->to.get(), POLLOUT);
        const auto put = ::send(impl_->to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && (errno == EPIPE || errno == ECONNRESET)) return false;
        if (put < 0) throw std::system_error(errno, std::generic_category(), "write to pg_restore");
        bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
}

void Load::finish() {
    impl_->to.reset();
    impl_->program->finish();
}

}  // namespace supd::db
