import Failures

/// The first byte string of every message: which message it is, its head, and how long a payload follows.
///
/// 32 bytes, little-endian: magic (4), channel (4), number (8), length of the head (4), 1 if a payload follows, else 0
/// (4), length of the payload (8); then the head. The payload travels apart from it, straight from the sender's memory
/// into the receiver's, in parts, since MPI counts in 32-bit integers.
package struct Frame: Equatable, Sendable {
    package static let headerBytes = 32
    /// The most bytes of a payload that travel as one message of MPI's.
    package static let maximumPartBytes = 64 << 20
    /// The most bytes of a head.
    package static let maximumHeadBytes = 64 << 20
    /// The most bytes of a payload: far above what any is, far below what a broken header might claim.
    package static let maximumPayloadBytes = 4 << 30
    /// "PMP2" as the bytes stand: another version of the protocol, or of byte order, is noticed.
    private static let magic: UInt32 = 0x3250_4D50

    package let tag: MessageTag
    package let headBytes: Int
    /// Nil when there is no payload; an empty one is another thing.
    package let payloadBytes: Int?

    package init(tag: MessageTag, headBytes: Int, payloadBytes: Int?) {
        self.tag = tag
        self.headBytes = headBytes
        self.payloadBytes = payloadBytes
    }

    /// Reads and verifies the header of a frame that has come in whole.
    ///
    /// - Throws: an internal fault for a short header, another magic number, a head of another length than the frame
    ///   has, or a payload that can't be.
    package init(decoding bytes: UnsafeRawBufferPointer, from source: Int) throws {
        guard bytes.count >= Self.headerBytes else {
            throw Failure.internalFault("a message from rank \(source) has \(bytes.count) bytes, less than its header")
        }
        func load<Number: FixedWidthInteger>(at offset: Int, as _: Number.Type) -> Number {
            Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
        guard load(at: 0, as: UInt32.self) == Self.magic else {
            throw Failure.internalFault(
                "a message from rank \(source) does not begin as this version's do; "
                    + "install the same version of the program on every machine")
        }
        let headBytes = load(at: 16, as: UInt32.self)
        guard headBytes == bytes.count - Self.headerBytes else {
            throw Failure.internalFault(
                "a message from rank \(source) claims a head of \(headBytes) bytes, "
                    + "and brings \(bytes.count - Self.headerBytes)")
        }
        let payloadMark = load(at: 20, as: UInt32.self)
        let payloadBytes = load(at: 24, as: UInt64.self)
        guard payloadMark <= 1, payloadBytes <= (payloadMark == 1 ? UInt64(Self.maximumPayloadBytes) : 0) else {
            throw Failure.internalFault(
                "a message from rank \(source) claims a payload of \(payloadBytes) bytes (mark \(payloadMark)); "
                    + "at most \(Self.maximumPayloadBytes) are possible")
        }
        tag = MessageTag(channel: load(at: 4, as: UInt32.self), number: load(at: 8, as: UInt64.self))
        self.headBytes = Int(headBytes)
        self.payloadBytes = payloadMark == 1 ? Int(payloadBytes) : nil
    }

    /// The frame as it travels, `head` included.
    package func encoded(head: [UInt8]) -> [UInt8] {
        precondition(head.count == headBytes && headBytes <= Self.maximumHeadBytes, "a head must be of 64 MiB at most")
        var writer = ByteWriter(reservingCapacity: Self.headerBytes + head.count)
        writer.write(Self.magic)
        writer.write(tag.channel)
        writer.write(tag.number)
        writer.write(UInt32(headBytes))
        writer.write(UInt32(payloadBytes == nil ? 0 : 1))
        writer.write(UInt64(payloadBytes ?? 0))
        return writer.bytes + head
    }

    /// The parts in which a payload of `count` bytes travels; an empty one needs none.
    package static func parts(of count: Int, maximumPartBytes: Int = Frame.maximumPartBytes) -> [Range<Int>] {
        stride(from: 0, to: count, by: maximumPartBytes).map { $0..<min($0 + maximumPartBytes, count) }
    }
}
