import Failures

/// Puts what comes from one rank together into messages, and lets them out in order.
///
/// The messages of one channel come out in the order in which their frames came, so that a small one waits for the
/// large one before it; those of other channels do not wait. Nothing is allocated before its size was found plausible,
/// and a payload's memory takes room only as the payload arrives.
package struct MessageAssembler: Sendable {
    /// A payload that is now to be received.
    package struct Expectation: Sendable {
        package let identity: PayloadIdentity
        package let memory: ReceivedBytes
        /// The order in which its parts come, and where each belongs.
        package let parts: [Range<Int>]
    }

    package struct PayloadIdentity: Hashable, Sendable {
        fileprivate let channel: UInt32
        fileprivate let number: UInt64
    }

    private struct Pending {
        let number: UInt64
        let message: Message
        var missingParts: Int
    }

    private let source: Int
    private var nextNumber: UInt64 = 0
    /// What can't be let out yet: the first of each list misses parts of its payload.
    private var pending: [UInt32: [Pending]] = [:]

    package init(source: Int) { self.source = source }

    /// Takes the next frame.
    ///
    /// - Returns: the message, if it can be let out at once; the payload to receive, if one follows.
    /// - Throws: an internal fault for a frame that is none, and when there is no memory for its payload.
    package mutating func accept(
        _ bytes: UnsafeRawBufferPointer
    ) throws -> (ready: Message?, expected: Expectation?) {
        let frame = try Frame(decoding: bytes, from: source)
        let memory = try frame.payloadBytes.map(ReceivedBytes.init(count:))
        let message = Message(
            source: source, tag: frame.tag, head: Array(bytes[Frame.headerBytes...]), payload: memory)
        let parts = Frame.parts(of: frame.payloadBytes ?? 0)
        let channel = frame.tag.channel
        if parts.isEmpty && pending[channel] == nil { return (message, nil) }
        nextNumber += 1
        pending[channel, default: []].append(
            Pending(number: nextNumber, message: message, missingParts: parts.count))
        guard let memory, !parts.isEmpty else { return (nil, nil) }
        let identity = PayloadIdentity(channel: channel, number: nextNumber)
        return (nil, Expectation(identity: identity, memory: memory, parts: parts))
    }

    /// A part of an expected payload has come; parts of one payload may be complete in any order.
    ///
    /// - Parameters:
    ///   - count: the bytes that came.
    ///   - part: where they belong.
    /// - Returns: the messages that can be let out now.
    /// - Throws: an internal fault for a part of another length.
    package mutating func complete(
        _ part: Range<Int>, of identity: PayloadIdentity, bytes count: Int
    ) throws -> [Message] {
        guard count == part.count else {
            throw Failure.internalFault(
                "the payload of a message from rank \(source) brings \(count) bytes at byte \(part.lowerBound), "
                    + "expected \(part.count)")
        }
        guard var list = pending[identity.channel],
            let index = list.firstIndex(where: { $0.number == identity.number }), list[index].missingParts > 0
        else {
            throw Failure.internalFault("a payload from rank \(source) has a part that no message waits for")
        }
        list[index].missingParts -= 1
        let ready = list.prefix { $0.missingParts == 0 }.map(\.message)
        list.removeFirst(ready.count)
        pending[identity.channel] = list.isEmpty ? nil : list
        return ready
    }
}
