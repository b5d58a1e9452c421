import TensorKernels

/// The GEGLU feed-forward of a transformer block, with its residual: x + W2 (a gelu(g)) for (a, g) = W1 n, where n is
/// the normalised x. diffusers' `FeedForward` with `activation_fn="geglu"`: keys `net.0.proj` and `net.2`.
public struct FeedForward: Sendable {
    private let expand: Linear
    private let contract: Linear

    public init(_ scope: ParameterScope, channels: Int) {
        expand = Linear(scope["net.0.proj"], inputs: channels, outputs: 8 * channels)
        contract = Linear(scope["net.2"], inputs: 4 * channels, outputs: channels)
    }

    /// The value for `normalized`, added to `residual`; in the residual's memory when nothing else holds it.
    public func callAsFunction(
        _ normalized: Tensor, addedTo residual: consuming Tensor, in context: ComputeContext
    ) throws -> Tensor {
        let gated = GatedGELU.forward(try expand(normalized, in: context), in: context)
        return try contract(gated, addedTo: residual, in: context)
    }

    /// The pullback gives the gradient with respect to `normalized`; that of `residual` is dy itself.
    public func withPullback(
        _ normalized: Tensor, addedTo residual: consuming Tensor, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: Pullback) {
        let expanded = try expand(normalized, in: context)
        let y = try contract(GatedGELU.forward(expanded, in: context), addedTo: residual, in: context)
        return (
            y,
            { dy in
                let gated = try contract.gradient(dy, in: context)
                return try expand.gradient(GatedGELU.gradient(expanded, gated, in: context), in: context)
            }
        )
    }

    public func work(positions: Int) -> Work {
        expand.work(rows: positions) + contract.work(rows: positions)
            + .kept(positions: positions, channels: expand.outputs)
    }
}
