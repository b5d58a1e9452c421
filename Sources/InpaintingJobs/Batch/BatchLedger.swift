import Failures
import Synchronization

/// What has come of a batch so far.
final class BatchLedger: Sendable {
    private struct State {
        var entries: [(order: Order, entry: Batch.Entry)] = []
        var firstFailure: Failure?
        var failureCount = 0
    }

    /// The line, and the picture among those of the line.
    private typealias Order = (line: Int, index: Int)

    private let remembersJobs: Bool
    private let state = Mutex(State())

    /// - Parameter remembersJobs: whether the entries have their jobs.
    init(remembersJobs: Bool) { self.remembersJobs = remembersJobs }

    /// - Parameter job: nil for a line that can't be run.
    func add(_ result: BatchResult, of job: BatchJob?, _ failure: Failure? = nil) {
        let entry = Batch.Entry(result: result, job: remembersJobs ? job : nil)
        state.withLock { state in
            state.entries.append(((result.line, job?.index ?? 0), entry))
            guard let failure else { return }
            state.firstFailure = state.firstFailure ?? failure
            state.failureCount += 1
        }
    }

    var outcome: Batch.Outcome {
        state.withLock { state in
            Batch.Outcome(
                entries: state.entries.sorted { $0.order < $1.order }.map(\.entry), firstFailure: state.firstFailure,
                failureCount: state.failureCount)
        }
    }
}
