import Failures
import Foundation
import MessagePassing
import Testing

/// A frame's header written by hand, from the layout in `Frame`'s description.
private func header(
    magic: [UInt8] = Array("PMP2".utf8), channel: UInt32 = 20, number: UInt64 = 0, head: UInt32 = 0, mark: UInt32 = 0,
    payload: UInt64 = 0
) -> [UInt8] {
    func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
        (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
    return magic + bytes(channel) + bytes(number) + bytes(head) + bytes(mark) + bytes(payload)
}

@Suite struct FrameTests {
    @Test func theHeaderHasItsDocumentedLayout() {
        let tag = MessageTag(channel: 20, number: 1 << 40)
        let bare = Frame(tag: tag, headBytes: 2, payloadBytes: nil).encoded(head: [7, 8])
        #expect(bare == header(number: 1 << 40, head: 2) + [7, 8])
        let loaded = Frame(tag: tag, headBytes: 0, payloadBytes: 5 << 20).encoded(head: [])
        #expect(loaded == header(number: 1 << 40, mark: 1, payload: 5 << 20))
    }

    @Test(arguments: [nil, 0, 1, 4 << 30]) func aHeaderSaysWhatWasWritten(payload: Int?) throws {
        let frame = Frame(tag: MessageTag(channel: 20, number: .max), headBytes: 3, payloadBytes: payload)
        let decoded = try frame.encoded(head: [1, 2, 3]).withUnsafeBytes { try Frame(decoding: $0, from: 3) }
        #expect(decoded == frame)
    }

    @Test func malformedFramesAreRefused() {
        #expect(throws: Never.self) { try accept(header(head: 2, mark: 1, payload: 9) + [1, 2]) }
        let malformed: [(String, [UInt8])] = [
            ("no header", []),
            ("half a header", Array(header().prefix(31))),
            ("the protocol before this one", header(magic: Array("PMP1".utf8))),
            ("another byte order", header(magic: Array("2PMP".utf8))),
            ("a longer head than claimed", header(head: 1) + [1, 2]),
            ("a shorter head than claimed", header(head: 3) + [1, 2]),
            ("an absurd head", header(head: .max) + [1, 2]),
            ("an unknown mark", header(mark: 2)),
            ("a payload without its mark", header(payload: 1)),
            ("a payload above the limit", header(mark: 1, payload: (4 << 30) + 1)),
            ("an absurd payload", header(mark: 1, payload: .max)),
        ]
        for (name, frame) in malformed {
            #expect(throws: Failure.self, "\(name)") { try accept(frame) }
        }
    }

    private func accept(_ frame: [UInt8]) throws {
        var assembler = MessageAssembler(source: 3)
        _ = try frame.withUnsafeBytes { try assembler.accept($0) }
    }

    @Test(arguments: [0, 1, 99, 100, 101, 1000]) func partsCoverAPayloadOnce(count: Int) {
        let parts = Frame.parts(of: count, maximumPartBytes: 100)
        #expect(parts.count == (count + 99) / 100)
        #expect(parts.allSatisfy { (1...100).contains($0.count) })
        #expect(parts.flatMap { Array($0) } == Array(0..<count))
    }
}

@Suite struct MessageAssemblerTests {
    private var assembler = MessageAssembler(source: 3)

    /// A frame comes: the message let out at once, if any, and the payload expected, if any.
    private mutating func frame(
        _ number: UInt64, channel: UInt32 = 20, payload: UInt64? = nil
    ) throws -> (ready: UInt64?, expected: MessageAssembler.Expectation?) {
        let bytes = header(
            channel: channel, number: number, head: 1, mark: payload == nil ? 0 : 1, payload: payload ?? 0)
        let result = try (bytes + [9]).withUnsafeBytes { try assembler.accept($0) }
        return (result.ready?.tag.number, result.expected)
    }

    private mutating func complete(_ expected: MessageAssembler.Expectation?) throws -> [UInt64] {
        let expected = try #require(expected)
        return try expected.parts.flatMap { part in
            try assembler.complete(part, of: expected.identity, bytes: part.count)
        }.map(\.tag.number)
    }

    @Test mutating func aSmallMessageWaitsForTheLargeOneBeforeItOnItsChannelAlone() throws {
        let first = try frame(1, payload: 10)
        #expect(first.ready == nil)
        #expect(try frame(2).ready == nil)
        #expect(try frame(3, channel: 21).ready == 3)
        let second = try frame(4, payload: 10)
        #expect(try frame(5, payload: 0).ready == nil)
        #expect(try complete(second.expected) == [])
        #expect(try complete(first.expected) == [1, 2, 4, 5])
        #expect(try frame(6).ready == 6)
    }

    @Test mutating func anEmptyPayloadIsNotNone() throws {
        let bytes = header(mark: 1)
        let empty = try bytes.withUnsafeBytes { try assembler.accept($0) }
        #expect(empty.ready?.payload?.count == 0)
        let none = try header().withUnsafeBytes { try assembler.accept($0) }
        #expect(none.ready != nil)
        #expect(none.ready?.payload == nil)
    }

    @Test mutating func aPartOfAnotherLengthIsRefused() throws {
        let expected = try #require(try frame(1, payload: 10).expected)
        #expect(throws: Failure.self) { try assembler.complete(0..<10, of: expected.identity, bytes: 9) }
        #expect(try complete(expected) == [1])
        #expect(throws: Failure.self) { try assembler.complete(0..<10, of: expected.identity, bytes: 10) }
    }

    @Test mutating func aClaimOfMuchMemoryTakesNone() throws {
        let before = try residentBytes()
        let expected = try #require(try frame(1, payload: 4 << 30).expected)
        #expect(expected.memory.count == 4 << 30)
        #expect(expected.parts.count == 64)
        #expect(try residentBytes() - before < 512 << 20)
    }

    private func residentBytes() throws -> Int {
        let statistics = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        let pages = try #require(Int(statistics.split(separator: " ")[1]))
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }
}

@Suite struct SendQueueTests {
    @Test func noMoreThanTheBoundIsUnderWay() {
        var queue = SendQueue<Int>(bound: 100)
        for item in 0..<5 { queue.append(item, bytes: 40) }
        #expect(queue.popNext() == 0)
        #expect(queue.popNext() == 1)
        #expect(queue.popNext() == nil)
        queue.finish(bytes: 40)
        #expect(queue.popNext() == 2)
        #expect(queue.popNext() == nil)
        #expect(queue.takeAll() == [3, 4])
        #expect(queue.isEmpty)
    }

    @Test func whatIsLargerThanTheBoundGoesAlone() {
        var queue = SendQueue<Int>(bound: 100)
        queue.append(0, bytes: 1)
        queue.append(1, bytes: 1000)
        queue.append(2, bytes: 0)
        #expect(queue.popNext() == 0)
        #expect(queue.popNext() == nil)
        queue.finish(bytes: 1)
        #expect(queue.popNext() == 1)
        #expect(queue.popNext() == nil)
        queue.finish(bytes: 1000)
        #expect(queue.popNext() == 2)
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
