import Synchronization

/// Which pictures of a batch are there: jobs that paint on them wait here.
final class BatchLinks: Sendable {
    private struct State {
        var isThere: [String: Bool] = [:]
        var waiting: [String: [CheckedContinuation<Bool, Never>]] = [:]
    }

    private let state = Mutex(State())

    /// A picture is there, or will not be. Told of every job that was begun, whatever becomes of it.
    func settle(_ picture: String, isThere: Bool) {
        let waiting = state.withLock { state in
            state.isThere[picture] = isThere
            return state.waiting.removeValue(forKey: picture) ?? []
        }
        for waiter in waiting { waiter.resume(returning: isThere) }
    }

    /// Whether a picture is there, once its job has ended.
    func isThere(_ picture: String) async -> Bool {
        await withCheckedContinuation { continuation in
            let known = state.withLock { state in
                if state.isThere[picture] == nil { state.waiting[picture, default: []].append(continuation) }
                return state.isThere[picture]
            }
            if let known { continuation.resume(returning: known) }
        }
    }
}
