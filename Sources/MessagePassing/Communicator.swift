import Failures

/// The ranks that work on one job, seen from one of them.
///
/// Sending and receiving suspend the task, never a thread, and a rank that waits leaves its core to others. The
/// messages of one sender and one channel arrive in the order in which they were sent, whatever their sizes. How many
/// messages are under way is not bounded here: the layer above bounds it, by what it asks for before it is answered.
public protocol Communicator: Sendable {
    /// This process's number, from 0.
    var rank: Int { get }
    /// How many ranks there are.
    var size: Int { get }
    /// The machine this rank runs on.
    var hostName: String { get }
    /// What went over the wire so far.
    var traffic: Traffic { get }

    /// Sends without waiting, the payload straight from its memory, which is kept until it was sent. Should it fail,
    /// the job ends with that failure, as it does when any rank fails.
    ///
    /// - Parameter head: 64 MiB at most.
    func post(head: [UInt8], payload: (any ByteRegion)?, to destination: Int, tag: MessageTag)
    /// As `post`, and returns when the bytes were handed to the network.
    func send(head: [UInt8], payload: (any ByteRegion)?, to destination: Int, tag: MessageTag) async throws
    /// The next message of `source` with this tag; waits for it. Ends with `CancellationError` when the task is
    /// cancelled; the message, should it come, stays for the next receiver.
    ///
    /// - Throws: an internal fault for a channel that has a subscriber, whose messages never come here.
    func receiveMessage(from source: Int, tag: MessageTag) async throws -> Message
    /// Drops the next message of `source` with this tag, now or when it comes: for an answer no longer wanted.
    func dropNext(from source: Int, tag: MessageTag)

    /// From now on hands every message of `channel`, of whatever source and number, to `handler`: first those that
    /// wait already, then the others as they come; those of one source in the order in which they were sent, and
    /// never two at a time.
    ///
    /// The handler must be short and may not block: it is called on the thread that moves the messages (in a group
    /// of local ranks, on the thread that sends). It may post.
    /// - Precondition: the channel has no subscriber.
    func subscribe(to channel: UInt32, _ handler: @escaping @Sendable (Message) -> Void)
    /// Lets the channel's messages wait for receivers again. A call of the handler that is under way may end later.
    func unsubscribe(from channel: UInt32)
}

// Small messages: a head alone.
extension Communicator {
    /// Sends without waiting, as `post(head:payload:to:tag:)`.
    public func post(_ bytes: [UInt8], to destination: Int, tag: MessageTag) {
        post(head: bytes, payload: nil, to: destination, tag: tag)
    }

    /// Sends, and returns when the bytes were handed to the network.
    public func send(_ bytes: [UInt8], to destination: Int, tag: MessageTag) async throws {
        try await send(head: bytes, payload: nil, to: destination, tag: tag)
    }

    /// The next message's bytes, as `receiveMessage`.
    ///
    /// - Throws: besides, an internal fault for a message with a payload.
    public func receive(from source: Int, tag: MessageTag) async throws -> [UInt8] {
        let message = try await receiveMessage(from: source, tag: tag)
        guard message.payload == nil else {
            throw Failure.internalFault(
                "rank \(source) sent a payload on channel \(tag.channel) where none was expected")
        }
        return message.head
    }
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
