import CVectorKernels

extension Tensor {
    /// The same values in the context's format; itself when it has that format already.
    public func converted(in context: ComputeContext) -> Tensor {
        guard elementType != context.elementType else { return self }
        let result = Tensor(uninitialized: shape, context.elementType, in: context)
        context.parallel(count) { part in
            let from = pointer(at: part.lowerBound)
            let to = result.pointer(at: part.lowerBound)
            switch elementType {
            case .float32:
                pilot_bfloat16_from_float32(
                    from.assumingMemoryBound(to: Float.self), to.assumingMemoryBound(to: UInt16.self), part.count)
            case .bfloat16:
                pilot_float32_from_bfloat16(
                    from.assumingMemoryBound(to: UInt16.self), to.assumingMemoryBound(to: Float.self), part.count)
            }
        }
        return result
    }

    /// A copy that its maker may still write to.
    public func copied(in context: ComputeContext) -> Tensor {
        let result = Tensor(uninitialized: shape, elementType, in: context)
        context.parallel(count) { part in
            result.pointer(at: part.lowerBound).copyMemory(
                from: pointer(at: part.lowerBound), byteCount: part.count * elementType.byteCount)
        }
        return result
    }

    /// Overwrites this tensor, which its maker still holds alone.
    func copy(from other: Tensor) {
        precondition(other.count == count && other.elementType == elementType, "a copy needs equal tensors")
        pointer.copyMemory(from: other.pointer, byteCount: count * elementType.byteCount)
    }

    /// Adds a bias to every row of this tensor, which its maker still holds alone.
    func addBias(_ bias: [Float], in context: ComputeContext) {
        precondition(bias.count == columns, "\(bias.count) biases for \(columns) columns")
        context.parallel(rows) { part in
            context.kernels.add_bias(kernelType, pointer(at: part.lowerBound * columns), part.count, columns, bias)
        }
    }

    /// Element-wise sum of two tensors of one shape.
    public func adding(_ other: Tensor, in context: ComputeContext) -> Tensor {
        precondition(
            count == other.count && elementType == other.elementType, "\(shape) can't be added to \(other.shape)")
        let sum = Tensor(uninitialized: shape, elementType, in: context)
        context.parallel(count) { part in
            let first = part.lowerBound
            context.kernels.add(
                kernelType, pointer(at: first), other.pointer(at: first), sum.pointer(at: first), part.count)
        }
        return sum
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
        let y = Tensor(uninitialized: x.shape, x.elementType, in: context)
        context.parallel(x.count) { part in
            let first = part.lowerBound
            context.kernels.activate(x.kernelType, kind, x.pointer(at: first), y.pointer(at: first), part.count)
        }
        return y
    }

    /// dx = dy f'(x).
    public func gradient(_ x: Tensor, _ dy: Tensor, in context: ComputeContext) -> Tensor {
        let dx = Tensor(uninitialized: x.shape, x.elementType, in: context)
        context.parallel(x.count) { part in
            let first = part.lowerBound
            context.kernels.activate_gradient(
                x.kernelType, kind, x.pointer(at: first), dy.pointer(at: first), dx.pointer(at: first), part.count)
        }
        return dx
    }
}

/// GEGLU: the first half of each row times GELU of the second.
public enum GatedGELU {
    /// x `[rows, 2 n]` to y `[rows, n]`.
    public static func forward(_ x: Tensor, in context: ComputeContext) -> Tensor {
        let width = x.columns / 2
        let y = Tensor(uninitialized: x.shape.dropLast() + [width], x.elementType, in: context)
        context.parallel(x.rows) { part in
            context.kernels.gated(
                x.kernelType, x.pointer(at: part.lowerBound * 2 * width), y.pointer(at: part.lowerBound * width),
                part.count, width)
        }
        return y
    }

    public static func gradient(_ x: Tensor, _ dy: Tensor, in context: ComputeContext) -> Tensor {
        let width = x.columns / 2
        let dx = Tensor(uninitialized: x.shape, x.elementType, in: context)
        context.parallel(x.rows) { part in
            context.kernels.gated_gradient(
                x.kernelType, x.pointer(at: part.lowerBound * 2 * width), dy.pointer(at: part.lowerBound * width),
                dx.pointer(at: part.lowerBound * 2 * width), part.count, width)
        }
        return dx
    }
}
