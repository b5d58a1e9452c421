import Failures
import TensorKernels

/// Makes factors of a module's tensors, and says what does not fit.
struct LoRAModuleReader {
    let name: String
    let parts: [LoRAPart: StoredTensor]
    let file: String

    /// Before a convolution's kernel in the middle; more than any trainer takes.
    private static let mostRanks = 1024

    /// What the factors tell of the change.
    struct Form {
        let kind: LoRAModule.Kind
        let outputs: Int
        let columns: Int
        var kernel: [Int]?
        let rank: Int?
    }

    func factors() throws -> (LoRAFactors, Form) {
        let kinds: [(parts: [LoRAPart], read: () throws -> (LoRAFactors, Form))] = [
            ([.down, .up, .middle], product), ([.hadaW1A, .hadaW1B, .hadaW2A, .hadaW2B], hadamard),
            ([.lokrW1, .lokrW1A, .lokrW1B, .lokrW2, .lokrW2A, .lokrW2B], kronecker),
        ]
        let found = kinds.filter { $0.parts.contains { parts[$0] != nil } }
        guard let kind = found.first, found.count == 1 else {
            throw Failure.badData(
                file: file, key: quoted(name), expected: "the factors of one change, such as lora_down and lora_up",
                found: found.isEmpty ? "none, only \(listed)" : "those of several kinds: \(listed)")
        }
        return try kind.read()
    }

    private var listed: String { parts.values.map { quoted($0.name) }.sorted().joined(separator: ", ") }

    private func product() throws -> (LoRAFactors, Form) {
        let (up, down) = (try matrix(.up), try matrix(.down))
        let middle = try parts[.middle].map { _ in try matrix(.middle) }
        guard up.columns == up.shape[1] else {
            throw fault(up, "the shape [outputs, rank], or [outputs, rank, 1, 1]", "\(up.shape)")
        }
        if let middle {
            guard middle.shape.count == 4, middle.shape[0] == up.shape[1] else {
                throw fault(middle, "the shape [\(up.shape[1]), rank, height, width]", "\(middle.shape)")
            }
            // The two kernels' product is as large as this rank wants it.
            guard middle.shape[0] <= max(up.shape[0], Self.mostRanks) else {
                throw fault(middle, "a rank of at most \(max(up.shape[0], Self.mostRanks))", "\(middle.shape[0])")
            }
            guard down.shape[0] == middle.shape[1], down.columns == down.shape[1] else {
                throw fault(down, "the shape [\(middle.shape[1]), inputs, 1, 1]", "\(down.shape)")
            }
        } else {
            guard up.shape[1] == down.shape[0] else {
                throw fault(up, "\(down.shape[0]) columns, the rows of \(quoted(down.name))", "\(up.shape)")
            }
        }
        let kernel = middle.map { Array($0.shape[2...]) } ?? (down.shape.count == 4 ? Array(down.shape[2...]) : nil)
        let columns = try middle.map { try size(down.shape[1], $0.shape[2], $0.shape[3]) } ?? down.columns
        let form = Form(
            kind: kernel == nil || kernel == [1, 1] ? .lora : .locon, outputs: up.shape[0], columns: columns,
            kernel: kernel, rank: down.shape[0])
        return (.product(up: up, middle: middle, down: down), form)
    }

    private func hadamard() throws -> (LoRAFactors, Form) {
        let first = try product(of: .hadaW1A, .hadaW1B)
        let second = try product(of: .hadaW2A, .hadaW2B)
        guard first.rows == second.rows, first.columns == second.columns else {
            throw fault(
                second.tensors[0], "products of one shape, here [\(first.rows), \(first.columns)]",
                "[\(second.rows), \(second.columns)]")
        }
        let rank = first.tensors[1].shape[0]
        return (
            .hadamard(first, second), Form(kind: .loha, outputs: first.rows, columns: first.columns, rank: rank)
        )
    }

    private func kronecker() throws -> (LoRAFactors, Form) {
        let first = try factor(.lokrW1, .lokrW1A, .lokrW1B)
        let second = try factor(.lokrW2, .lokrW2A, .lokrW2B)
        let last = second.tensors[second.tensors.count - 1]
        let form = Form(
            kind: .lokr, outputs: try size(first.rows, second.rows),
            columns: try size(first.columns, second.columns),
            kernel: last.shape.count == 4 ? Array(last.shape[2...]) : nil, rank: second.rank ?? first.rank)
        return (.kronecker(first, second), form)
    }

