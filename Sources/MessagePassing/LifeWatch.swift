import Glibc

/// Looks twice a second whether those are still there without whom the job can't go on.
///
/// Launchers see to that too, but they may be slow, stopped, or killed themselves. It has a thread of its own, since
/// the one that calls MPI may be held up in there.
final class LifeWatch: Sendable {
    private static let interval = Duration.milliseconds(500)

    private let thread: DedicatedThread
    private let isStopped = Monitor(false)

    /// - Parameter look: called on the watch's thread, again and again.
    init(name: String, _ look: @escaping @Sendable () -> Void) throws {
        thread = try DedicatedThread(name: name, stackBytes: 1 << 20)
        let isStopped = isStopped
        thread.enqueue {
            while isStopped.wait(atMost: Self.interval, until: { $0 ? true : nil }) == nil { look() }
        }
    }

    deinit { isStopped.change { $0 = true } }

    /// Watches the process that started this one: when a launcher dies, its ranks get another parent.
    ///
    /// - Parameter lost: called once or more when that has happened.
    static func launcher(lost: @escaping @Sendable () -> Void) throws -> LifeWatch {
        let launcher = getppid()
        return try LifeWatch(name: "launcher watch") {
            if getppid() != launcher { lost() }
        }
    }
}
