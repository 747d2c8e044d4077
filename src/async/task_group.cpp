#include <supd/async/task_group.hpp>
#include <supd/base/log.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <condition_variable>
#include <list>
#include <mutex>
#include <typeinfo>
#include <vector>

namespace supd::async {

struct TaskGroup::State {
    struct Task {
        explicit Task(asio::any_io_executor ex) : executor(std::move(ex)) {}
        asio::any_io_executor executor;
        asio::cancellation_signal signal;
    };

    std::string name;
    mutable std::mutex mutex;
    std::condition_variable idle;
    std::list<std::shared_ptr<Task>> tasks;
    std::vector<std::function<void()>> on_idle;
    bool cancelled = false;
};

namespace {

void report(const std::string& group, const std::exception_ptr& error) {
    if (!error) return;
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& e) {
        if (e.code() != asio::error::operation_aborted)
            base::log::error("task_failed", {{"group", group}, {"error", e.what()}});
    } catch (const std::exception& e) {
        // what() may quote rows.
        base::log::error("task_failed", {{"group", group}, {"kind", typeid(e).name()}});
    }
}

}  // namespace

TaskGroup::TaskGroup(std::string name) : state_(std::make_shared<State>()) {
    state_->name = std::move(name);
}

TaskGroup::~TaskGroup() {
    wait();
}

bool TaskGroup::spawn(asio::any_io_executor executor, asio::awaitable<void> task) {
    auto entry = std::make_shared<State::Task>(executor);
    std::list<std::shared_ptr<State::Task>>::iterator at;
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->cancelled) return false;
        at = state_->tasks.insert(state_->tasks.end(), entry);
    }
    auto ended = [state = state_, at, entry](const std::exception_ptr& error) {
        report(state->name, error);
        std::vector<std::function<void()>> callbacks;
        {
            const std::lock_guard lock(state->mutex);
            state->tasks.erase(at);
            if (state->tasks.empty()) {
                callbacks.swap(state->on_idle);
                state->idle.notify_all();
            }
        }
        for (auto& callback : callbacks)
            callback();
    };
    asio::co_spawn(executor, std::move(task),
                   asio::bind_cancellation_slot(entry->signal.slot(), std::move(ended)));
    return true;
}

void TaskGroup::cancel() {
    std::vector<std::shared_ptr<State::Task>> all;
    {
        const std::lock_guard lock(state_->mutex);
        state_->cancelled = true;
        all.assign(state_->tasks.begin(), state_->tasks.end());
    }
    for (auto& task : all)
        asio::post(task->executor, [task] { task->signal.emit(asio::cancellation_type::terminal); });
}

void TaskGroup::wait() {
    std::unique_lock lock(state_->mutex);
    state_->idle.wait(lock, [&] { return state_->tasks.empty(); });
}

void TaskGroup::when_idle(std::function<void()> done) {
    {
        const std::lock_guard lock(state_->mutex);
        if (!state_->tasks.empty()) {
            state_->on_idle.push_back(std::move(done));
            return;
        }
    }
    done();
}

std::size_t TaskGroup::size() const {
    const std::lock_guard lock(state_->mutex);
    return state_->tasks.size();
}

}  // namespace supd::async
