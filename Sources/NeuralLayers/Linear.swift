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

    /// Of the squares of a picture, each a row: a convolution whose stride is its kernel's side, without a bias. Key
    /// `weight` `[outputs, channels, side, side]`.
    public init(squares scope: ParameterScope, channels: Int, side: Int, outputs: Int) {
        inputs = channels * side * side
        self.outputs = outputs
        weight = scope.weight("weight", [outputs, channels, side, side], as: [outputs, inputs])
        bias = nil
    }

    /// In the context's element type.
    public func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        try self(x, as: context.elementType, in: context)
    }

    public func callAsFunction(_ x: Tensor, as type: ElementType, in context: ComputeContext) throws -> Tensor {
        var y = TensorDraft(uninitialized: x.shape.dropLast() + [outputs], as: type, in: context)
        try run(x, into: &y, accumulating: false, in: context)
        return y.finished()
    }

    /// residual + x W^T + b, of the residual's element type; in the residual's memory when nothing else holds it.
    public func callAsFunction(
        _ x: Tensor, addedTo residual: consuming Tensor, in context: ComputeContext
    ) throws -> Tensor {
        var y = residual.draft(in: context)
        try run(x, into: &y, accumulating: true, in: context)
        return y.finished()
    }

    private func run(
        _ x: Tensor, into y: inout TensorDraft, accumulating: Bool, in context: ComputeContext
    ) throws {
        try context.measured(.linear, operations: operations(rows: x.rows)) {
            try context.backend.multiply(
                x.converted(in: context), by: weight, transposed: false, bias: bias?.vector(), into: &y,
                accumulating: accumulating, in: context)
        }
    }

    public func withPullback(_ x: Tensor, in context: ComputeContext) throws -> (y: Tensor, pullback: Pullback) {
        (try self(x, in: context), { dy in try gradient(dy, in: context) })
    }

    /// dx = dy W, in the context's element type.
    public func gradient(_ dy: Tensor, in context: ComputeContext) throws -> Tensor {
        try gradient(dy, as: context.elementType, in: context)
    }

    public func gradient(_ dy: Tensor, as type: ElementType, in context: ComputeContext) throws -> Tensor {
        var dx = TensorDraft(uninitialized: dy.shape.dropLast() + [inputs], as: type, in: context)
        try runBack(dy, into: &dx, accumulating: false, in: context)
        return dx.finished()
    }

    /// sum + dy W, of the sum's element type; in the sum's memory when nothing else holds it.
    public func gradient(
        _ dy: Tensor, addedTo sum: consuming Tensor, in context: ComputeContext
    ) throws -> Tensor {
        var dx = sum.draft(in: context)
        try runBack(dy, into: &dx, accumulating: true, in: context)
        return dx.finished()
    }

    private func runBack(
        _ dy: Tensor, into dx: inout TensorDraft, accumulating: Bool, in context: ComputeContext
    ) throws {
        try context.measured(.linear, operations: operations(rows: dy.rows)) {
            try context.backend.multiply(
                dy.converted(in: context), by: weight, transposed: true, bias: nil, into: &dx,
                accumulating: accumulating, in: context)
        }
    }

    private func operations(rows: Int) -> Double { 2 * Double(rows) * Double(weight.count) }

    public func work(rows: Int) -> Work {
        Work(
            linear: operations(rows: rows), parameters: weight.count + (bias?.count ?? 0),
            packedParameters: PackedWeights.pay(rows: rows, in: .float32) ? weight.count : 0,
            widestLayer: Double(rows) * Double(inputs + outputs))
    }
}
