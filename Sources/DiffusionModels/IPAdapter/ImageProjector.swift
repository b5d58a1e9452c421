import NeuralLayers
import TensorKernels

/// Makes tokens, as wide as a prompt's, of what the image encoder says of a picture: an IP-Adapter's `image_proj`.
public struct ImageProjector: Sendable {
    private enum Layers: Sendable {
        case linear(Linear)
        case full(Linear, Linear)
        case resampler(Resampler)
    }

    private let configuration: IPAdapterConfiguration
    private let layers: Layers
    private let norm: LayerNorm

    public init(_ configuration: IPAdapterConfiguration, weights: any WeightSource) {
        let scope = ParameterScope(weights)["image_proj"]
        let (inputs, outputs) = (configuration.encoderWidth, configuration.contextWidth)
        self.configuration = configuration
        switch configuration.kind {
        case .linear(let tokens):
            layers = .linear(Linear(scope["proj"], inputs: inputs, outputs: tokens * outputs))
            norm = LayerNorm(scope["norm"], channels: outputs)
        case .full:
            layers = .full(
                Linear(scope["proj.0"], inputs: inputs, outputs: inputs),
                Linear(scope["proj.2"], inputs: inputs, outputs: outputs))
            norm = LayerNorm(scope["proj.3"], channels: outputs)
        case .resampler(let resampler):
            layers = .resampler(Resampler(scope, resampler, inputs: inputs, outputs: outputs))
            norm = LayerNorm(scope["norm_out"], channels: outputs)
        }
    }

    /// `[tokens, width]` of the encoder's embedding `[1, width]` or its states `[tokens, width]`.
    func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        switch layers {
        case .linear(let linear):
            let y = try linear(x, in: context)
            let width = configuration.contextWidth
            return try norm(y.reshaped([y.count / width, width]), in: context)
        case .full(let first, let second):
            return try norm(second(Activation.gelu(try first(x, in: context), in: context), in: context), in: context)
        case .resampler(let resampler): return try norm(resampler(x, in: context), in: context)
        }
    }

    /// What the encoder gives of no picture, where that is known without asking it: zeros in place of an embedding.
    func ofNothing(in context: ComputeContext) -> Tensor? {
        guard case .linear = layers else { return nil }
        let width = configuration.encoderWidth
        return Tensor([Float](repeating: 0, count: width), shape: [1, width], in: context)
    }

    /// Whether the picture's embedding is what it sees, and not all states.
    var seesEmbedding: Bool { if case .linear = layers { true } else { false } }
}

/// Latents that ask a picture's states, layer by layer. IP-Adapter's `Resampler`, without its last norm.
struct Resampler: Sendable {
    private let latents: Weight
    private let shape: [Int]
    private let entry: Linear
    private let layers: [ResamplerLayer]
    private let exit: Linear

    init(_ scope: ParameterScope, _ configuration: ResamplerConfiguration, inputs: Int, outputs: Int) {
        let width = configuration.width
        shape = [configuration.latents, width]
        latents = scope.weight("latents", [1] + shape, as: shape)
        entry = Linear(scope["proj_in"], inputs: inputs, outputs: width)
        layers = (0..<configuration.layers).map { ResamplerLayer(scope["layers.\($0)"], configuration) }
        exit = Linear(scope["proj_out"], inputs: width, outputs: outputs)
    }

    func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        let states = try entry(x, in: context)
        var hidden = Tensor(latents.values(), shape: shape, in: context)
        for layer in layers { hidden = try layer(states, hidden, in: context) }
        return try exit(hidden, in: context)
    }
}

/// Attention of the latents to states and latents, then two linear layers, each with its residual.
private struct ResamplerLayer: Sendable {
    private let stateNorm: LayerNorm
    private let latentNorm: LayerNorm
    private let query: Linear
    private let key: Linear
    private let value: Linear
    private let output: Linear
    private let attention: ScaledDotProductAttention
    private let norm: LayerNorm
    private let expand: Linear
    private let contract: Linear

    init(_ scope: ParameterScope, _ configuration: ResamplerConfiguration) {
        let (width, channels) = (configuration.width, configuration.heads * ResamplerConfiguration.headWidth)
        let (attending, feeding) = (scope["0"], scope["1"])
        stateNorm = LayerNorm(attending["norm1"], channels: width)
        latentNorm = LayerNorm(attending["norm2"], channels: width)
        query = Linear(attending["to_q"], inputs: width, outputs: channels, bias: false)
        key = Linear(attending["to_k"], inputs: width, outputs: channels, bias: false)
        value = Linear(attending["to_v"], inputs: width, outputs: channels, bias: false)
        output = Linear(attending["to_out"], inputs: channels, outputs: width, bias: false)
        attention = ScaledDotProductAttention(heads: configuration.heads)
        norm = LayerNorm(feeding["0"], channels: width)
        expand = Linear(feeding["1"], inputs: width, outputs: configuration.inner, bias: false)
        contract = Linear(feeding["3"], inputs: configuration.inner, outputs: width, bias: false)
    }

    func callAsFunction(_ states: Tensor, _ latents: Tensor, in context: ComputeContext) throws -> Tensor {
        let normalized = try latentNorm(latents, in: context)
        let seen = try stateNorm(states, in: context).followed(by: normalized, in: context)
        let mixed = attention.forward(
            try query(normalized, in: context), try key(seen, in: context), try value(seen, in: context), in: context
        ).y
        let hidden = try output(mixed, addedTo: latents, in: context)
        let expanded = Activation.gelu(try expand(norm(hidden, in: context), in: context), in: context)
        return try contract(expanded, addedTo: hidden, in: context)
    }
}

extension Tensor {
    /// The rows of two tensors, one after the other.
    fileprivate func followed(by other: Tensor, in context: ComputeContext) -> Tensor {
        Tensor(floats + other.floats, shape: [rows + other.rows, columns], in: context)
    }
}
