import Synchronization

/// Lets one at a time go on, in the order in which they came.
final class Turns: Sendable {
    private struct State {
        var isTaken = false
        var next: UInt64 = 0
        var waiting: [(number: UInt64, continuation: CheckedContinuation<Void, any Error>)] = []
        /// Cancelled before they waited.
        var cancelled: Set<UInt64> = []
    }

    private let state = Mutex(State())

    /// Waits for its turn, which ends with `give()`.
    ///
    /// - Throws: `CancellationError` when the task is cancelled meanwhile; there is no turn to give then.
    func take() async throws {
        let number = state.withLock { state in
            state.next += 1
            return state.next
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { wait(number, $0) }
        } onCancel: {
            cancel(number)
        }
    }

    /// The turn is over.
    func give() {
        let next = state.withLock { state in
            if state.waiting.isEmpty {
                state.isTaken = false
                return nil as CheckedContinuation<Void, any Error>?
            }
            return state.waiting.removeFirst().continuation
        }
        next?.resume()
    }

    private func wait(_ number: UInt64, _ continuation: CheckedContinuation<Void, any Error>) {
        let outcome: Result<Void, any Error>? = state.withLock { state in
            if state.cancelled.remove(number) != nil { return .failure(CancellationError()) }
            guard state.isTaken else {
                state.isTaken = true
                return .success(())
            }
            state.waiting.append((number, continuation))
            return nil
        }
        if let outcome { continuation.resume(with: outcome) }
    }

    private func cancel(_ number: UInt64) {
        let continuation = state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0.number == number }) else {
                state.cancelled.insert(number)
                return nil as CheckedContinuation<Void, any Error>?
            }
            return state.waiting.remove(at: index).continuation
        }
        continuation?.resume(throwing: CancellationError())
    }
}
