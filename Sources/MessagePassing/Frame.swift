import Failures

/// The head of every byte string that goes through MPI: which message it belongs to, and which part of it follows.
///
/// MPI counts in 32-bit integers, so a long message travels as several frames. 32 bytes, little-endian: magic (4),
/// channel (4), number (8), total length of the message (8), offset of this part (8).
package struct Frame: Equatable, Sendable {
    package static let headerBytes = 32
    /// The most bytes of a message that one frame carries.
    package static let maximumPartBytes = 64 << 20
    /// The most bytes of a message: far above what any is, far below what a broken header might claim.
    package static let maximumMessageBytes = 4 << 30
    /// "PMP1" as the bytes stand: another version of the protocol, or of byte order, is noticed.
    private static let magic: UInt32 = 0x3150_4D50

    package let tag: MessageTag
    package let total: Int
    package let offset: Int

    package init(tag: MessageTag, total: Int, offset: Int) {
        self.tag = tag
        self.total = total
        self.offset = offset
    }

    /// Reads and verifies a frame's header.
    ///
    /// - Throws: an internal fault for a short header, another magic number, or lengths that can't be.
    package init(header bytes: UnsafeRawBufferPointer, from source: Int) throws {
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
        let total = load(at: 16, as: UInt64.self)
        let offset = load(at: 24, as: UInt64.self)
        guard total <= UInt64(Self.maximumMessageBytes), offset <= total else {
            throw Failure.internalFault(
                "a message from rank \(source) claims part \(offset) of \(total) bytes; "
                    + "at most \(Self.maximumMessageBytes) are possible")
        }
        tag = MessageTag(channel: load(at: 4, as: UInt32.self), number: load(at: 8, as: UInt64.self))
        self.total = Int(total)
        self.offset = Int(offset)
    }

    package var header: [UInt8] {
        var writer = ByteWriter(reservingCapacity: Self.headerBytes)
        writer.write(Self.magic)
        writer.write(tag.channel)
        writer.write(tag.number)
        writer.write(UInt64(total))
        writer.write(UInt64(offset))
        return writer.bytes
    }

    /// A message as the byte strings that travel, each a header and a part of the message.
    package static func split(
        _ message: [UInt8], tag: MessageTag, maximumPartBytes: Int = Frame.maximumPartBytes
    ) -> [[UInt8]] {
        // An empty message still needs the frame that says so.
        stride(from: 0, to: max(message.count, 1), by: maximumPartBytes).map { offset in
            let part = message[offset..<min(offset + maximumPartBytes, message.count)]
            return Frame(tag: tag, total: message.count, offset: offset).header + part
        }
    }
}
