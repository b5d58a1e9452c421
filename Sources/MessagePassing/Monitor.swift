import Glibc

/// A value behind a mutex, with a condition to wait on whose time-outs follow the monotonic clock.
///
/// Foundation's condition waits for a wall-clock date: a clock set back would turn a wait of a millisecond into one of
/// hours, and a rank that waits for hours is a hang.
package final class Monitor<Value>: @unchecked Sendable {
    private var value: Value
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init(_ value: sending Value) {
        self.value = value
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    package func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(&value)
    }

    /// Changes the value and wakes whoever waits.
    package func change<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        defer { pthread_cond_broadcast(condition) }
        return try withLock(body)
    }

    /// Waits until `ready` gives something other than nil, and returns it; nil when `limit` passed first.
    package func wait<Result>(atMost limit: Duration? = nil, until ready: (inout Value) -> Result?) -> Result? {
        let deadline = limit.map(monotonicTime(after:))
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = ready(&value) { return result }
            if var deadline {
                if pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { return ready(&value) }
            } else {
                pthread_cond_wait(condition, mutex)
            }
        }
    }
}

private func monotonicTime(after interval: Duration) -> timespec {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    let nanoseconds = now.tv_nsec + Int(interval.components.attoseconds / 1_000_000_000)
    return timespec(
        tv_sec: now.tv_sec + Int(interval.components.seconds) + nanoseconds / 1_000_000_000,
        tv_nsec: nanoseconds % 1_000_000_000)
}
