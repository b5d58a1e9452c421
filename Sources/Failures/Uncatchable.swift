import Glibc
import Synchronization

/// The way out for failures that no caller can catch: a kernel that finds no memory in the midst of its work, or a
/// mapped file that another program cuts short while it is read.
///
/// To throw these, everything that reads a number or writes one would have to throw. They end the job instead, as any
/// failure does: on all ranks, with one line and the exit code of their kind.
public enum Uncatchable {
    // The process has one end. Whoever runs the program decides on it before the work begins.
    private static let handler = Mutex<(@Sendable (Failure) -> Void)?>(nil)

    /// From now on has `body` end the process, or the whole job, when a failure comes that can't be thrown.
    ///
    /// It is called on the thread that failed, which does nothing else any more.
    public static func onFailure(_ body: @escaping @Sendable (Failure) -> Void) {
        handler.withLock { $0 = body }
    }

    /// Ends the job. The calling thread stays here until the process is gone.
    public static func end(_ failure: Failure) -> Never {
        if let body = handler.withLock({ $0 }) {
            body(failure)
        } else {
            let line = Array("pilot: error: \(failure.message)\n".utf8)
            _ = write(STDERR_FILENO, line, line.count)
            _exit(failure.exitCode)
        }
        while true { pause() }
    }

    /// Ends the job for want of memory.
    ///
    /// - Parameters:
    ///   - byteCount: what was asked for.
    ///   - held: what is in use for the same purpose already.
    ///   - purpose: what the memory was for.
    public static func endForWantOfMemory(byteCount: Int, held: Int, purpose: String) -> Never {
        end(
            .internalFault(
                "out of memory: the system refused \(byteCount) bytes for \(purpose), which has \(held) bytes already; "
                    + "a smaller --size or more ranks take less, and ulimit -v or a control group may set a limit"))
    }
}
