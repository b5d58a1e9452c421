/// The ranks that work on one job, seen from one of them.
///
/// Sending and receiving suspend the task, never a thread, and a rank that waits leaves its core to others.
public protocol Communicator: Sendable {
    /// This process's number, from 0.
    var rank: Int { get }
    /// How many ranks there are.
    var size: Int { get }
    /// The machine this rank runs on.
    var hostName: String { get }
    /// What went over the wire so far.
    var traffic: Traffic { get }

    /// Sends without waiting. Should it fail, the job ends with that failure, as it does when any rank fails.
    func post(_ bytes: [UInt8], to destination: Int, tag: MessageTag)
    /// Sends, and returns when the bytes were handed to the network.
    func send(_ bytes: [UInt8], to destination: Int, tag: MessageTag) async throws
    /// The next message of `source` with this tag; waits for it. Ends with `CancellationError` when the task is
    /// cancelled; the message, should it come, stays for the next receiver.
    func receive(from source: Int, tag: MessageTag) async throws -> [UInt8]
    /// Drops the next message of `source` with this tag, now or when it comes: for an answer no longer wanted.
    func dropNext(from source: Int, tag: MessageTag)
}

/// Messages and bytes that one rank sent and received; what it has waiting for it counts as received.
public struct Traffic: Sendable, Equatable, Codable {
    public var sentMessages = 0
    public var sentBytes = 0
    public var receivedMessages = 0
    public var receivedBytes = 0

    public init() {}

    mutating func countSent(_ bytes: Int) {
        sentMessages += 1
        sentBytes += bytes
    }

    mutating func countReceived(_ bytes: Int) {
        receivedMessages += 1
        receivedBytes += bytes
    }
}
