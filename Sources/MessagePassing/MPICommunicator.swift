import Synchronization

/// The ranks of an MPI job, seen from one of them.
public final class MPICommunicator: Communicator {
    private let endpoint: MPIEndpoint

    init(endpoint: MPIEndpoint) { self.endpoint = endpoint }

    public var rank: Int { endpoint.rank }
    public var size: Int { endpoint.size }
    public var hostName: String { endpoint.hostName }
    public var traffic: Traffic { endpoint.traffic.withLock { $0 } }

    public func post(head: [UInt8], payload: (any ByteRegion)?, to destination: Int, tag: MessageTag) {
        // A send that fails is a fault of MPI, which ends the job by itself.
        order(head, payload, to: destination, tag: tag) { _ in }
    }

    public func send(head: [UInt8], payload: (any ByteRegion)?, to destination: Int, tag: MessageTag) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            order(head, payload, to: destination, tag: tag) { continuation.resume(with: $0) }
        }
    }

    public func receiveMessage(from source: Int, tag: MessageTag) async throws -> Message {
        precondition((0..<size).contains(source), "rank \(source) of \(size) does not exist")
        return try await endpoint.mailbox.receive(from: source, tag: tag)
    }

    public func dropNext(from source: Int, tag: MessageTag) {
        endpoint.mailbox.dropNext(from: source, tag: tag)
    }

    public func subscribe(to channel: UInt32, _ handler: @escaping @Sendable (Message) -> Void) {
        endpoint.mailbox.subscribe(to: channel, handler)
    }

    public func unsubscribe(from channel: UInt32) { endpoint.mailbox.unsubscribe(from: channel) }

    private func order(
        _ head: [UInt8], _ payload: (any ByteRegion)?, to destination: Int, tag: MessageTag,
        completion: @escaping SendOrder.Completion
    ) {
        precondition((0..<size).contains(destination), "rank \(destination) of \(size) does not exist")
        let order = SendOrder(
            head: head, payload: payload, destination: destination, tag: tag, completion: completion)
        endpoint.traffic.withLock { $0.countSent(order.byteCount) }
        endpoint.enqueue(order)
    }
}
