import TensorKernels

/// The factors of one module's change, as a file has them; their shapes are checked.
enum LoRAFactors: Sendable {
    /// up · down: LoRA, and LoCon where the module is a convolution, with a kernel between the two if there is one.
    case product(up: StoredTensor, middle: StoredTensor?, down: StoredTensor)
    /// Two products, multiplied element by element: LoHa.
    case hadamard(LoRAFactor, LoRAFactor)
    /// The Kronecker product: LoKr.
    case kronecker(LoRAFactor, LoRAFactor)

    var tensors: [StoredTensor] {
        switch self {
        case .product(let up, let middle, let down): [up, down] + (middle.map { [$0] } ?? [])
        case .hadamard(let first, let second), .kronecker(let first, let second): first.tensors + second.tensors
        }
    }
}

/// A matrix, whole or as a product of two.
enum LoRAFactor: Sendable {
    case whole(StoredTensor)
    case product(StoredTensor, StoredTensor)

    var tensors: [StoredTensor] {
        switch self {
        case .whole(let matrix): [matrix]
        case .product(let first, let second): [first, second]
        }
    }

    var rows: Int { tensors[0].shape[0] }

    var columns: Int {
        switch self {
        case .whole(let matrix): matrix.columns
        case .product(_, let second): second.columns
        }
    }

    /// The columns of the first of two; nil for a whole matrix.
    var rank: Int? {
        if case .product(let first, _) = self { first.columns } else { nil }
    }
}

extension StoredTensor {
    /// Of the tensor seen as a matrix: all axes but the first.
    var columns: Int { count / max(1, shape.first ?? 1) }
}
