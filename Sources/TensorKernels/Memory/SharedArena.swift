import CSharedMemory
import Failures
import Foundation
import Synchronization

/// Memory that the processes of one machine map together, for blocks that all of them need and one of them makes.
///
/// It has no name in any file system and goes with the last process that holds it, however that ends. Its size is an
/// upper bound: only blocks that were made take memory. Blocks are never given back one by one.
public final class SharedArena: Sendable {
    /// The arena's size, its head included.
    public let byteCount: Int
    private let descriptor: Int32
    private let process: Int32
    private let ownerDescriptor: Int32
    private let key: ArenaDigest
    // Written in `init`; the blocks are written once each, under the rules of the table.
    private nonisolated(unsafe) let base: UnsafeMutableRawPointer
    private let table: SharedArenaTable

    private static let name = "pilot-weights"
    private static let pageByteCount = 4096
    /// Memory is asked for in stretches of this many bytes: a call of its own for each block costs more than it saves.
    private static let stretchByteCount = 16 * Int(pilot_huge_page)

    /// Makes an arena for blocks of `byteCount` bytes together.
    ///
    /// - Throws: `Failure.internalFault` if the system gives no such memory.
    public static func create(byteCount: Int) throws -> SharedArena {
        let (sum, overflow) = byteCount.addingReportingOverflow(SharedArenaTable.byteCount + pageByteCount)
        guard byteCount > 0, !overflow else { throw Self.failure("\(byteCount) bytes make no sense") }
        let size = sum / pageByteCount * pageByteCount
        let descriptor = pilot_shared_memory_create(name, size)
        guard descriptor >= 0 else { throw Self.failure("\(size) bytes can't be set aside: \(Self.lastError())") }
        let key = ArenaDigest.random()
        let arena = try SharedArena(
            descriptor: descriptor, byteCount: size, process: getpid(), ownerDescriptor: descriptor, key: key)
        arena.table.start(key: key, byteCount: size)
        return arena
    }

