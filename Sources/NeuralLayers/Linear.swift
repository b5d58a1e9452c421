import TensorKernels

/// y = x W^T + b on every row; a 1x1 convolution of a channels-last picture is the same thing. `torch.nn.Linear`.
public struct Linear: Layer {
    public let inputs: Int
    public let outputs: Int
    private let weight: Weight
    private let bias: Weight?

    /// Keys `weight` `[outputs, inputs]` (a 1x1 kernel's `[outputs, inputs, 1, 1]` is the same numbers) and `bias`.
    public init(_ scope: ParameterScope, inputs: Int, outputs: Int, bias hasBias: Bool = true) {
        self.inputs = inputs
        self.outputs = outputs
        weight = scope.weight("weight", [outputs, inputs])
        bias = hasBias ? scope.weight("bias", [outputs]) : nil
    }

    public func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        let y = Tensor(uninitialized: x.shape.dropLast() + [outputs], in: context)
        try add(x, to: y, overwriting: true, in: context)
        return y
    }

    /// residual + x W^T + b, as a new tensor.
    public func callAsFunction(_ x: Tensor, addedTo residual: Tensor, in context: ComputeContext) throws -> Tensor {
        let y = residual.copied(in: context)
        try add(x, to: y, overwriting: false, in: context)
        return y
    }

    private func add(_ x: Tensor, to y: Tensor, overwriting: Bool, in context: ComputeContext) throws {
        try context.backend.multiply(
            x, by: weight.tensor(in: context), transposed: false, bias: bias?.vector(), into: y,
            accumulating: !overwriting, in: context)
    }

    public func withPullback(_ x: Tensor, in context: ComputeContext) throws -> (y: Tensor, pullback: Pullback) {
        (try self(x, in: context), { dy in try gradient(dy, in: context) })
    }

    /// dx = dy W.
    public func gradient(_ dy: Tensor, in context: ComputeContext) throws -> Tensor {
        let dx = Tensor(uninitialized: dy.shape.dropLast() + [inputs], in: context)
        try context.backend.multiply(
            dy, by: weight.tensor(in: context), transposed: true, bias: nil, into: dx, accumulating: false, in: context)
        return dx
    }

    /// Adds dy W to `dx`, a tensor that the caller alone holds.
    public func addGradient(_ dy: Tensor, to dx: Tensor, in context: ComputeContext) throws {
        try context.backend.multiply(
            dy, by: weight.tensor(in: context), transposed: true, bias: nil, into: dx, accumulating: true, in: context)
    }

    public func work(rows: Int) -> Work {
        Work(linear: 2 * Double(rows) * Double(weight.count), parameters: weight.count + (bias?.count ?? 0))
    }
}
