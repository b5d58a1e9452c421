import Synchronization

/// The engine, if a batch has started one.
final class StartedEngine: Sendable {
    private let started = Mutex<DistributedEngine?>(nil)

    var engine: DistributedEngine? { started.withLock { $0 } }

    func keep(_ engine: DistributedEngine) { started.withLock { $0 = engine } }
}
