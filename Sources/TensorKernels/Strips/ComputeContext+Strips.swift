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
        let own = cut.rows[ownStrip]
        let outgoing = strips.others.compactMap { other -> (strip: Int, bytes: StripBytes)? in
            let rows = wanted(other).clamped(to: own)
            guard !rows.isEmpty else { return nil }
            return (other, StripBytes(rows.lowerBound - own.lowerBound..<rows.upperBound - own.lowerBound, of: x))
        }
        let missing = strips.others.compactMap { other -> (strip: Int, rows: Range<Int>)? in
            let rows = mine.clamped(to: cut.rows[other])
            return rows.isEmpty ? nil : (other, rows)
        }
        if outgoing.isEmpty && missing.isEmpty { return x.rows(mine, from: own.lowerBound, in: self) }
        let row = x.count / x.shape[0]
        var result = TensorDraft(
            uninitialized: [mine.count] + x.shape.dropFirst(), as: x.elementType, in: self)
        let target = result.elements
        let kept = mine.clamped(to: own)
        if !kept.isEmpty {
            target.copy(
                x.pointer(at: (kept.lowerBound - own.lowerBound) * row), count: kept.count * row,
                at: (kept.lowerBound - mine.lowerBound) * row)
        }
        try strips.exchange.exchange(
            outgoing,
            missing.map { part in
                let start = target.pointer(at: (part.rows.lowerBound - mine.lowerBound) * row)
                let count = part.rows.count * row * x.elementType.byteCount
                return (part.strip, UnsafeMutableRawBufferPointer(start: start, count: count))
            })
        return result.finished()
    }

    /// The rows that are wanted besides those that are here, before them and after them; nil where there are none.
    ///
    /// - Parameter wanted: of each strip; its own among them.
    func borders(of x: Tensor, wanted: [Range<Int>]) throws -> (above: Tensor?, below: Tensor?) {
        let cut = cut(of: x)
        let (own, mine) = (cut.rows[ownStrip], wanted[ownStrip])
        precondition(wanted.count == cut.rows.count && mine.clamped(to: own) == own, "\(mine) has not all of \(own)")
        let sides = [mine.lowerBound..<own.lowerBound, own.upperBound..<mine.upperBound]
        guard let strips, !cut.isShared else { return (nil, nil) }
        let row = x.count / x.shape[0]
        let buffers = sides.map { Buffer(byteCount: max($0.count, 1) * row * x.elementType.byteCount, pool: pool) }
        let outgoing = strips.others.flatMap { other in
            [
                wanted[other].lowerBound..<cut.rows[other].lowerBound,
                cut.rows[other].upperBound..<wanted[other].upperBound,
            ]
            .map { $0.clamped(to: own) }.filter { !$0.isEmpty }
            .map { rows in
                (
                    strip: other,
                    bytes: StripBytes(
                        rows.lowerBound - own.lowerBound..<rows.upperBound - own.lowerBound, of: x)
                )
            }
        }
        let incoming = strips.others.flatMap { other in
            zip(sides, buffers).compactMap { side, buffer -> (strip: Int, target: UnsafeMutableRawBufferPointer)? in
                let rows = side.clamped(to: cut.rows[other])
                guard !rows.isEmpty else { return nil }
                let size = row * x.elementType.byteCount
                let start = buffer.pointer + (rows.lowerBound - side.lowerBound) * size
                return (other, UnsafeMutableRawBufferPointer(start: start, count: rows.count * size))
            }
        }
        if !outgoing.isEmpty || !incoming.isEmpty { try strips.exchange.exchange(outgoing, incoming) }
        func tensor(_ side: Int) -> Tensor? {
            guard !sides[side].isEmpty else { return nil }
            return Tensor(
                shape: [sides[side].count] + x.shape.dropFirst(), elementType: x.elementType, buffer: buffers[side])
        }
        return (tensor(0), tensor(1))
    }

    /// Some columns of the whole picture of which `x` is this rank's part, for each rank its own: `[height, width, own
    /// columns]`.
    func dealt(_ x: Tensor, columns: (_ strip: Int) -> Range<Int>) throws -> Tensor {
        let own = columns(ownStrip)
        let cut = cut(of: x)
        guard let strips, !cut.isShared else { return x.channels(own, in: self) }
        var whole = TensorDraft(uninitialized: [cut.height, x.shape[1], own.count], as: x.elementType, in: self)
        let target = whole.elements
        let row = x.shape[1] * own.count
        let kept = x.channels(own, in: self)
        target.copy(kept.pointer(at: 0), count: kept.count, at: cut.rows[strips.own].lowerBound * row)
        try strips.exchange.exchange(
            strips.others.map { ($0, StripBytes(0..<x.shape[0], of: x.channels(columns($0), in: self))) },
            strips.others.map { other in
                let rows = cut.rows[other]
                let start = target.pointer(at: rows.lowerBound * row)
                return (
                    other,
                    UnsafeMutableRawBufferPointer(start: start, count: rows.count * row * x.elementType.byteCount)
                )
            })
        return whole.finished()
    }

    /// The way back from `dealt`: this rank's rows `[rows, width, all columns]` of what every rank has some columns of.
    func collected(_ x: Tensor, columns: (_ strip: Int) -> Range<Int>) throws -> Tensor {
        guard let strips else { return x }
        let cut = cut(width: x.shape[1], height: x.shape[0])
        let rows = cut.rows[strips.own]
        let positions = rows.count * x.shape[1]
        let size = x.elementType.byteCount
        let received = strips.others.map { other in
            (strip: other, buffer: Buffer(byteCount: positions * columns(other).count * size, pool: pool))
        }
        try strips.exchange.exchange(
            strips.others.map { ($0, StripBytes(cut.rows[$0], of: x)) },
            received.map { strip, buffer in
                (
                    strip,
                    UnsafeMutableRawBufferPointer(
                        start: buffer.pointer, count: positions * columns(strip).count * size)
                )
            })
        let own = x.rows(rows, in: self)
        let width = columns(strips.grid.strips - 1).upperBound
        var result = TensorDraft(uninitialized: [rows.count, x.shape[1], width], as: x.elementType, in: self)
        let target = result.elements
        func place(_ source: UnsafeRawPointer, _ columns: Range<Int>) {
            parallel(positions, of: columns.count) { part in
                for position in part {
                    target.copy(
                        source + position * columns.count * size, count: columns.count,
                        at: position * width + columns.lowerBound)
                }
            }
        }
        place(own.pointer(at: 0), columns(strips.own))
        for (strip, buffer) in received { place(buffer.pointer, columns(strip)) }
        return result.finished()
    }

    /// The numbers of all strips, from the top down.
    ///
    /// - Parameters:
    ///   - numbers: equally many for each row of `x`.
    package func inRowOrder(_ numbers: [Double], of x: Tensor) throws -> [Double] {
        let cut = cut(of: x)
        guard let strips, !cut.isShared else { return numbers }
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
                strips.others.map { ($0, outgoing) },
                strips.others.map { ($0, UnsafeMutableRawBufferPointer(place(of: $0))) })
        }
        return all
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
