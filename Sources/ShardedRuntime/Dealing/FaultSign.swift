import Failures
import Synchronization

/// Why nothing can be asked any more, once that is so.
///
/// Whoever registers a waiter looks here under its own lock, and whoever raises the sign ends the waiters under it
/// afterwards: so none is left.
final class FaultSign: Sendable {
    private struct State {
        var failure: Failure?
        var handlers: [@Sendable (Failure) -> Void] = []
    }

    private let state = Mutex(State())

    var failure: Failure? { state.withLock { $0.failure } }

    /// The first failure counts.
    ///
    /// - Returns: it.
    @discardableResult
    func raise(_ failure: Failure) -> Failure {
        let (first, handlers) = state.withLock { state in
            let first = state.failure ?? failure
            state.failure = first
            defer { state.handlers = [] }
            return (first, state.handlers)
        }
        for handler in handlers { handler(first) }
        return first
    }

    /// Has `body` hear of the failure, once.
    func onRaise(_ body: @escaping @Sendable (Failure) -> Void) {
        let failure = state.withLock { state in
            if state.failure == nil { state.handlers.append(body) }
            return state.failure
        }
        if let failure { body(failure) }
    }
}
