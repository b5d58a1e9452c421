import Failures
import InpaintingJobs
import Synchronization

/// The engine, if a batch has started one.
final class StartedEngine: Sendable {
    private struct State {
        var engine: ShardedEngine?
        var waiter: CheckedContinuation<Batch.Outcome, any Error>?
    }

    private let state = Mutex(State())

    var engine: ShardedEngine? { state.withLock { $0.engine } }

    func keep(_ engine: ShardedEngine) {
        state.withLock { $0.engine = engine }
        engine.onFault { [weak self] in self?.end(.failure($0)) }
    }

    /// Runs a batch to its end, or until the engine fails: then no job can be made, and whoever writes the lines may
    /// never write another.
    func run(
        _ batch: Batch, ready: @escaping @Sendable () throws -> Void,
        start: @escaping @Sendable () async throws -> ShardedEngine
    ) async throws -> Batch.Outcome {
        try await withCheckedThrowingContinuation { continuation in
            state.withLock { $0.waiter = continuation }
            Task {
                do { end(.success(try await batch.run(ready: ready, start: start))) } catch { end(.failure(error)) }
            }
        }
    }

    private func end(_ result: Result<Batch.Outcome, any Error>) {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(with: result)
    }
}
