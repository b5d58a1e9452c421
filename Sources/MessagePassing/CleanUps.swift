import Synchronization

/// What must not be left behind when the job ends before its time: half-written files, for instance.
///
/// A writer registers how to remove its temporary file, and withdraws that once the file has its name.
public final class CleanUps: Sendable {
    public struct Token: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    private struct State {
        var next: UInt64 = 0
        var bodies: [UInt64: @Sendable () -> Void] = [:]
    }

    private let state = Mutex(State())

    public init() {}

    /// Has `body` run, from any thread, should the job fail or be stopped. It must be short: a launcher gives a rank
    /// about a second.
    public func register(_ body: @escaping @Sendable () -> Void) -> Token {
        state.withLock { state in
            state.next += 1
            state.bodies[state.next] = body
            return Token(number: state.next)
        }
    }

    public func withdraw(_ token: Token) {
        state.withLock { $0.bodies[token.number] = nil }
    }

    /// Runs all that is registered, the latest first, each once only.
    public func runAll() {
        let bodies = state.withLock { state in
            defer { state.bodies = [:] }
            return state.bodies.sorted { $0.key > $1.key }.map(\.value)
        }
        for body in bodies { body() }
    }
}
