import Failures
import MessagePassing
import Testing

@Suite struct FrameTests {
    private let tag = MessageTag(channel: 20, number: 1 << 40)

    private func assemble(_ frames: [[UInt8]]) throws -> [(tag: MessageTag, bytes: [UInt8])] {
        var assembler = MessageAssembler(source: 3)
        return try frames.compactMap { frame in
            try frame.withUnsafeBytes { try assembler.accept($0) }
        }
    }

    /// A header written by hand, from the layout in `Frame`'s description.
    private func header(
        magic: [UInt8] = Array("PMP1".utf8), channel: UInt32 = 20, number: UInt64 = 0, total: UInt64, offset: UInt64
    ) -> [UInt8] {
        func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
            (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }
        return magic + bytes(channel) + bytes(number) + bytes(total) + bytes(offset)
    }

    @Test(arguments: [0, 1, 99, 100, 101, 1000])
    func messagesSurviveBeingSplit(count: Int) throws {
        let message = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let frames = Frame.split(message, tag: tag, maximumPartBytes: 100)
        #expect(frames.count == max(1, (count + 99) / 100))
        #expect(frames.allSatisfy { $0.count <= 132 })
        let messages = try assemble(frames + frames)
        #expect(messages.map(\.bytes) == [message, message])
        #expect(messages.allSatisfy { $0.tag == tag })
    }

    @Test func theHeaderHasItsDocumentedLayout() {
        let frame = Frame(tag: MessageTag(channel: 20, number: 5), total: 300, offset: 100)
        #expect(frame.header == header(number: 5, total: 300, offset: 100))
    }

    @Test func malformedFramesAreRefused() {
        let whole = header(total: 4, offset: 0) + [1, 2, 3, 4]
        #expect(throws: Never.self) { try assemble([whole]) }
        let malformed: [(String, [[UInt8]])] = [
            ("no header", [[]]),
            ("half a header", [Array(whole.prefix(31))]),
            ("another protocol", [header(magic: Array("PMP2".utf8), total: 4, offset: 0) + [1, 2, 3, 4]]),
            ("another byte order", [header(magic: Array("1PMP".utf8), total: 4, offset: 0) + [1, 2, 3, 4]]),
            ("an absurd length", [header(total: .max, offset: 0) + [1]]),
            ("a length above the limit", [header(total: (4 << 30) + 1, offset: 0) + [1]]),
            ("an offset beyond the end", [header(total: 4, offset: 5)]),
            ("an absurd offset", [header(total: 4, offset: .max)]),
            ("more bytes than claimed", [header(total: 3, offset: 0) + [1, 2, 3, 4]]),
            ("a part that brings nothing", [header(total: 3, offset: 0)]),
            ("a beginning left out", [header(total: 8, offset: 4) + [1, 2, 3, 4]]),
            ("a gap", [header(total: 9, offset: 0) + [1, 2], header(total: 9, offset: 3) + [1]]),
            ("a repetition", [header(total: 9, offset: 0) + [1, 2], header(total: 9, offset: 0) + [1, 2]]),
            ("another total", [header(total: 9, offset: 0) + [1, 2], header(total: 8, offset: 2) + [1]]),
            (
                "another message in between",
                [header(total: 9, offset: 0) + [1, 2], header(number: 1, total: 9, offset: 2) + [1]]
            ),
        ]
        for (name, frames) in malformed {
            #expect(throws: Failure.self, "\(name)") { try assemble(frames) }
        }
    }

    @Test func aClaimOfMuchMemoryTakesNone() throws {
        // 4 GiB claimed, one byte sent: accepted as a beginning, and nothing more is kept than what came.
        #expect(try assemble([header(total: 4 << 30, offset: 0) + [1]]).isEmpty)
    }
}

@Suite struct ByteCodingTests {
    @Test func valuesComeBackBitForBit() throws {
        let numbers: [Float] = [0, -0.0, .nan, .infinity, .leastNonzeroMagnitude, 1.5]
        var writer = ByteWriter()
        writer.write(UInt16(0x1234))
        writer.write(Int64.min)
        writer.write("Größe 🖼")
        writer.write(numbers)
        writer.write(Failure.usage("no"))
        #expect(writer.bytes.prefix(2) == [0x34, 0x12])

        var reader = ByteReader(writer.bytes, subject: "test")
        #expect(try reader.read(UInt16.self) == 0x1234)
        #expect(try reader.read(Int64.self) == .min)
        #expect(try reader.readText() == "Größe 🖼")
        #expect(try reader.readFloats(count: numbers.count).map(\.bitPattern) == numbers.map(\.bitPattern))
        #expect(try reader.readFailure() == .usage("no"))
        try reader.finish()
    }

    @Test func claimsBeyondTheBytesAreRefused() throws {
        var empty = ByteReader([], subject: "test")
        #expect(throws: Failure.self) { try empty.read(UInt8.self) }
        for count in [2, Int.max, Int.max / 4 + 1, -1, Int.min] {
            var reader = ByteReader([0, 0, 0, 0], subject: "test")
            #expect(throws: Failure.self) { try reader.readFloats(count: count) }
        }
        var text = ByteReader([255, 255, 255, 255, 65], subject: "test")
        #expect(throws: Failure.self) { try text.readText() }
        let surplus = ByteReader([1], subject: "test")
        #expect(throws: Failure.self) { try surplus.finish() }
    }
}
