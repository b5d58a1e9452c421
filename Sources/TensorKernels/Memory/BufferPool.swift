import Failures
import Foundation
import Synchronization

/// Blocks of memory that tensors come from and go back to.
///
/// A pass through a UNet asks for the same thousand blocks every time; fresh pages from the kernel would cost a tenth
/// of the pass, so freed blocks wait here for the next request of their size.
public final class BufferPool: Sendable {
    private struct Shelf {
        var free: [Int: [UInt]] = [:]
        var allocatedByteCount = 0
    }

    private let shelf = Mutex(Shelf())

    public init() {}

    deinit { releaseUnused() }

    /// Gives every block that no tensor holds back to the system.
    public func releaseUnused() {
        let blocks = shelf.withLock { shelf in
            defer { shelf.free.removeAll() }
            shelf.allocatedByteCount -= shelf.free.reduce(0) { $0 + $1.key * $1.value.count }
            return shelf.free.values.flatMap { $0 }
        }
        for address in blocks { free(UnsafeMutableRawPointer(bitPattern: address)) }
    }

    /// Bytes taken from the system and not given back to it, in use or waiting.
    var allocatedByteCount: Int { shelf.withLock { $0.allocatedByteCount } }

    /// A block of at least `byteCount` bytes. Where the system has none, the job ends.
    func take(byteCount: Int) -> (pointer: UnsafeMutableRawPointer, capacity: Int) {
        let capacity = Self.capacity(for: byteCount)
        let reused = shelf.withLock { shelf in
            let block = shelf.free[capacity]?.popLast()
            if block == nil { shelf.allocatedByteCount += capacity }
            return block
        }
        if let reused, let pointer = UnsafeMutableRawPointer(bitPattern: reused) { return (pointer, capacity) }
        if let pointer = Self.allocate(capacity) { return (pointer, capacity) }
        // Blocks of other sizes that wait may make room.
        releaseUnused()
        if let pointer = Self.allocate(capacity) { return (pointer, capacity) }
        Uncatchable.endForWantOfMemory(
            byteCount: capacity, held: allocatedByteCount - capacity, purpose: "what is computed")
    }

    func giveBack(_ pointer: UnsafeMutableRawPointer, capacity: Int) {
        shelf.withLock { $0.free[capacity, default: []].append(UInt(bitPattern: pointer)) }
    }

    /// Sizes are rounded up to a sixteenth of their power of two, so that nearly equal requests share blocks.
    private static func capacity(for byteCount: Int) -> Int {
        let atLeast = max(byteCount, 64)
        let step = max(64, 1 << max(0, Int.bitWidth - 5 - atLeast.leadingZeroBitCount))
        return (atLeast + step - 1) / step * step
    }

    private static func allocate(_ capacity: Int) -> UnsafeMutableRawPointer? {
        let hugePage = 2 << 20
        var pointer: UnsafeMutableRawPointer?
        let status = posix_memalign(&pointer, capacity >= 2 * hugePage ? hugePage : 64, capacity)
        guard status == 0, let pointer else { return nil }
        if capacity >= 2 * hugePage { madvise(pointer, capacity, MADV_HUGEPAGE) }
        return pointer
    }
}

/// One block of a pool, given back when the last tensor that shares it goes.
final class Buffer: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
    private let capacity: Int
    private let owner: Owner

    private enum Owner {
        case pool(BufferPool)
        /// Memory that something else owns, a mapped file for instance, kept alive by this reference.
        case other(any AnyObject & Sendable)
    }

    // Unchecked Sendable: a buffer is written only through a `TensorDraft`, or as scratch of one operation, and neither
    // shares it.
    init(byteCount: Int, pool: BufferPool) {
        (pointer, capacity) = pool.take(byteCount: byteCount)
        owner = .pool(pool)
    }

    init(sharing pointer: UnsafeRawPointer, keeping owner: any AnyObject & Sendable) {
        self.pointer = UnsafeMutableRawPointer(mutating: pointer)
        self.owner = .other(owner)
        capacity = 0
    }

    /// Whether the memory is this process's own, and not a file's.
    var isWritable: Bool { if case .pool = owner { true } else { false } }

    deinit {
        if case .pool(let pool) = owner { pool.giveBack(pointer, capacity: capacity) }
    }
}
