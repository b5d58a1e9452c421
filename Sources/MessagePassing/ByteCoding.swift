import Failures

/// Puts numbers and text into bytes, little-endian, for a message.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init(reservingCapacity capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    public mutating func write<Number: FixedWidthInteger & Sendable>(_ number: Number) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// The numbers' bits, without a count: NaNs and signed zeros arrive as they left.
    public mutating func write(_ numbers: [Float]) {
        numbers.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }

    /// The text's length in UTF-8, then the text.
    public mutating func write(_ text: String) { writeCounted(Array(text.utf8)) }

    /// How many bytes there are, then the bytes.
    public mutating func writeCounted(_ bytes: [UInt8]) {
        write(UInt32(clamping: bytes.count))
        self.bytes.append(contentsOf: bytes.prefix(Int(UInt32.max)))
    }
}

/// Takes numbers and text out of a message's bytes; whatever does not fit is an error, never a crash.
public struct ByteReader: Sendable {
    private let bytes: [UInt8]
    private var position = 0
    /// What the bytes are, for the error's message.
    private let subject: String

    public init(_ bytes: [UInt8], subject: String) {
        self.bytes = bytes
        self.subject = subject
    }

    public var remaining: Int { bytes.count - position }

    public mutating func read<Number: FixedWidthInteger & Sendable>(_: Number.Type) throws -> Number {
        let range = try take(MemoryLayout<Number>.size)
        return Number(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: range, as: Number.self) })
    }

    /// - Parameter count: as the message claims it; checked against the bytes at hand before anything is allocated.
    public mutating func readFloats(count: Int) throws -> [Float] {
        let (size, overflows) = count.multipliedReportingOverflow(by: MemoryLayout<Float>.size)
        guard !overflows, count >= 0 else {
            throw Failure.internalFault("\(subject): claims \(count) numbers, \(remaining) bytes are left")
        }
        let start = try take(size)
        return bytes.withUnsafeBytes { source in
            [Float](unsafeUninitializedCapacity: count) { numbers, initializedCount in
                UnsafeMutableRawBufferPointer(numbers).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: source[start..<start + size]))
                initializedCount = count
            }
        }
    }

    public mutating func readText() throws -> String { String(decoding: try readCounted(), as: UTF8.self) }

    /// As many bytes as the message says are next.
    public mutating func readCounted() throws -> [UInt8] {
        let count = Int(try read(UInt32.self))
        let start = try take(count)
        return Array(bytes[start..<start + count])
    }

    /// Checks that nothing is left over.
    public func finish() throws {
        guard remaining == 0 else {
            throw Failure.internalFault("\(subject): \(remaining) bytes too many")
        }
    }

    /// The position of the next `count` bytes, which are then passed over.
    private mutating func take(_ count: Int) throws -> Int {
        guard count >= 0, count <= remaining else {
            throw Failure.internalFault("\(subject): ends early, \(count) more bytes expected, \(remaining) found")
        }
        defer { position += count }
        return position
    }
}
