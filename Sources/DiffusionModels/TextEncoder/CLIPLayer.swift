import NeuralLayers
import TensorKernels

/// A layer of CLIP's transformers, for texts and for pictures: attention, then two linear layers, each with its residual.
/// transformers' `CLIPEncoderLayer`.
struct CLIPLayer: Sendable {
    private let norm1: LayerNorm
    private let query: Linear
    private let key: Linear
    private let value: Linear
    private let output: Linear
    private let attention: ScaledDotProductAttention
    private let norm2: LayerNorm
    private let expand: Linear
    private let activation: Activation
    private let contract: Linear

    init(
        _ scope: ParameterScope, width: Int, inner: Int, heads: Int, epsilon: Float,
        activation: TextEncoderConfiguration.Activation
    ) {
        norm1 = LayerNorm(scope["layer_norm1"], channels: width, epsilon: epsilon)
        query = Linear(scope["self_attn.q_proj"], inputs: width, outputs: width)
        key = Linear(scope["self_attn.k_proj"], inputs: width, outputs: width)
        value = Linear(scope["self_attn.v_proj"], inputs: width, outputs: width)
        output = Linear(scope["self_attn.out_proj"], inputs: width, outputs: width)
        attention = ScaledDotProductAttention(heads: heads)
        norm2 = LayerNorm(scope["layer_norm2"], channels: width, epsilon: epsilon)
        expand = Linear(scope["mlp.fc1"], inputs: width, outputs: inner)
        self.activation = activation == .gelu ? .gelu : .quickGELU
        contract = Linear(scope["mlp.fc2"], inputs: inner, outputs: width)
    }

    /// - Parameter mask: which tokens a token sees; nil for all.
    func callAsFunction(_ x: Tensor, mask: AttentionMask?, in context: ComputeContext) throws -> Tensor {
        let normalized = try norm1(x, in: context)
        let mixed = attention.forward(
            try query(normalized, in: context), try key(normalized, in: context), try value(normalized, in: context),
            mask: mask, in: context
        ).y
        let hidden = try output(mixed, addedTo: x, in: context)
        let expanded = activation(try expand(norm2(hidden, in: context), in: context), in: context)
        return try contract(expanded, addedTo: hidden, in: context)
    }
}
