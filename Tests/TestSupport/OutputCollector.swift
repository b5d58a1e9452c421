import Foundation
import Synchronization

/// Reads what a process writes while it runs, so that a full pipe never stops it.
final class OutputCollector: Sendable {
    let pipe = Pipe()
    private let contents: AsyncStream<Data>

    /// - Parameter onFirst: called when the first bytes have come.
    init(onFirst: @escaping @Sendable () -> Void = {}) {
        let handle = pipe.fileHandleForReading
        let (contents, continuation) = AsyncStream<Data>.makeStream()
        self.contents = contents
        // Not from a task: other tests may keep all of Swift's threads busy, and `onFirst` must not come late.
        let thread = Thread {
            var data = Data()
            while true {
                let part = handle.availableData
                if part.isEmpty { break }
                if data.isEmpty { onFirst() }
                data.append(part)
            }
            // The pipe may live on with its process. Hundreds of tests would leave thousands of open files, and Foundation
            // can't start a process in one that has more than 1,364: it copies directory entries of /proc/self/fd whole.
            try? handle.close()
            continuation.yield(data)
            continuation.finish()
        }
        thread.start()
    }

    /// All that was written, once the other end is closed.
    func text() async -> String {
        for await data in contents { return String(decoding: data, as: UTF8.self) }
        return ""
    }
}

/// Kills a process that is still there at its time limit.
final class HangWatch: Sendable {
    private let hasFired = Atomic(false)
    private let task: Mutex<Task<Void, Never>?>

    init(process: Process, limit: Double) {
        task = Mutex(nil)
        let watch = Task { [self] in
            guard (try? await Task.sleep(for: .seconds(limit))) != nil, process.isRunning else { return }
            hasFired.store(true, ordering: .relaxed)
            kill(process.processIdentifier, SIGKILL)
        }
        task.withLock { $0 = watch }
    }

    /// Ends the watch; returns whether it had to kill.
    func stop() -> Bool {
        task.withLock { $0?.cancel() }
        return hasFired.load(ordering: .relaxed)
    }
}
