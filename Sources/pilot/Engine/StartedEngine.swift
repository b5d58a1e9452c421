import Synchronization

/// The engine, if a batch has started one.
final class StartedEngine: Sendable {
    private let started = Mutex<ShardedEngine?>(nil)

    var engine: ShardedEngine? { started.withLock { $0 } }

    func keep(_ engine: ShardedEngine) { started.withLock { $0 = engine } }
}
