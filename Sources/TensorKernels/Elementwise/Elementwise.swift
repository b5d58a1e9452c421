import CVectorKernels

extension Tensor {
    /// The same values in the context's format; itself when it has that format already.
    public func converted(in context: ComputeContext) -> Tensor {
        guard elementType != context.elementType else { return self }
        var result = TensorDraft(uninitialized: shape, in: context)
        result.copy(self, in: context)
        return result.finished()
    }

    /// Element-wise sum of two tensors of one shape, in this one's memory when nothing else holds it.
    public consuming func adding(_ other: Tensor, in context: ComputeContext) -> Tensor {
        precondition(
            count == other.count && elementType == other.elementType, "\(shape) can't be added to \(other.shape)")
        guard isHeldAlone() else {
            var sum = TensorDraft(uninitialized: shape, as: elementType, in: context)
            sum.elements.write(pointer, plus: other, in: context)
            return sum.finished()
        }
        var sum = draft(in: context)
        let elements = sum.elements
        elements.write(UnsafeRawPointer(elements.pointer), plus: other, in: context)
        return sum.finished()
    }
}

extension TensorDraft {
    /// Adds a bias to every row.
    mutating func addBias(_ bias: [Float], in context: ComputeContext) {
        let columns = columns
        precondition(bias.count == columns, "\(bias.count) biases for \(columns) columns")
        let elements = elements
        context.parallel(rows, of: columns) { part in
            context.kernels.add_bias(
                elements.kernelType, elements.pointer(at: part.lowerBound * columns), part.count, columns, bias)
        }
    }
}

extension DraftElements {
    /// Writes the sums of two tensors' elements, of which `first` may be these.
    fileprivate func write(_ first: UnsafeRawPointer, plus second: Tensor, in context: ComputeContext) {
        context.parallel(second.count, of: 1) { part in
            context.kernels.add(
                kernelType, first + part.lowerBound * elementType.byteCount, second.pointer(at: part.lowerBound),
                pointer(at: part.lowerBound), part.count)
        }
    }
}

/// The non-linear functions that the networks use between their layers.
public enum Activation: String, Sendable, CaseIterable {
    /// x sigmoid(x), also called swish.
    case silu
    /// x Phi(x) with the exact normal distribution function.
    case gelu
    /// x sigmoid(1.702 x), OpenAI's approximation of GELU.
    case quickGELU = "quick_gelu"

    private var kind: pilot_activation {
        switch self {
        case .silu: pilot_silu
        case .gelu: pilot_gelu
        case .quickGELU: pilot_quick_gelu
        }
    }

    public func callAsFunction(_ x: Tensor, in context: ComputeContext) -> Tensor {
        var y = TensorDraft(uninitialized: x.shape, as: x.elementType, in: context)
        let target = y.elements
        context.parallel(x.count, of: 1) { part in
            let first = part.lowerBound
            context.kernels.activate(x.kernelType, kind, x.pointer(at: first), target.pointer(at: first), part.count)
        }
        return y.finished()
    }

    /// dx = dy f'(x).
    public func gradient(_ x: Tensor, _ dy: Tensor, in context: ComputeContext) -> Tensor {
        var dx = TensorDraft(uninitialized: x.shape, as: x.elementType, in: context)
        let target = dx.elements
        context.parallel(x.count, of: 1) { part in
            let first = part.lowerBound
            context.kernels.activate_gradient(
                x.kernelType, kind, x.pointer(at: first), dy.pointer(at: first), target.pointer(at: first), part.count)
        }
        return dx.finished()
    }
}

/// GEGLU: the first half of each row times GELU of the second.
public enum GatedGELU {
    /// x `[rows, 2 n]` to y `[rows, n]`.
    public static func forward(_ x: Tensor, in context: ComputeContext) -> Tensor {
        let width = x.columns / 2
        var y = TensorDraft(uninitialized: x.shape.dropLast() + [width], as: x.elementType, in: context)
        let target = y.elements
        context.parallel(x.rows, of: x.columns) { part in
            context.kernels.gated(
                x.kernelType, x.pointer(at: part.lowerBound * 2 * width), target.pointer(at: part.lowerBound * width),
                part.count, width)
        }
        return y.finished()
    }

    public static func gradient(_ x: Tensor, _ dy: Tensor, in context: ComputeContext) -> Tensor {
        let width = x.columns / 2
        var dx = TensorDraft(uninitialized: x.shape, as: x.elementType, in: context)
        let target = dx.elements
        context.parallel(x.rows, of: x.columns) { part in
            context.kernels.gated_gradient(
                x.kernelType, x.pointer(at: part.lowerBound * 2 * width), dy.pointer(at: part.lowerBound * width),
                target.pointer(at: part.lowerBound * 2 * width), part.count, width)
        }
        return dx.finished()
    }
}
