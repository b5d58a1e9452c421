import Synchronization

/// Where messages wait for their receivers, and receivers for their messages.
final class Mailbox: Sendable {
    private struct Address: Hashable {
        let source: Int
        let tag: MessageTag
    }

    private struct Waiter {
        let identity: UInt64
        let continuation: CheckedContinuation<[UInt8], any Error>
    }

    private struct State {
        var messages: [Address: [[UInt8]]] = [:]
        var waiters: [Address: [Waiter]] = [:]
        var unwanted: Set<Address> = []
        var nextIdentity: UInt64 = 0
        var closedBy: (any Error)?
    }

    private let state = Mutex(State())

    /// Hands a message to the receiver that has waited longest, or keeps it.
    func deliver(_ bytes: [UInt8], from source: Int, tag: MessageTag) {
        let address = Address(source: source, tag: tag)
        let waiter = state.withLock { state -> Waiter? in
            if let waiter = state.waiters.removeFirst(at: address) { return waiter }
            if state.unwanted.remove(address) == nil { state.messages[address, default: []].append(bytes) }
            return nil
        }
        waiter?.continuation.resume(returning: bytes)
    }

    /// Waits for the next message; ends with `CancellationError` when the task is cancelled, and the message, should
    /// it come, stays for the next receiver.
    func receive(from source: Int, tag: MessageTag) async throws -> [UInt8] {
        let address = Address(source: source, tag: tag)
        let identity = state.withLock { state in
            state.nextIdentity += 1
            return state.nextIdentity
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome = state.withLock { state -> Result<[UInt8], any Error>? in
                    if let message = state.messages.removeFirst(at: address) { return .success(message) }
                    if let error = state.closedBy { return .failure(error) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiters[address, default: []].append(Waiter(identity: identity, continuation: continuation))
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeFirst(at: address) { $0.identity == identity } }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Drops the next message of this address, now or when it comes.
    func dropNext(from source: Int, tag: MessageTag) {
        let address = Address(source: source, tag: tag)
        state.withLock { state in
            if state.messages.removeFirst(at: address) == nil { state.unwanted.insert(address) }
        }
    }

    /// Ends all waiting, now and later, with `error`.
    func close(with error: any Error) {
        let waiters = state.withLock { state in
            if state.closedBy == nil { state.closedBy = error }
            defer { state.waiters = [:] }
            return state.waiters.values.flatMap { $0 }
        }
        for waiter in waiters { waiter.continuation.resume(throwing: error) }
    }
}

extension Dictionary {
    /// Takes the first element that satisfies `condition` from the list at `key`; an emptied list is removed, so that
    /// addresses used once leave nothing behind.
    fileprivate mutating func removeFirst<Element>(
        at key: Key, where condition: (Element) -> Bool = { _ in true }
    ) -> Element? where Value == [Element] {
        guard let index = self[key]?.firstIndex(where: condition) else { return nil }
        let element = self[key]?.remove(at: index)
        if self[key]?.isEmpty == true { self[key] = nil }
        return element
    }
}
