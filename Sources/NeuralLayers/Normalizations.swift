import TensorKernels

/// Group normalisation, followed by SiLU where the networks have it. `torch.nn.GroupNorm`.
public struct GroupNorm: Layer {
    private let weight: Weight
    private let bias: Weight
    private let normalization: GroupNormalization

    public init(_ scope: ParameterScope, channels: Int, groups: Int, epsilon: Float, silu: Bool = false) {
        weight = scope.weight("weight", [channels])
        bias = scope.weight("bias", [channels])
        normalization = GroupNormalization(groups: groups, epsilon: epsilon, silu: silu)
    }

    public func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        try self(x, for: nil, in: context)
    }

    public func withPullback(_ x: Tensor, in context: ComputeContext) throws -> (y: Tensor, pullback: Pullback) {
        try withPullback(x, for: nil, in: context)
    }

    /// - Parameter window: of the convolution that reads the value: with the rows that it reads besides.
    public func callAsFunction(_ x: Tensor, for window: StripWindow?, in context: ComputeContext) throws -> Tensor {
        try normalization.forward(x, weight: weight.vector(), bias: bias.vector(), for: window, in: context).y
    }

    /// The pullback takes the gradient of the rows of x alone.
    public func withPullback(
        _ x: Tensor, for window: StripWindow?, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: Pullback) {
        let weight = weight.vector()
        let (y, statistics) = try normalization.forward(
            x, weight: weight, bias: bias.vector(), for: window, in: context)
        return (
            y, { dy in try normalization.gradient(x, dy, weight: weight, statistics: statistics, in: context) }
        )
    }

    /// For an input of `positions` rows.
    ///
    /// - Parameter isOfSum: whether the input is one of the sums that are float32 in any format.
    public func work(positions: Int, isOfSum: Bool = true) -> Work {
        .kept(positions: positions, channels: weight.count, isSum: isOfSum)
            + Work(parameters: weight.count + bias.count, exchanges: 1)
    }
}

/// Layer normalisation of every row. `torch.nn.LayerNorm`.
public struct LayerNorm: Layer {
    private let weight: Weight
    private let bias: Weight
    private let epsilon: Float

    public init(_ scope: ParameterScope, channels: Int, epsilon: Float = 1e-5) {
        weight = scope.weight("weight", [channels])
        bias = scope.weight("bias", [channels])
        self.epsilon = epsilon
    }

    public func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        LayerNormalization.forward(
            x, weight: weight.vector(), bias: bias.vector(), epsilon: epsilon, in: context)
    }

    public func withPullback(_ x: Tensor, in context: ComputeContext) throws -> (y: Tensor, pullback: Pullback) {
        let weight = weight.vector()
        return (
            try self(x, in: context),
            { dy in LayerNormalization.gradient(x, dy, weight: weight, epsilon: epsilon, in: context) }
        )
    }

    /// For an input of `positions` rows.
    public func work(positions: Int) -> Work {
        .kept(positions: positions, channels: weight.count, isSum: true)
            + Work(parameters: weight.count + bias.count)
    }
}