    /// - Throws: `Failure.badData` if neither the whole nor both of its factors are there, or all.
    private func factor(_ whole: LoRAPart, _ first: LoRAPart, _ second: LoRAPart) throws -> LoRAFactor {
        guard parts[whole] != nil else { return try product(of: first, second) }
        if let surplus = parts[first] ?? parts[second] {
            throw fault(surplus, "\(whole.rawValue) whole, or as a product of two", "both")
        }
        return .whole(try matrix(whole))
    }

    private func product(of first: LoRAPart, _ second: LoRAPart) throws -> LoRAFactor {
        let (a, b) = (try matrix(first), try matrix(second))
        guard a.columns == b.shape[0] else {
            throw fault(a, "\(b.shape[0]) columns, the rows of \(quoted(b.name))", "\(a.shape)")
        }
        return .product(a, b)
    }

    /// A tensor of two axes, or of four.
    private func matrix(_ part: LoRAPart) throws -> StoredTensor {
        guard let tensor = parts[part] else {
            throw Failure.badData(
                file: file, key: quoted(name), expected: "both halves of every pair", found: "\(listed) alone")
        }
        try checkValues(tensor)
        guard tensor.shape.count == 2 || tensor.shape.count == 4 else {
            throw fault(tensor, "2 dimensions, or 4", "\(tensor.shape)")
        }
        return tensor
    }

    private func checkValues(_ tensor: StoredTensor) throws {
        guard tensor.elementType.isNetworkType else {
            throw fault(tensor, "F32, F16 or BF16", tensor.elementType.rawValue)
        }
        guard tensor.count > 0 else { throw fault(tensor, "a rank and sizes of at least 1", "\(tensor.shape)") }
        if let index = tensor.firstNonFinite {
            throw fault(tensor, "finite numbers", "NaN or infinity at element \(index)")
        }
    }

    /// What the file's tensor says; nil if there is none.
    func alpha() throws -> Double? {
        guard let tensor = parts[.alpha] else { return nil }
        guard tensor.count == 1 else { throw fault(tensor, "one number", "the shape \(tensor.shape)") }
        guard let value = tensor.scalar else {
            throw fault(tensor, "a number", "the type \(tensor.elementType.rawValue)")
        }
        guard value.isFinite else { throw fault(tensor, "a finite number", "\(value)") }
        return value
    }

    func magnitudes(outputs: Int) throws -> LoRAModule.Magnitudes? {
        if let scale = parts[.doraScale] {
            if let other = parts[.magnitude] { throw fault(other, "magnitudes once", "\(quoted(scale.name)), too") }
            try checkValues(scale)
            if scale.shape.first == outputs, scale.count == outputs { return .perOutput(scale) }
            if scale.shape.count > 1, scale.shape[0] == 1, scale.count == scale.shape[1] { return .perInput(scale) }
            throw fault(scale, "the shape [\(outputs), 1, …] or [1, inputs, …]", "\(scale.shape)")
        }
        guard let magnitude = parts[.magnitude] else { return nil }
        try checkValues(magnitude)
        // PEFT's of a convolution is [1, outputs, 1, 1].
        guard magnitude.count == outputs, magnitude.shape.contains(outputs) else {
            throw fault(magnitude, "\(outputs) numbers, one for each output", "the shape \(magnitude.shape)")
        }
        return .perOutput(magnitude)
    }

    /// The product of sizes that a stranger has chosen.
    private func size(_ factors: Int...) throws -> Int {
        try factors.reduce(1) { product, factor in
            let (size, overflows) = product.multipliedReportingOverflow(by: factor)
            guard !overflows else {
                throw Failure.badData(
                    file: file, key: quoted(name), expected: "a change of fewer than 2^63 numbers",
                    found: "factors of \(factors)")
            }
            return size
        }
    }

    private func fault(_ tensor: StoredTensor, _ expected: String, _ found: String) -> Failure {
        .badData(file: file, key: quoted(tensor.name), expected: expected, found: found)
    }
}

extension StoredTensor {
    /// The one number of a tensor that has one, whole or not; nil for types that are no numbers.
    fileprivate var scalar: Double? {
        if elementType.isNetworkType { return float32Values().first.map(Double.init) }
        return withUnsafeBytes { bytes in
            switch elementType {
            case .float64: bytes.loadUnaligned(as: Double.self)
            case .int64: Double(bytes.loadUnaligned(as: Int64.self))
            case .int32: Double(bytes.loadUnaligned(as: Int32.self))
            default: nil
            }
        }
    }
}
