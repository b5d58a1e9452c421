import TensorKernels

/// A LoRA's change of one weight, and how strong it is.
struct WeightChange: Sendable {
    let file: String
    let module: LoRAModule
    /// 1 for the change as it was trained; not 0.
    let weight: Double
}

/// A weight with changes: W' = W + sum of w · (what each makes of W alone), so that their order does not matter.
///
/// A change of fewer inputs than the weight has is one of its first: a convolution of four channels on nine.
struct MergedWeight: DerivedValues {
    let rows: Int
    let columns: Int
    /// The positions of a kernel.
    let area: Int
    let changes: [WeightChange]

    init(_ target: LoRATarget, _ changes: [WeightChange]) {
        rows = target.shape[0]
        columns = target.columns
        area = target.area
        self.changes = changes
    }

    var identity: String {
        changes.map { "\($0.file)\u{0}\($0.module.name)\u{0}\($0.weight)" }.joined(separator: "\u{0}")
    }

    func releasePages() {
        for tensor in changes.flatMap(\.module.tensors) { tensor.releasePages() }
    }

    func change(_ values: UnsafeMutablePointer<Float>, in context: ComputeContext?) {
        let merge = RunningMerge(self, values, in: context)
        let work = columns * changes.reduce(1) { $0 + $1.module.tensors[0].columns }
        Self.parallel(rows, of: work, in: context) { merge.run($0) }
    }

    fileprivate static func parallel(
        _ count: Int, of work: Int, in context: ComputeContext?, _ body: (Range<Int>) -> Void
    ) {
        guard let context else { return body(0..<count) }
        context.parallel(count, of: work, body)
    }
}

/// A merge under way: what all its rows need.
private struct RunningMerge {
    private let merged: MergedWeight
    private let values: UnsafeMutablePointer<Float>
    private let changes: [Change]

    private struct Change {
        let weight: Double
        let rows: LoRARows
        let magnitudes: Magnitudes?
    }

    private enum Magnitudes {
        case perOutput([Double])
        /// Each magnitude over the norm of V's input.
        case perInput([Double])
    }

    init(_ merged: MergedWeight, _ values: UnsafeMutablePointer<Float>, in context: ComputeContext?) {
        self.merged = merged
        self.values = values
        changes = merged.changes.map { change in
            let rows = LoRARows(change.module)
            let magnitudes: Magnitudes? = change.module.magnitudes.map { magnitudes in
                let wanted = magnitudes.tensor.float32Values().map(Double.init)
                switch magnitudes {
                case .perOutput: return .perOutput(wanted)
                case .perInput:
                    let norms = Self.inputNorms(merged, values, rows, in: context)
                    return .perInput(zip(wanted, norms).map(Self.ratio))
                }
            }
            return Change(weight: change.weight, rows: rows, magnitudes: magnitudes)
        }
    }

    /// d / ‖V‖; where V is 0, it stays 0.
    private static func ratio(_ magnitude: Double, _ norm: Double) -> Double { norm == 0 ? 0 : magnitude / norm }

    /// Merges some rows; no row depends on others.
    func run(_ rows: Range<Int>) {
        let columns = merged.columns
        let room = UnsafeMutablePointer<Double>.allocate(capacity: 4 * columns)
        defer { room.deallocate() }
        let (sum, changed, scratch) = (room, room + columns, room + 2 * columns)
        for row in rows {
            let original = values + row * columns
            for column in 0..<columns { sum[column] = Double(original[column]) }
            for change in changes {
                guard let magnitudes = change.magnitudes else {
                    change.rows.add(row: row, times: change.weight, to: sum, scratch: scratch)
                    continue
                }
                Self.fill(changed, original, row, change.rows, scratch: scratch)
                add(magnitudes, change, row: row, original: original, changed: changed, to: sum)
            }
            for column in 0..<columns { original[column] = Float(sum[column]) }
        }
    }

    /// V's row: W's, and the change's.
    private static func fill(
        _ target: UnsafeMutablePointer<Double>, _ original: UnsafePointer<Float>, _ row: Int, _ rows: LoRARows,
        scratch: UnsafeMutablePointer<Double>
    ) {
        for column in 0..<rows.columns { target[column] = Double(original[column]) }
        rows.add(row: row, times: 1, to: target, scratch: scratch)
    }

    /// sum += w · (V · d / ‖V‖ - W), DoRA.
    private func add(
        _ magnitudes: Magnitudes, _ change: Change, row: Int, original: UnsafePointer<Float>,
        changed: UnsafePointer<Double>, to sum: UnsafeMutablePointer<Double>
    ) {
        let count = change.rows.columns
        switch magnitudes {
        case .perOutput(let wanted):
            let squares = (0..<count).reduce(0) { $0 + changed[$1] * changed[$1] }
            let factor = Self.ratio(wanted[row], squares.squareRoot())
            for column in 0..<count {
                sum[column] += change.weight * (changed[column] * factor - Double(original[column]))
            }
        case .perInput(let factors):
            for column in 0..<count {
                let factor = factors[column / merged.area]
                sum[column] += change.weight * (changed[column] * factor - Double(original[column]))
            }
        }
    }

    /// The norm of V for each input, over outputs and kernel: in blocks of rows that do not depend on the threads.
    private static func inputNorms(
        _ merged: MergedWeight, _ values: UnsafeMutablePointer<Float>, _ rows: LoRARows, in context: ComputeContext?
    ) -> [Double] {
        let (blockRows, inputs) = (64, rows.columns / merged.area)
        let blocks = (merged.rows + blockRows - 1) / blockRows
        var sums = [Double](repeating: 0, count: blocks * inputs)
        sums.withUnsafeMutableBufferPointer { sums in
            guard let sums = sums.baseAddress else { return }
            MergedWeight.parallel(blocks, of: blockRows * rows.columns * rows.work, in: context) { range in
                let room = UnsafeMutablePointer<Double>.allocate(capacity: 3 * rows.columns)
                defer { room.deallocate() }
                for block in range {
                    for row in block * blockRows..<min(merged.rows, (block + 1) * blockRows) {
                        fill(room, values + row * merged.columns, row, rows, scratch: room + rows.columns)
                        for column in 0..<rows.columns {
                            sums[block * inputs + column / merged.area] += room[column] * room[column]
                        }
                    }
                }
            }
        }
        return (0..<inputs).map { input in
            (0..<blocks).reduce(0) { $0 + sums[$1 * inputs + input] }.squareRoot()
        }
    }
}
