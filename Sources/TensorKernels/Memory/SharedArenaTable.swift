import Synchronization

/// The head of a `SharedArena`, which all its processes read and write: what it is, how much of it is given away, and
/// where each block lies.
///
/// Another process may write anything here; whoever reads an offset or a length checks it against the arena's own size.
struct SharedArenaTable: @unchecked Sendable {
    // Unchecked Sendable: every word is atomic, and the arena that owns the memory outlives its table.
    private let base: UnsafeMutableRawPointer

    static let entryCount = 1 << 14
    private static let entryByteCount = 64
    private static let entriesOffset = 4096
    /// Blocks begin here. Pages of the table that no entry lies in take no memory.
    static let byteCount = entriesOffset + entryCount * entryByteCount
    /// "pilot", and the version of this format.
    private static let magic: UInt64 = 0x7069_6c6f_7400_0001

    init(at base: UnsafeMutableRawPointer) { self.base = base }

    private func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// The first byte that no block has.
    var end: UnsafeMutablePointer<Atomic<UInt64>> { word(64) }

    /// The first byte that huge pages were not asked for.
    var enlarged: UnsafeMutablePointer<Atomic<UInt64>> { word(72) }

    /// Fills the head of new memory, which is zero.
    func start(key: ArenaDigest, byteCount: Int) {
        word(8).pointee.store(key.low, ordering: .relaxed)
        word(16).pointee.store(key.high, ordering: .relaxed)
        word(24).pointee.store(UInt64(byteCount), ordering: .relaxed)
        end.pointee.store(UInt64(Self.byteCount), ordering: .relaxed)
        word(0).pointee.store(Self.magic, ordering: .releasing)
    }

    /// Whether this is the head of the arena that has `key`.
    func belongs(to key: ArenaDigest, byteCount: Int) -> Bool {
        word(0).pointee.load(ordering: .acquiring) == Self.magic && word(8).pointee.load(ordering: .relaxed) == key.low
            && word(16).pointee.load(ordering: .relaxed) == key.high
            && word(24).pointee.load(ordering: .relaxed) == UInt64(byteCount)
    }

    /// The entry of the block called `name`, a new one if there is none; nil if the table is full.
    ///
    /// Entries are claimed one half of the name after the other and are never removed, so two processes that come at
    /// once find the same one: whoever loses the second half to another name goes on.
    func entry(of name: ArenaDigest) -> Entry? {
        for step in 0..<Self.entryCount {
            let index = (Int(truncatingIfNeeded: name.low & UInt64(Self.entryCount - 1)) + step) % Self.entryCount
            let offset = Self.entriesOffset + index * Self.entryByteCount
            if claim(word(offset), for: name.low), claim(word(offset + 8), for: name.high) {
                return Entry(
                    state: word(offset + 16), offset: word(offset + 24), byteCount: word(offset + 32))
            }
        }
        return nil
    }

    private func claim(_ half: UnsafeMutablePointer<Atomic<UInt64>>, for value: UInt64) -> Bool {
        let found = half.pointee.load(ordering: .acquiring)
        if found != 0 { return found == value }
        let (exchanged, original) = half.pointee.compareExchange(
            expected: 0, desired: value, ordering: .acquiringAndReleasing)
        return exchanged || original == value
    }

    /// Where a block lies, once it is ready.
    struct Entry {
        /// Absent, ready, declined, or the run of the process that is making it.
        let state: UnsafeMutablePointer<Atomic<UInt64>>
        let offset: UnsafeMutablePointer<Atomic<UInt64>>
        let byteCount: UnsafeMutablePointer<Atomic<UInt64>>

        static let absent: UInt64 = 0
        static let ready: UInt64 = 1
        /// There was no room for it, and every process is to hold it for itself.
        static let declined: UInt64 = 2
    }
}

/// 128 bits that stand for a name, neither half of them 0.
struct ArenaDigest: Equatable {
    let low: UInt64
    let high: UInt64

    /// FNV-1a of the text's bytes.
    init(of text: String) {
        let prime: UInt128 = 0x0000_0000_0100_0000_0000_0000_0000_013b
        let start: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d
        let digest = text.utf8.reduce(start) { ($0 ^ UInt128($1)) &* prime }
        self.init(low: UInt64(truncatingIfNeeded: digest), high: UInt64(truncatingIfNeeded: digest >> 64))
    }

    private init(low: UInt64, high: UInt64) {
        self.low = max(low, 1)
        self.high = max(high, 1)
    }

    static func random() -> ArenaDigest {
        ArenaDigest(low: .random(in: .min ... .max), high: .random(in: .min ... .max))
    }

    /// 32 hexadecimal digits.
    var hexadecimal: String {
        [high, low].map { half in
            let digits = String(half, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    init?(hexadecimal: String) {
        guard hexadecimal.utf8.count == 32, let high = UInt64(hexadecimal.prefix(16), radix: 16),
            let low = UInt64(hexadecimal.suffix(16), radix: 16)
        else { return nil }
        self.init(low: low, high: high)
        // Numbers may be spelled in other ways, with a sign for instance.
        guard hexadecimal == self.hexadecimal else { return nil }
    }
}
