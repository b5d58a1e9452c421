/// Byte-level byte-pair encoding of one word, with CLIP's end-of-word suffix `</w>`.
///
/// A word starts as its UTF-8 bytes, one symbol each, the last with the suffix. As long as two neighbours are the pair
/// of some merge, the pair of lowest rank (the leftmost of equals) becomes one symbol. A linked list and a heap make
/// that n log n in the length of the word.
struct BytePairEncoding: Sendable {
    struct Merge: Sendable {
        let rank: Int32
        let result: Int32
    }

    /// A token and the byte of the word at which it starts.
    struct Token: Equatable {
        let id: Int32
        let byte: Int
    }

    /// Ids of the 256 bytes inside a word.
    private let bytes: [Int32]
    /// Ids of the 256 bytes at the end of a word.
    private let finalBytes: [Int32]
    /// Merges by the pair of ids, 32 bits each.
    private let merges: [UInt64: Merge]

    /// - Precondition: 256 ids each.
    init(bytes: [Int32], finalBytes: [Int32], merges: [UInt64: Merge]) {
        precondition(bytes.count == 256 && finalBytes.count == 256, "every byte has an id")
        self.bytes = bytes
        self.finalBytes = finalBytes
        self.merges = merges
    }

    static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    func encode(_ word: [UInt8]) -> [Token] {
        guard let last = word.last else { return [] }
        var symbols = SymbolList(ids: word.dropLast().map { bytes[Int($0)] } + [finalBytes[Int(last)]])
        var candidates = MinimumHeap<Candidate>()
        for position in word.indices { enqueue(position, of: symbols, in: &candidates) }
        while let candidate = candidates.popMinimum() {
            guard symbols.isAlive(candidate.position), let right = symbols.next(candidate.position),
                let merge = merges[Self.pair(symbols.ids[candidate.position], symbols.ids[right])],
                merge.result == candidate.result
            else { continue }
            symbols.join(candidate.position, right, as: merge.result)
            if let previous = symbols.previous(candidate.position) {
                enqueue(previous, of: symbols, in: &candidates)
            }
            enqueue(candidate.position, of: symbols, in: &candidates)
        }
        return word.indices.filter(symbols.isAlive).map { Token(id: symbols.ids[$0], byte: $0) }
    }

    private func enqueue(_ position: Int, of symbols: SymbolList, in candidates: inout MinimumHeap<Candidate>) {
        guard let right = symbols.next(position),
            let merge = merges[Self.pair(symbols.ids[position], symbols.ids[right])]
        else { return }
        candidates.insert(Candidate(rank: merge.rank, position: position, result: merge.result))
    }
}

/// A merge that was possible when it was queued.
private struct Candidate: Comparable {
    let rank: Int32
    let position: Int
    let result: Int32

    static func < (left: Candidate, right: Candidate) -> Bool {
        (left.rank, left.position) < (right.rank, right.position)
    }
}

/// The symbols of a word as a doubly linked list over their first bytes.
private struct SymbolList {
    private static let none = -1

    private(set) var ids: [Int32]
    private var nexts: [Int]
    private var previouses: [Int]
    private var alive: [Bool]

    init(ids: [Int32]) {
        self.ids = ids
        nexts = ids.indices.map { $0 + 1 < ids.count ? $0 + 1 : Self.none }
        previouses = ids.indices.map { $0 - 1 }
        alive = [Bool](repeating: true, count: ids.count)
    }

    func isAlive(_ position: Int) -> Bool { alive[position] }
    func next(_ position: Int) -> Int? { nexts[position] == Self.none ? nil : nexts[position] }
    func previous(_ position: Int) -> Int? { previouses[position] == Self.none ? nil : previouses[position] }

    mutating func join(_ left: Int, _ right: Int, as id: Int32) {
        ids[left] = id
        alive[right] = false
        nexts[left] = nexts[right]
        if let after = next(left) { previouses[after] = left }
    }
}