    /// The arena that another process of this machine made, or this one.
    ///
    /// - Throws: `Failure.internalFault` if there is none of this key: the process is gone, or lives in another
    ///   container, or is another user's.
    public convenience init(opening handle: SharedArenaHandle) throws {
        guard let key = ArenaDigest(hexadecimal: handle.key) else {
            throw Self.failure("\(handle.key) is no key of 32 hexadecimal digits")
        }
        let path = "/proc/\(handle.process)/fd/\(handle.descriptor)"
        // Looked at before it is opened: to open something else, a device for instance, may have effects.
        guard (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) == "/memfd:\(Self.name) (deleted)"
        else {
            throw Self.failure("\(path) is not there, or is something else")
        }
        let descriptor = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.failure("\(path) can't be opened: \(Self.lastError())") }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size == handle.byteCount,
            status.st_size > SharedArenaTable.byteCount,
            pilot_shared_memory_is_fixed(descriptor) != 0
        else {
            close(descriptor)
            throw Self.failure("\(path) is not one of \(handle.byteCount) bytes that keep their number")
        }
        try self.init(
            descriptor: descriptor, byteCount: handle.byteCount, process: handle.process,
            ownerDescriptor: handle.descriptor, key: key)
        guard table.belongs(to: key, byteCount: byteCount) else {
            throw Self.failure("\(path) has another key than \(handle.key)")
        }
    }

    /// Takes over the descriptor, closing it on failure.
    private init(
        descriptor: Int32, byteCount: Int, process: Int32, ownerDescriptor: Int32, key: ArenaDigest
    ) throws {
        guard let base = pilot_shared_memory_map(descriptor, byteCount) else {
            defer { close(descriptor) }
            throw Self.failure("\(byteCount) bytes can't be mapped: \(Self.lastError())")
        }
        self.descriptor = descriptor
        self.byteCount = byteCount
        self.process = process
        self.ownerDescriptor = ownerDescriptor
        self.key = key
        self.base = base
        table = SharedArenaTable(at: base)
    }

    deinit {
        munmap(base, byteCount)
        close(descriptor)
    }

    /// Where other processes find the arena.
    public var handle: SharedArenaHandle {
        SharedArenaHandle(
            process: process, descriptor: ownerDescriptor, byteCount: byteCount, key: key.hexadecimal)
    }

    /// The bytes given away to blocks so far.
    public var usedByteCount: Int {
        let end = table.end.pointee.load(ordering: .relaxed)
        return Int(clamping: end) - SharedArenaTable.byteCount
    }

    /// The block called `name`, the same pages in every process and thread that asks: the first to come fills it, the
    /// others wait.
    ///
    /// - Parameters:
    ///   - name: says what is in it, so that whoever asks for it would fill it with the same bytes.
    ///   - fill: writes all of it. What it throws goes to the caller, and the next to ask tries again.
    /// - Returns: nil if the arena has no room for it, or the system no memory: then no process gets it from here.
    /// - Throws: `Failure.internalFault` if the process that was filling it is gone, or the arena's head is damaged.
    public func block(
        called name: String, byteCount: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void
    ) throws -> UnsafeRawBufferPointer? {
        precondition(byteCount > 0, "a block without bytes")
        guard let entry = table.entry(of: ArenaDigest(of: name)) else { return nil }
        var wait = Wait()
        while true {
            let state = entry.state.pointee.load(ordering: .acquiring)
            switch state {
            case SharedArenaTable.Entry.ready: return UnsafeRawBufferPointer(try place(of: entry, byteCount, name))
            case SharedArenaTable.Entry.declined: return nil
            case SharedArenaTable.Entry.absent:
                if try claim(entry) { return try make(entry, byteCount, name, fill) }
            default:
                if wait.isTimeToLook, !RunningProcess.isRunning(state) {
                    throw Self.failure(
                        "process \(RunningProcess.identifier(of: state)) ended while it made \(name)")
                }
                wait.pause()
            }
        }
    }

    /// Makes the block called `name` where nobody has begun with it, and waits for nobody.
    ///
    /// - Throws: what `fill` throws.
    public func makeBlock(
        called name: String, byteCount: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void
    ) throws {
        precondition(byteCount > 0, "a block without bytes")
        guard let entry = table.entry(of: ArenaDigest(of: name)),
            entry.state.pointee.load(ordering: .acquiring) == SharedArenaTable.Entry.absent, try claim(entry)
        else { return }
        _ = try make(entry, byteCount, name, fill)
    }

    /// Whether a block that nobody has begun with is now this thread's to make.
    private func claim(_ entry: SharedArenaTable.Entry) throws -> Bool {
        guard let maker = RunningProcess(identifier: getpid()) else {
            throw Self.failure("/proc/\(getpid())/stat can't be read")
        }
        return entry.state.pointee.compareExchange(
            expected: SharedArenaTable.Entry.absent, desired: maker.word, ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// Fills a block whose entry this thread has claimed.
    private func make(
        _ entry: SharedArenaTable.Entry, _ byteCount: Int, _ name: String,
        _ fill: (UnsafeMutableRawBufferPointer) throws -> Void
    ) throws -> UnsafeRawBufferPointer? {
        var outcome = SharedArenaTable.Entry.absent
        defer { entry.state.pointee.store(outcome, ordering: .releasing) }
        // Room that was taken for a filling that failed is used again.
        if entry.byteCount.pointee.load(ordering: .relaxed) == 0 {
            guard let offset = take(byteCount) else {
                outcome = SharedArenaTable.Entry.declined
                return nil
            }
            enlargePages(upTo: offset + byteCount)
            guard
                // Now, when the system can still say no: a write to a page that it has not would end the process.
                pilot_shared_memory_populate(base + offset, descriptor, offset, byteCount) == 0
            else {
                outcome = SharedArenaTable.Entry.declined
                return nil
            }
            entry.offset.pointee.store(UInt64(offset), ordering: .relaxed)
            entry.byteCount.pointee.store(UInt64(byteCount), ordering: .relaxed)
        }
        let block = try place(of: entry, byteCount, name)
        try fill(block)
        outcome = SharedArenaTable.Entry.ready
        return UnsafeRawBufferPointer(block)
    }

    /// The bytes that an entry speaks of, if they are what was asked for and lie within the arena.
    private func place(
        of entry: SharedArenaTable.Entry, _ byteCount: Int, _ name: String
    ) throws -> UnsafeMutableRawBufferPointer {
        let offset = Int(clamping: entry.offset.pointee.load(ordering: .relaxed))
        let found = Int(clamping: entry.byteCount.pointee.load(ordering: .relaxed))
        guard found == byteCount, offset >= SharedArenaTable.byteCount, offset % Self.pageByteCount == 0,
            offset <= self.byteCount - byteCount
        else {
            throw Self.failure("damaged: \(name), of \(byteCount) bytes, is said to be \(found) at \(offset)")
        }
        return UnsafeMutableRawBufferPointer(start: base + offset, count: byteCount)
    }

    /// The offset of `byteCount` bytes, whole pages, that nobody else has; nil if there are not so many.
    private func take(_ byteCount: Int) -> Int? {
        let end = table.end
        var first = end.pointee.load(ordering: .relaxed)
        while true {
            guard first >= SharedArenaTable.byteCount, first <= self.byteCount,
                byteCount <= self.byteCount - Int(first)
            else { return nil }
            let pages = (byteCount + Self.pageByteCount - 1) / Self.pageByteCount
            let (exchanged, original) = end.pointee.compareExchange(
                expected: first, desired: first + UInt64(pages * Self.pageByteCount), ordering: .relaxed)
            if exchanged { return Int(first) }
            first = original
        }
    }

    /// Has huge pages put under the arena up to `end`, where no process has asked for them before.
    ///
    /// A product reads weights in strides of many small pages; huge ones made the passes of small pictures up to 18 %
    /// faster. It is advice alone: another process may write its block meanwhile, on whatever pages it finds.
    private func enlargePages(upTo end: Int) {
        let hugePage = Int(pilot_huge_page)
        let whole = byteCount / hugePage * hugePage
        let enlarged = table.enlarged
        var found = enlarged.pointee.load(ordering: .relaxed)
        while let first = Int(exactly: found), first < min(end, whole), first % hugePage == 0 {
            let next = min(first + Self.stretchByteCount, whole)
            let (isMine, original) = enlarged.pointee.compareExchange(
                expected: found, desired: UInt64(next), ordering: .relaxed)
            if isMine { pilot_shared_memory_enlarge_pages(base + first, next - first) }
            found = isMine ? UInt64(next) : original
        }
    }

    private static func lastError() -> String { String(cString: strerror(errno)) }

    private static func failure(_ what: String) -> Failure {
        .internalFault("the memory that ranks of a machine share: \(what)")
    }
}

/// Pauses that grow to a millisecond.
private struct Wait {
    private var microseconds: UInt32 = 20
    private var count = 0

    mutating func pause() {
        usleep(microseconds)
        microseconds = min(microseconds * 2, 1000)
        count += 1
    }

    /// Whether to look again if the other is still there: that reads a file, so not after every pause.
    var isTimeToLook: Bool { count % 64 == 63 }
}
