/// Where the rows that a rank holds lie in their picture.
public struct Strip: Sendable, Hashable {
    public let rows: Range<Int>
    /// Of how many rows the picture has in all.
    public let height: Int

    package init(rows: Range<Int>, height: Int) {
        self.rows = rows
        self.height = height
    }
}

// What a layer asks of the ranks that hold the rest of a picture: each answer has the bits of the whole picture, however
// it is cut, and a rank that holds whole pictures is answered at once.
extension ComputeContext {
    /// How a picture of which `x` `[rows, width, channels]` is here is cut.
    public func cut(of x: Tensor) -> StripCut { cut(width: x.shape[1], rows: x.shape[0]) }

    /// How a picture of `width` columns is cut.
    ///
    /// - Parameter rows: those that are here.
    public func cut(width: Int, rows: Int) -> StripCut {
        guard let strips else { return StripCut(shared: rows, strips: 1) }
        let cut = strips.grid.cut(width: width, rows: rows)
        precondition(cut.rows[strips.own].count == rows, "\(rows) rows of \(width) are no strip \(cut)")
        return cut
    }

    /// How a picture of `width` columns is cut of which nothing is here yet.
    ///
    /// - Parameter height: all its rows, where it is not cut.
    public func cut(width: Int, height: Int) -> StripCut {
        strips?.grid.cut(width: width, rows: height) ?? StripCut(shared: height, strips: 1)
    }

    /// Which strip is here.
    public var ownStrip: Int { strips?.own ?? 0 }
    /// Among how many ranks a picture's rows are dealt.
    var stripCount: Int { strips?.grid.strips ?? 1 }

    /// Where the rows of `x` lie.
    public func strip(of x: Tensor) -> Strip {
        let cut = cut(of: x)
        return Strip(rows: cut.rows[ownStrip], height: cut.height)
    }

    /// The whole picture of which `x` is this rank's part.
    public func gathered(_ x: Tensor) throws -> Tensor {
        let height = cut(of: x).height
        return try rows(of: x) { _ in 0..<height }
    }

    /// This rank's part of a picture that is here as a whole.
    public func ownRows(of whole: Tensor) -> Tensor {
        whole.rows(cut(width: whole.shape[1], height: whole.shape[0]).rows[ownStrip], in: self)
    }

    /// The rows of the picture that each strip wants, whoever has them.
    ///
    /// - Parameter wanted: the rows for each strip, 0 for the first.
    /// - Returns: those for this one.
    public func rows(of x: Tensor, for wanted: (_ strip: Int) -> Range<Int>) throws -> Tensor {
        let cut = cut(of: x)
        let mine = wanted(ownStrip)
        guard let strips, !cut.isShared else { return x.rows(mine, in: self) }
        let own = cut.rows[strips.own]
        let isAllHere = cut.rows.indices.allSatisfy { wanted($0).clamped(to: cut.rows[$0]) == wanted($0) }
        if isAllHere {
            return x.rows(mine, from: own.lowerBound, in: self)
        }
        var result = TensorDraft(
            uninitialized: [mine.count] + x.shape.dropFirst(), as: x.elementType, in: self)
        let target = result.elements
        let row = x.count / x.shape[0]
        let kept = mine.clamped(to: own)
        if !kept.isEmpty {
            target.copy(
                x.pointer(at: (kept.lowerBound - own.lowerBound) * row), count: kept.count * row,
                at: (kept.lowerBound - mine.lowerBound) * row)
        }
        try fetch(x, of: cut, strips, { [wanted($0)] }) { target.pointer(at: ($0 - mine.lowerBound) * row) }
        return result.finished()
    }

    /// Gives the other strips what they want of `x`, and gets what this one wants of theirs.
    ///
    /// - Parameters:
    ///   - wanted: runs of rows of the whole picture, for each strip.
    ///   - place: where a row, and those after it in its run, are to be written.
    private func fetch(
        _ x: Tensor, of cut: StripCut, _ strips: Strips, _ wanted: (_ strip: Int) -> [Range<Int>],
        to place: (_ row: Int) -> UnsafeMutableRawPointer
    ) throws {
        let parcels = parcels(x, of: cut, strips, wanted, to: place)
        if !parcels.isEmpty { try strips.exchange.exchange(parcels.outgoing, parcels.incoming) }
    }

    /// What `fetch` gives and gets.
    func parcels(
        _ x: Tensor, of cut: StripCut, _ strips: Strips, _ wanted: (_ strip: Int) -> [Range<Int>],
        to place: (_ row: Int) -> UnsafeMutableRawPointer
    ) -> StripParcels {
        let own = cut.rows[strips.own]
        let size = x.count / x.shape[0] * x.elementType.byteCount
        var parcels = StripParcels()
        for other in strips.others {
            for rows in wanted(other).map({ $0.clamped(to: own) }) where !rows.isEmpty {
                let first = rows.lowerBound - own.lowerBound
                parcels.outgoing.append((other, StripBytes(first..<first + rows.count, of: x)))
            }
            for rows in wanted(strips.own).map({ $0.clamped(to: cut.rows[other]) }) where !rows.isEmpty {
                let target = UnsafeMutableRawBufferPointer(start: place(rows.lowerBound), count: rows.count * size)
                parcels.incoming.append((other, target))
            }
        }
        return parcels
    }

