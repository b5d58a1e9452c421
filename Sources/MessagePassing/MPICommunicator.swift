import Synchronization

/// The ranks of an MPI job, seen from one of them.
public final class MPICommunicator: Communicator {
    private let endpoint: MPIEndpoint

    init(endpoint: MPIEndpoint) { self.endpoint = endpoint }

    public var rank: Int { endpoint.rank }
    public var size: Int { endpoint.size }
    public var hostName: String { endpoint.hostName }
    public var traffic: Traffic { endpoint.traffic.withLock { $0 } }

    public func post(_ bytes: [UInt8], to destination: Int, tag: MessageTag) {
        // A send that fails is a fault of MPI, which ends the job by itself.
        order(bytes, to: destination, tag: tag) { _ in }
    }

    public func send(_ bytes: [UInt8], to destination: Int, tag: MessageTag) async throws {
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            order(bytes, to: destination, tag: tag) { continuation.resume(with: $0) }
        }
    }

    public func receive(from source: Int, tag: MessageTag) async throws -> [UInt8] {
        precondition((0..<size).contains(source), "rank \(source) of \(size) does not exist")
        return try await endpoint.mailbox.receive(from: source, tag: tag)
    }

    public func dropNext(from source: Int, tag: MessageTag) {
        endpoint.mailbox.dropNext(from: source, tag: tag)
    }

    private func order(
        _ bytes: [UInt8], to destination: Int, tag: MessageTag, completion: @escaping MPIExchange.SendCompletion
    ) {
        precondition((0..<size).contains(destination), "rank \(destination) of \(size) does not exist")
        precondition(bytes.count <= Frame.maximumMessageBytes, "a message must be shorter than 4 GiB")
        endpoint.traffic.withLock { $0.countSent(bytes.count) }
        endpoint.enqueue(
            MPIEndpoint.Order(bytes: bytes, destination: destination, tag: tag, completion: completion))
    }
}
