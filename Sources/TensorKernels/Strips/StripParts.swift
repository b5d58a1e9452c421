import CVectorKernels

/// A picture that is a sum: which rows each strip has in the end, and which it has a part of.
struct StripParts: Sendable {
    let owned: [Range<Int>]
    let reached: [Range<Int>]
}

/// What one strip has of some rows of a sum, in float32.
struct StripPart: Sendable {
    let rows: Range<Int>
    /// Numbers of a row.
    let rowCount: Int
    let buffer: Buffer

    init(_ rows: Range<Int>, rowCount: Int, in context: ComputeContext) {
        self.rows = rows
        self.rowCount = rowCount
        buffer = Buffer(byteCount: rows.count * rowCount * MemoryLayout<Float>.size, pool: context.pool)
    }

    var floats: UnsafeMutablePointer<Float> { buffer.pointer.assumingMemoryBound(to: Float.self) }

    func numbers(of row: Int) -> UnsafeMutablePointer<Float> { floats + (row - rows.lowerBound) * rowCount }

    /// - Precondition: `wanted` are some of its rows.
    func bytes(of wanted: Range<Int>) -> UnsafeMutableRawBufferPointer {
        precondition(wanted.clamped(to: rows) == wanted, "\(wanted) are no rows of \(rows)")
        return UnsafeMutableRawBufferPointer(
            start: numbers(of: wanted.lowerBound),
            count: wanted.count * rowCount * MemoryLayout<Float>.size)
    }
}

extension ComputeContext {
    /// Adds to this strip's rows what other strips have of them, and gives these what this one has of theirs.
    ///
    /// - Parameters:
    ///   - beside: all that this strip has of others' rows.
    ///   - own: this strip's rows, of which those are written that it reaches.
    func add(_ parts: StripParts, beside: [StripPart], to own: StripPart) throws {
        guard let strips else { return }
        let me = strips.own
        let incoming = strips.others.compactMap { other -> (strip: Int, part: StripPart)? in
            let rows = parts.reached[other].clamped(to: parts.owned[me])
            return rows.isEmpty ? nil : (other, StripPart(rows, rowCount: own.rowCount, in: self))
        }
        let outgoing = strips.others.flatMap { other in
            beside.compactMap { part -> (strip: Int, bytes: StripBytes)? in
                let rows = part.rows.clamped(to: parts.owned[other])
                guard !rows.isEmpty else { return nil }
                return (other, StripBytes(UnsafeRawBufferPointer(part.bytes(of: rows)), keeping: part))
            }
        }
        guard !incoming.isEmpty || !outgoing.isEmpty else { return }
        try strips.exchange.exchange(outgoing, incoming.map { ($0.strip, $0.part.bytes(of: $0.part.rows)) })
        var written = Set(parts.reached[me].clamped(to: parts.owned[me]))
        for (_, part) in incoming {
            for row in part.rows {
                let target = own.numbers(of: row)
                let source = UnsafePointer(part.numbers(of: row))
                let isFirst = written.insert(row).inserted
                parallel(own.rowCount, of: 1) { columns in
                    let (target, source) = (target + columns.lowerBound, source + columns.lowerBound)
                    if isFirst {
                        target.update(from: source, count: columns.count)
                    } else {
                        kernels.add(pilot_float32, target, source, target, columns.count)
                    }
                }
            }
        }
    }
}
