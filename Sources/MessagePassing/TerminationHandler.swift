import Dispatch
import Glibc

/// Turns Ctrl-C, Ctrl-\ and requests to terminate into an orderly end.
///
/// Under mpirun, Ctrl-C reaches the ranks as SIGTERM, and about a second later as SIGKILL.
public final class TerminationHandler: Sendable {
    /// The signals that ask a process to end, and that it can answer.
    public enum Signal: Int32, CaseIterable, Sendable {
        case hangUp = 1
        case interrupt = 2
        /// By default it would end the process with what it has half-written, and Swift's runtime would open its debugger.
        case quit = 3
        case terminate = 15

        /// What shells call a process that the signal ended: 128 + its number.
        public var exitCode: Int32 { 128 + rawValue }
    }

    // Dispatch's sources are safe to use from any thread, though not marked so.
    private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

    private init(sources: [any DispatchSourceSignal]) { self.sources = sources }

    /// From now on runs `cleanup` on a thread of its own when a signal comes; `cleanup` is expected to end the process.
    ///
    /// The handler acts until it is released.
    public static func install(cleanup: @escaping @Sendable (Signal) -> Void) -> TerminationHandler {
        let queue = DispatchQueue(label: "termination")
        let sources = Signal.allCases.map { number -> any DispatchSourceSignal in
            // The default action would end the process before the source is asked.
            signal(number.rawValue, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number.rawValue, queue: queue)
            source.setEventHandler { cleanup(number) }
            source.resume()
            return source
        }
        return TerminationHandler(sources: sources)
    }

    deinit {
        for source in sources { source.cancel() }
        for number in Signal.allCases { signal(number.rawValue, SIG_DFL) }
    }
}
