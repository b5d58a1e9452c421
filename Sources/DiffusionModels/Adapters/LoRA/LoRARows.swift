import TensorKernels

/// One module's change, computed row by row in float64: the sums of a merge are rounded once, when it is stored.
struct LoRARows {
    private enum Formula {
        case product(Matrix, Matrix)
        case hadamard(up1: Matrix, down1: Matrix, up2: Matrix, down2: Matrix)
        case kronecker(Matrix, Matrix)
    }

    let columns: Int
    private let formula: Formula
    private let scale: Double

    /// Reads the factors.
    init(_ module: LoRAModule) {
        columns = module.columns
        scale = module.scale
        switch module.factors {
        case .product(let up, let middle, let down):
            let down = Matrix(down)
            formula = .product(Matrix(up), middle.map { Matrix($0, times: down) } ?? down)
        case .hadamard(let first, let second):
            let (a, b) = (first.tensors.map(Matrix.init), second.tensors.map(Matrix.init))
            formula = .hadamard(up1: a[0], down1: a[1], up2: b[0], down2: b[1])
        case .kronecker(let first, let second):
            formula = .kronecker(Matrix(first), Matrix(second))
        }
    }

    /// How many numbers are multiplied for one of the result, about.
    var work: Int {
        switch formula {
        case .product(let up, _): up.columns
        case .hadamard(let up, _, _, _): 2 * up.columns
        case .kronecker: 1
        }
    }

    /// target[0 ..< columns] += weight · (the change's row).
    ///
    /// - Parameter scratch: room for two rows.
    func add(
        row: Int, times weight: Double, to target: UnsafeMutablePointer<Double>, scratch: UnsafeMutablePointer<Double>
    ) {
        let factor = weight * scale
        switch formula {
        case .product(let up, let down):
            up.addRow(row, times: factor, of: down, to: target)
        case .hadamard(let up1, let down1, let up2, let down2):
            let (first, second) = (scratch, scratch + columns)
            scratch.update(repeating: 0, count: 2 * columns)
            up1.addRow(row, times: 1, of: down1, to: first)
            up2.addRow(row, times: 1, of: down2, to: second)
            for column in 0..<columns { target[column] += factor * first[column] * second[column] }
        case .kronecker(let outer, let inner):
            for block in 0..<outer.columns {
                inner.addOwnRow(
                    row % inner.rows, times: factor * outer[row / inner.rows, block],
                    to: target + block * inner.columns)
            }
        }
    }
}

/// A matrix in float64, row-major.
private struct Matrix {
    let rows: Int
    let columns: Int
    private let values: [Double]

    /// The tensor, its first axis by all others.
    init(_ tensor: StoredTensor) {
        rows = tensor.shape[0]
        columns = tensor.columns
        values = tensor.float32Values().map(Double.init)
    }

    init(_ factor: LoRAFactor) {
        switch factor {
        case .whole(let tensor): self.init(tensor)
        case .product(let first, let second):
            let (first, second) = (Matrix(first), Matrix(second))
            self.init(rows: first.rows, columns: second.columns) { row, target in
                first.addRow(row, times: 1, of: second, to: target)
            }
        }
    }

    /// A kernel `[p, q, height, width]` after a matrix `[q, inputs]`: `[p, inputs · height · width]`.
    init(_ kernel: StoredTensor, times down: Matrix) {
        let (ranks, area) = (kernel.shape[1], kernel.shape[2] * kernel.shape[3])
        let kernel = Matrix(kernel)
        self.init(rows: kernel.rows, columns: down.columns * area) { row, target in
            for rank in 0..<ranks {
                for input in 0..<down.columns {
                    kernel.addOwnRow(
                        row, from: rank * area, count: area, times: down[rank, input], to: target + input * area)
                }
            }
        }
    }

    private init(rows: Int, columns: Int, _ fill: (Int, UnsafeMutablePointer<Double>) -> Void) {
        self.rows = rows
        self.columns = columns
        values = [Double](unsafeUninitializedCapacity: rows * columns) { buffer, count in
            buffer.initialize(repeating: 0)
            count = rows * columns
            guard let start = buffer.baseAddress else { return }
            for row in 0..<rows { fill(row, start + row * columns) }
        }
    }

    subscript(row: Int, column: Int) -> Double { values[row * columns + column] }

    /// target += factor · (this · other)[row].
    func addRow(_ row: Int, times factor: Double, of other: Matrix, to target: UnsafeMutablePointer<Double>) {
        let (count, fours) = (other.columns, columns / 4 * 4)
        other.values.withUnsafeBufferPointer { values in
            guard let start = values.baseAddress else { return }
            // Four rows at a time, or the target would be read and written for each.
            for index in stride(from: 0, to: fours, by: 4) {
                let (a, b) = (factor * self[row, index], factor * self[row, index + 1])
                let (c, d) = (factor * self[row, index + 2], factor * self[row, index + 3])
                let source = start + index * count
                for column in 0..<count {
                    target[column] +=
                        a * source[column] + b * source[count + column]
                        + (c * source[2 * count + column] + d * source[3 * count + column])
                }
            }
        }
        for index in fours..<columns { other.addOwnRow(index, times: factor * self[row, index], to: target) }
    }

    /// target += factor · this[row].
    func addOwnRow(_ row: Int, times factor: Double, to target: UnsafeMutablePointer<Double>) {
        addOwnRow(row, from: 0, count: columns, times: factor, to: target)
    }

    /// The same of some of the row's columns.
    func addOwnRow(
        _ row: Int, from first: Int, count: Int, times factor: Double, to target: UnsafeMutablePointer<Double>
    ) {
        values.withUnsafeBufferPointer { values in
            guard let start = values.baseAddress else { return }
            let source = start + row * columns + first
            for column in 0..<count { target[column] += factor * source[column] }
        }
    }
}
