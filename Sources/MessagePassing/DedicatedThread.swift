import Failures
import Glibc
import Synchronization

/// One thread of the operating system that does the work it is given, in order, one piece at a time.
///
/// Swift's tasks move from thread to thread, but MPI and OpenMP's teams of threads belong to the thread that started
/// them: a second thread that enters an OpenMP loop gets a team of its own, and the cores are shared by both.
public final class DedicatedThread: Sendable {
    private struct Work {
        var queue: [@Sendable () -> Void] = []
        var hasEnded = false
    }

    /// What errors call the thread.
    public let name: String
    private let work: Monitor<Work>
    private let thread: pthread_t
    /// Whether the thread was joined, which must happen once at most.
    private let isJoined = Mutex(false)

    /// Starts the thread.
    ///
    /// - Parameter stackBytes: address space kept for the stack; memory is used only as deep as the stack grows.
    /// - Throws: an internal fault when the system refuses another thread.
    public init(name: String, stackBytes: Int = 64 << 20) throws {
        self.name = name
        let work = Monitor(Work())
        self.work = work

        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackBytes)

        let start = Unmanaged.passRetained(ThreadStart { Self.labour(at: work) })
        var thread = pthread_t()
        let code = pthread_create(&thread, &attributes, runThreadStart, start.toOpaque())
        guard code == 0 else {
            start.release()
            throw Failure.internalFault(
                "the thread “\(name)” with \(stackBytes >> 20) MiB of stack could not be started: "
                    + "\(String(cString: strerror(code))); raise the limits on threads and memory (ulimit -u, -v)")
        }
        self.thread = thread
    }

    deinit {
        work.change { $0.hasEnded = true }
        if !isJoined.withLock({ $0 }) { pthread_detach(thread) }
    }

    /// Whether the caller runs on this thread.
    public var isCurrent: Bool { pthread_equal(pthread_self(), thread) != 0 }

    /// Runs `body` on the thread, after all work given before, and returns what it returns.
    ///
    /// Work once given is done, even when the waiting task is cancelled.
    /// - Throws: what `body` throws; an internal fault after `stop()`.
    public func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let isAccepted = enqueue { continuation.resume(with: Result(catching: body)) }
            if !isAccepted {
                continuation.resume(
                    throwing: Failure.internalFault("the thread “\(name)” was given work after its end"))
            }
        }
    }

    /// Gives `body` to the thread without waiting for it; false when the thread was stopped before.
    @discardableResult
    public func enqueue(_ body: @escaping @Sendable () -> Void) -> Bool {
        work.change { work in
            guard !work.hasEnded else { return false }
            work.queue.append(body)
            return true
        }
    }

    /// Lets the thread finish the work it has, ends it, and waits for its end (unless called on the thread itself).
    public func stop() {
        work.change { $0.hasEnded = true }
        guard !isCurrent else { return }
        let isFirst = isJoined.withLock { isJoined in
            defer { isJoined = true }
            return !isJoined
        }
        if isFirst { pthread_join(thread, nil) }
    }

    private static func labour(at work: Monitor<Work>) {
        while true {
            let next = work.wait { work -> (@Sendable () -> Void)?? in
                if work.queue.isEmpty { return work.hasEnded ? .some(nil) : nil }
                return work.queue.removeFirst()
            }
            guard let body = next ?? nil else { return }
            body()
        }
    }
}

/// Carries a closure through pthread_create's untyped pointer.
private final class ThreadStart {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
}

private func runThreadStart(_ pointer: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let pointer else { return nil }
    Unmanaged<ThreadStart>.fromOpaque(pointer).takeRetainedValue().body()
    return nil
}
