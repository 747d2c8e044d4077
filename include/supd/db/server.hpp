// The databases of a PostgreSQL server as wholes: made, dropped, exchanged, dumped and loaded. For commands:
// all of it blocks, one thread at a time. Throws ServerError with a text for the operator; connection strings
// go in as libpq takes them and never appear in a text or in a process list with their password.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supd::db {

class ServerError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The connection string with some of its keywords (user, dbname ...) replaced; an empty value takes one out.
std::string conninfo_with(const std::string& url,
                          const std::vector<std::pair<std::string, std::string>>& keywords);
/// The name of its database; empty when it names none.
std::string database_of(const std::string& url);
/// Its password; empty when it has none. What a password file or the environment adds is not looked at.
std::string password_of(const std::string& url);
/// Reached by a unix socket or the loopback, so most likely on this machine. False for what the environment
/// or a service file decides.
bool is_local(const std::string& url);

/// A session that makes and exchanges databases. Names are quoted here.
class Server {
public:
    /// `url`: a database that is none of those to be changed, and a role that may create databases.
    explicit Server(const std::string& url);
    ~Server();

    int major_version();
    bool exists(const std::string& database);
    /// What the session's role may not do of what exchange() with that live database takes, and the mend;
    /// empty: nothing.
    std::string missing_right(const std::string& live);
    /// `owner` empty: the session's role.
    void create(const std::string& database, const std::string& owner);
    /// Ends the sessions that it still has. Nothing happens when there is none of that name.
    void drop(const std::string& database);
    /// Application names of the sessions that the database has.
    std::vector<std::string> sessions(const std::string& database);
    /// In one transaction: `live` (if there is one) becomes `aside`, `fresh` becomes `live`.
    void exchange(const std::string& live, const std::string& fresh, const std::string& aside);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The database has no table of its own yet.
bool is_empty(const std::string& url);

/// pg_dump in its custom (compressed) format, of the server's major version, as of an exported snapshot; the
/// dump goes to `sink` piece by piece.
void dump(const std::string& url, const std::string& snapshot,
          const std::function<void(std::string_view)>& sink);

/// One run of pg_restore, fed piece by piece.
class Load {
public:
    enum class Part {
        tables_and_rows,  ///< no index, constraint or trigger yet
        the_rest,
    };
    Load(const std::string& url, Part part);
    ~Load();  ///< ends the program when finish() was not reached
    /// False: the program takes no more; finish() says whether that is right.
    bool write(std::string_view bytes);
    void finish();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace supd::db
