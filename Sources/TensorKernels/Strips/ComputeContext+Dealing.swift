// Columns in place of rows: where a rank is to have some channels of the whole picture, and not all channels of its rows.
extension ComputeContext {
    /// Some columns of a picture, for each rank others.
    typealias Columns = (_ strip: Int) -> Range<Int>

    /// Begins to deal out columns of whole pictures, in one exchange: `[height, width, own columns]` of each.
    ///
    /// - Parameter parts: this rank's rows of each, `[rows, width, channels]` of equal rows and widths.
    func dealing(_ parts: [(x: Tensor, columns: Columns)]) throws -> StripArrivals {
        let cut = cut(of: parts[0].x)
        guard let strips, !cut.isShared else {
            return StripArrivals(parts.map { $0.x.channels($0.columns(ownStrip), in: self) }, cut, nil)
        }
        var parcels = StripParcels()
        let wholes = parts.map { dealt($0.x, $0.columns, cut, strips, adding: &parcels) }
        return StripArrivals(wholes, cut, try strips.exchange.begin(parcels.outgoing, parcels.incoming))
    }

    /// A picture of which the own rows are here, and the others are asked for in `parcels`.
    private func dealt(
        _ x: Tensor, _ columns: Columns, _ cut: StripCut, _ strips: Strips, adding parcels: inout StripParcels
    ) -> Tensor {
        let own = columns(ownStrip)
        var whole = TensorDraft(uninitialized: [cut.height, x.shape[1], own.count], as: x.elementType, in: self)
        let target = whole.elements
        let row = x.shape[1] * own.count
        let kept = x.channels(own, in: self)
        target.copy(kept.pointer(at: 0), count: kept.count, at: cut.rows[strips.own].lowerBound * row)
        for other in strips.others {
            let rows = cut.rows[other]
            let theirs = StripBytes(0..<x.shape[0], of: x.channels(columns(other), in: self))
            parcels.outgoing.append((other, theirs))
            parcels.incoming.append(
                (
                    other,
                    UnsafeMutableRawBufferPointer(
                        start: target.pointer(at: rows.lowerBound * row),
                        count: rows.count * row * x.elementType.byteCount)
                ))
        }
        return whole.finished()
    }

    /// The way back from `dealing`, in one exchange: this rank's rows `[rows, width, all columns]` of what every rank has
    /// some columns of.
    func collected(_ parts: [Tensor], columns: Columns) throws -> [Tensor] {
        guard let strips else { return parts }
        let cut = cut(width: parts[0].shape[1], height: parts[0].shape[0])
        let rows = cut.rows[strips.own]
        var parcels = StripParcels()
        let received = parts.map { part in
            strips.others.map { other in
                let count = rows.count * part.shape[1] * columns(other).count * part.elementType.byteCount
                let buffer = Buffer(byteCount: count, pool: pool)
                parcels.outgoing.append((other, StripBytes(cut.rows[other], of: part)))
                parcels.incoming.append((other, UnsafeMutableRawBufferPointer(start: buffer.pointer, count: count)))
                return (strip: other, buffer: buffer)
            }
        }
        try strips.exchange.exchange(parcels.outgoing, parcels.incoming)
        let width = columns(strips.grid.strips - 1).upperBound
        return zip(parts, received).map { part, received in
            joined(part.rows(rows, in: self), received, columns: columns, width: width)
        }
    }

    /// - Parameters:
    ///   - own: the own columns.
    ///   - received: the others.
    private func joined(
        _ own: Tensor, _ received: [(strip: Int, buffer: Buffer)], columns: Columns, width: Int
    ) -> Tensor {
        var result = TensorDraft(uninitialized: own.shape.dropLast() + [width], as: own.elementType, in: self)
        let target = result.elements
        let (positions, size) = (own.rows, own.elementType.byteCount)
        func place(_ source: UnsafeRawPointer, _ columns: Range<Int>) {
            parallel(positions, of: columns.count) { part in
                for position in part {
                    target.copy(
                        source + position * columns.count * size, count: columns.count,
                        at: position * width + columns.lowerBound)
                }
            }
        }
        place(own.pointer(at: 0), columns(ownStrip))
        for (strip, buffer) in received { place(buffer.pointer, columns(strip)) }
        return result.finished()
    }
}
