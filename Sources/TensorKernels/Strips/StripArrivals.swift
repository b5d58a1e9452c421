/// Whole pictures of which every rank has some rows, on their way to this one.
///
/// What comes is used from the top down, as it comes; it is not waited for if this is dropped.
public struct StripArrivals {
    /// All of them, of which those rows may be read that are here.
    private let wholes: [Tensor]
    private let cut: StripCut
    /// Nil where all is here.
    private let transfer: (any StripTransfer)?

    init(_ wholes: [Tensor], _ cut: StripCut, _ transfer: (any StripTransfer)?) {
        self.wholes = wholes
        self.cut = cut
        self.transfer = transfer
    }

    /// The rows of each picture.
    var height: Int { cut.height }

    /// Waits until more rows from the top are here than `rows`, and says how many are.
    func rows(after rows: Int) throws -> Int {
        guard let transfer else { return height }
        var here = rows
        for (strip, range) in cut.rows.enumerated() where range.upperBound > rows {
            if here > rows && !transfer.hasCome(from: strip) { break }
            try transfer.wait(for: strip)
            here = range.upperBound
        }
        return here
    }

    /// Some rows that are here, of each picture, without a copy.
    func positions(_ positions: Range<Int>) -> [Tensor] {
        wholes.map { $0.positions(positions) }
    }

    /// Waits for all of them.
    func finished() throws -> [Tensor] {
        try transfer?.finish()
        return wholes
    }
}

extension ComputeContext {
    /// Begins to gather whole pictures, in one exchange.
    ///
    /// - Parameter parts: this rank's rows of each, `[rows, width, channels]` of equal rows and widths.
    public func gathering(_ parts: [Tensor]) throws -> StripArrivals {
        let cut = cut(of: parts[0])
        guard let strips, !cut.isShared else { return StripArrivals(parts, cut, nil) }
        let own = cut.rows[strips.own]
        var parcels = StripParcels()
        let wholes = parts.map { part in
            precondition(part.shape.prefix(2) == parts[0].shape.prefix(2), "pictures gathered at once are cut alike")
            let row = part.count / part.shape[0]
            var whole = TensorDraft(
                uninitialized: [cut.height] + part.shape.dropFirst(), as: part.elementType, in: self)
            let target = whole.elements
            target.copy(part.pointer(at: 0), count: part.count, at: own.lowerBound * row)
            parcels += self.parcels(part, of: cut, strips, { _ in [0..<cut.height] }) { target.pointer(at: $0 * row) }
            return whole.finished()
        }
        return StripArrivals(wholes, cut, try strips.exchange.begin(parcels.outgoing, parcels.incoming))
    }
}
