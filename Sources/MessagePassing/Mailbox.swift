import Failures
import Synchronization

/// Where messages wait for their receivers, and receivers for their messages.
final class Mailbox: Sendable {
    private struct Address: Hashable {
        let source: Int
        let tag: MessageTag
    }

    private struct Waiter {
        let identity: UInt64
        let continuation: CheckedContinuation<Message, any Error>
    }

    private struct Kept {
        let arrival: UInt64
        let message: Message
    }

    private struct Subscription {
        let identity: UInt64
        let handler: @Sendable (Message) -> Void
        var queue = Queue<Message>()
        /// Whether a thread is handing messages over: the others leave theirs to it, so that order is kept.
        var isBusy = false
    }

    private struct State {
        var messages: [Address: [Kept]] = [:]
        var waiters: [Address: [Waiter]] = [:]
        /// How many of the next messages nobody wants.
        var unwanted: [Address: Int] = [:]
        var subscriptions: [UInt32: Subscription] = [:]
        var nextNumber: UInt64 = 0
        var closedBy: (any Error)?

        mutating func number() -> UInt64 {
            nextNumber += 1
            return nextNumber
        }

        mutating func keep(_ message: Message) {
            let address = Address(source: message.source, tag: message.tag)
            messages[address, default: []].append(Kept(arrival: number(), message: message))
        }
    }

    private let state = Mutex(State())

    /// Hands a message to the channel's subscriber, or to the receiver that has waited longest, or keeps it.
    func deliver(_ message: Message) {
        let address = Address(source: message.source, tag: message.tag)
        let (waiter, isSubscribed) = state.withLock { state -> (Waiter?, Bool) in
            if state.subscriptions[message.tag.channel] != nil {
                state.subscriptions[message.tag.channel]?.queue.append(message)
                return (nil, true)
            }
            if let waiter = state.waiters.removeFirst(at: address) { return (waiter, false) }
            if let count = state.unwanted[address] {
                state.unwanted[address] = count > 1 ? count - 1 : nil
            } else {
                state.keep(message)
            }
            return (nil, false)
        }
        waiter?.continuation.resume(returning: message)
        if isSubscribed { handOver(message.tag.channel) }
    }

    /// Waits for the next message; ends with `CancellationError` when the task is cancelled, and the message, should
    /// it come, stays for the next receiver.
    func receive(from source: Int, tag: MessageTag) async throws -> Message {
        let address = Address(source: source, tag: tag)
        let identity = state.withLock { $0.number() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome = state.withLock { state -> Result<Message, any Error>? in
                    if let kept = state.messages.removeFirst(at: address) { return .success(kept.message) }
                    if let error = state.closedBy { return .failure(error) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.subscriptions[tag.channel] != nil { return .failure(Self.subscribed(tag.channel)) }
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
            if state.messages.removeFirst(at: address) == nil { state.unwanted[address, default: 0] += 1 }
        }
    }

    func subscribe(to channel: UInt32, _ handler: @escaping @Sendable (Message) -> Void) {
        let stranded = state.withLock { state in
            precondition(state.subscriptions[channel] == nil, "channel \(channel) has a subscriber already")
            var subscription = Subscription(identity: state.number(), handler: handler)
            let addresses = state.messages.keys.filter { $0.tag.channel == channel }
            let waiting = addresses.flatMap { state.messages.removeValue(forKey: $0) ?? [] }
            for kept in waiting.sorted(by: { $0.arrival < $1.arrival }) { subscription.queue.append(kept.message) }
            state.subscriptions[channel] = subscription
            let receivers = state.waiters.keys.filter { $0.tag.channel == channel }
            return receivers.flatMap { state.waiters.removeValue(forKey: $0) ?? [] }
        }
        for waiter in stranded { waiter.continuation.resume(throwing: Self.subscribed(channel)) }
        handOver(channel)
    }

    func unsubscribe(from channel: UInt32) {
        state.withLock { state in
            guard var subscription = state.subscriptions.removeValue(forKey: channel) else { return }
            for message in subscription.queue.takeAll() { state.keep(message) }
        }
    }

    /// Ends all waiting, now and later, with `error`.
    func close(with error: any Error) {
        let waiters = state.withLock { state in
            if state.closedBy == nil { state.closedBy = error }
            state.subscriptions = [:]
            defer { state.waiters = [:] }
            return state.waiters.values.flatMap { $0 }
        }
        for waiter in waiters { waiter.continuation.resume(throwing: error) }
    }

    /// Gives the subscriber what waits for it, unless another thread is at it (or this one, further up its stack).
    private func handOver(_ channel: UInt32) {
        let identity = state.withLock { state -> UInt64? in
            guard let subscription = state.subscriptions[channel], !subscription.isBusy else { return nil }
            state.subscriptions[channel]?.isBusy = true
            return subscription.identity
        }
        guard let identity else { return }
        while true {
            let next = state.withLock { state -> (handler: @Sendable (Message) -> Void, message: Message)? in
                // Another subscription may have taken this one's place.
                guard let handler = state.subscriptions[channel]?.handler,
                    state.subscriptions[channel]?.identity == identity
                else { return nil }
                guard let message = state.subscriptions[channel]?.queue.popFirst() else {
                    state.subscriptions[channel]?.isBusy = false
                    return nil
                }
                return (handler, message)
            }
            guard let next else { return }
            next.handler(next.message)
        }
    }

    private static func subscribed(_ channel: UInt32) -> Failure {
        .internalFault("channel \(channel) has a subscriber, which gets all its messages: nothing can be received")
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
