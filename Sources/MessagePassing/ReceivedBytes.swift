import Failures
import Glibc

/// Memory that a message's payload was received into, freed when the last reference to it goes.
///
/// It is written before it is handed out, never after, so it can be read from any thread and shared without a copy.
public final class ReceivedBytes: ByteRegion, @unchecked Sendable {
    /// What the memory's address is a multiple of: a cache line, and the widest vector register.
    public static let alignment = 64

    public let count: Int
    /// Where a transfer writes, before the bytes are handed out.
    let memory: UnsafeMutableRawPointer

    /// Memory whose contents are still to come; pages that are never written take no room.
    ///
    /// - Throws: an internal fault when the system has none.
    package init(count: Int) throws {
        precondition(count >= 0, "a size is not negative")
        guard let memory = Self.allocate(count) else {
            throw Failure.internalFault(
                "there is no memory for a message of \(count) bytes; use more machines, or raise the limit (ulimit -v)")
        }
        self.count = count
        self.memory = memory
    }

    /// A copy of what `region` holds now. Where the system has no memory for it, the job ends.
    public init(copying region: some ByteRegion) {
        let bytes = region.stableBytes
        guard let memory = Self.allocate(bytes.count) else {
            Uncatchable.endForWantOfMemory(byteCount: bytes.count, held: 0, purpose: "a message")
        }
        if let source = bytes.baseAddress { memory.copyMemory(from: source, byteCount: bytes.count) }
        count = bytes.count
        self.memory = memory
        withExtendedLifetime(region) {}
    }

    deinit { free(memory) }

    /// The first byte, `alignment`-byte aligned; valid while this object is kept.
    public var baseAddress: UnsafeRawPointer { UnsafeRawPointer(memory) }

    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(start: memory, count: count))
    }

    private static func allocate(_ count: Int) -> UnsafeMutableRawPointer? {
        var memory: UnsafeMutableRawPointer?
        return posix_memalign(&memory, alignment, max(count, 1)) == 0 ? memory : nil
    }
}
