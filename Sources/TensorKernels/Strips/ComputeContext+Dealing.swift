// Columns in place of rows: where a rank is to have some channels of the whole picture, and not all channels of its rows.
extension ComputeContext {
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
}
