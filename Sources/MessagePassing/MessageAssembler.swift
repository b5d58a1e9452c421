import Failures

/// Puts the frames that come from one rank together into messages.
///
/// Memory grows with what has arrived, never with what a header claims.
package struct MessageAssembler: Sendable {
    private let source: Int
    private var tag: MessageTag?
    private var total = 0
    private var bytes: [UInt8] = []

    package init(source: Int) { self.source = source }

    /// Takes the next frame; returns the message when this was its last part.
    ///
    /// - Throws: an internal fault for a frame that does not continue what came before it.
    package mutating func accept(_ frameBytes: UnsafeRawBufferPointer) throws -> (tag: MessageTag, bytes: [UInt8])? {
        let frame = try Frame(header: frameBytes, from: source)
        let part = UnsafeRawBufferPointer(rebasing: frameBytes[Frame.headerBytes...])
        guard frame.offset == bytes.count, tag == nil || (tag == frame.tag && total == frame.total) else {
            throw Failure.internalFault(
                "a message from rank \(source) continues at byte \(frame.offset), expected \(bytes.count) of \(total)")
        }
        guard part.count <= frame.total - frame.offset, !part.isEmpty || frame.total == 0 else {
            throw Failure.internalFault(
                "a message from rank \(source) of \(frame.total) bytes brings \(part.count) at byte \(frame.offset)")
        }
        tag = frame.tag
        total = frame.total
        bytes.append(contentsOf: part)
        guard bytes.count == total else { return nil }
        defer { self = MessageAssembler(source: source) }
        return (frame.tag, bytes)
    }
}
