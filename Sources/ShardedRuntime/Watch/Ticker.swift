import Dispatch
import Synchronization

/// Calls something again and again, on a thread of its own that nothing else keeps busy.
package final class Ticker: Sendable {
    // Dispatch's timers are safe to use from any thread, though not marked so.
    private nonisolated(unsafe) let timer: any DispatchSourceTimer

    /// - Parameters:
    ///   - interval: in seconds.
    ///   - body: hears whether the process had been stopped since the last call: Ctrl-Z, or a machine put to sleep.
    package init(every interval: Double, _ body: @escaping @Sendable (_ wasStopped: Bool) -> Void) {
        let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "watch"))
        let nanoseconds = Int(MonotonicTime.nanoseconds(interval))
        timer.schedule(
            deadline: .now() + .nanoseconds(nanoseconds), repeating: .nanoseconds(nanoseconds),
            leeway: .milliseconds(5))
        let last = Mutex(MonotonicTime.now())
        timer.setEventHandler {
            let now = MonotonicTime.now()
            let passed = last.withLock { last in
                defer { last = now }
                return MonotonicTime.seconds(now - last)
            }
            // Far more than a busy machine delays a thread.
            body(passed > 2 * interval + 2)
        }
        timer.resume()
        self.timer = timer
    }

    package func stop() { timer.cancel() }

    deinit { timer.cancel() }
}