    /// The numbers of all strips, from the top down.
    ///
    /// - Parameter numbers: equally many for each row of `x`.
    package func inRowOrder(_ numbers: [Double], of x: Tensor) throws -> [Double] {
        try inRowOrder(numbers, of: x, besides: nil).numbers
    }

    /// The numbers of all strips, from the top down, and at the same time the rows of `x` that are wanted besides those that
    /// are here.
    ///
    /// - Parameters:
    ///   - numbers: equally many for each row of `x`.
    ///   - wanted: the rows for each strip, its own among them; nil for no others.
    /// - Returns: with the rows before its own and after them, where there are any.
    func inRowOrder(
        _ numbers: [Double], of x: Tensor, besides wanted: [Range<Int>]?
    ) throws -> (numbers: [Double], above: Tensor?, below: Tensor?) {
        let cut = cut(of: x)
        guard let strips, !cut.isShared else { return (numbers, nil, nil) }
        let sides = StripSides(of: x, cut, wanted, own: strips.own, in: self)
        let rows = parcels(x, of: cut, strips, sides.wanted, to: sides.place)
        let perRow = numbers.count / x.shape[0]
        let outgoing = StripBytes(numbers)
        var all = [Double](repeating: 0, count: cut.height * perRow)
        try all.withUnsafeMutableBufferPointer { all in
            func place(of strip: Int) -> UnsafeMutableBufferPointer<Double> {
                let rows = cut.rows[strip]
                return UnsafeMutableBufferPointer(rebasing: all[rows.lowerBound * perRow..<rows.upperBound * perRow])
            }
            _ = place(of: strips.own).update(from: numbers)
            try strips.exchange.exchange(
                strips.others.map { ($0, outgoing) } + rows.outgoing,
                strips.others.map { ($0, UnsafeMutableRawBufferPointer(place(of: $0))) } + rows.incoming)
        }
        return (all, sides.tensor(0), sides.tensor(1))
    }
}

/// What one rank gives others, and gets from them, in one exchange.
struct StripParcels {
    var outgoing: [(strip: Int, bytes: StripBytes)] = []
    var incoming: [(strip: Int, target: UnsafeMutableRawBufferPointer)] = []

    var isEmpty: Bool { outgoing.isEmpty && incoming.isEmpty }

    static func += (parcels: inout StripParcels, others: StripParcels) {
        parcels.outgoing += others.outgoing
        parcels.incoming += others.incoming
    }
}

/// The rows beside a strip, on their way into memory of their own.
private struct StripSides {
    private let cut: StripCut
    private let rows: [Range<Int>]?
    private let x: Tensor
    /// Before the own rows, and after them.
    private let sides: [Range<Int>]
    private let buffers: [Buffer]

    init(of x: Tensor, _ cut: StripCut, _ wanted: [Range<Int>]?, own: Int, in context: ComputeContext) {
        self.x = x
        self.cut = cut
        rows = wanted
        sides = Self.sides(of: own, cut, wanted)
        let row = x.count / x.shape[0] * x.elementType.byteCount
        buffers = sides.map { Buffer(byteCount: max($0.count, 1) * row, pool: context.pool) }
    }

    func wanted(_ strip: Int) -> [Range<Int>] { Self.sides(of: strip, cut, rows) }

    func place(_ row: Int) -> UnsafeMutableRawPointer {
        let side = sides[0].contains(row) ? 0 : 1
        return buffers[side].pointer
            + (row - sides[side].lowerBound) * (x.count / x.shape[0] * x.elementType.byteCount)
    }

    func tensor(_ side: Int) -> Tensor? {
        guard !sides[side].isEmpty else { return nil }
        return Tensor(
            shape: [sides[side].count] + x.shape.dropFirst(), elementType: x.elementType, buffer: buffers[side])
    }

    private static func sides(of strip: Int, _ cut: StripCut, _ wanted: [Range<Int>]?) -> [Range<Int>] {
        let own = cut.rows[strip]
        let rows = wanted?[strip] ?? own
        precondition(rows.clamped(to: own) == own, "\(rows) has not all of \(own)")
        return [rows.lowerBound..<own.lowerBound, own.upperBound..<rows.upperBound]
    }
}

extension Tensor {
    /// Some rows of a picture; the picture itself where these are all.
    ///
    /// - Parameter first: the number of the row that comes first here.
    package func rows(_ range: Range<Int>, from first: Int = 0, in context: ComputeContext) -> Tensor {
        if range.lowerBound == first && range.count == shape[0] { return self }
        var some = TensorDraft(uninitialized: [range.count] + shape.dropFirst(), as: elementType, in: context)
        let row = count / shape[0]
        some.elements.fill(
            from: pointer(at: (range.lowerBound - first) * row), of: elementType, count: range.count * row, in: context)
        return some.finished()
    }
}
