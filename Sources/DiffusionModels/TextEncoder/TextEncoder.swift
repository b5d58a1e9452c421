import NeuralLayers
import TensorKernels

/// CLIP's text transformer. transformers' `CLIPTextModel`, its last hidden state.
public struct TextEncoder: Sendable {
    public let configuration: TextEncoderConfiguration
    private let tokenEmbedding: Weight
    private let positionEmbedding: Weight
    private let layers: [EncoderLayer]
    private let norm: LayerNorm

    /// - Parameter skippedLayers: how many of the last layers are left out; the final norm follows all the same.
    /// - Precondition: a layer is left.
    public init(_ configuration: TextEncoderConfiguration, skippedLayers: Int = 0, weights: any WeightSource) {
        precondition(
            (0..<configuration.layerCount).contains(skippedLayers), "of \(configuration.layerCount) layers one is left")
        let scope = ParameterScope(weights)
        let width = configuration.hiddenSize
        self.configuration = configuration
        tokenEmbedding = scope["embeddings.token_embedding"].weight("weight", [configuration.vocabularySize, width])
        positionEmbedding = scope["embeddings.position_embedding"].weight(
            "weight", [configuration.maximumPositions, width])
        layers = (0..<configuration.layerCount - skippedLayers).map {
            EncoderLayer(scope["encoder.layers.\($0)"], configuration)
        }
        norm = LayerNorm(scope["final_layer_norm"], channels: width, epsilon: configuration.normEpsilon)
    }

    /// Whether a chunk has no more tokens than positions, one at least, and each is known: by the vocabulary, or as one
    /// of the chunk's own vectors.
    public func canRead(_ chunk: TokenChunk) -> Bool {
        let (rows, rest) = chunk.vectors.count.quotientAndRemainder(dividingBy: configuration.hiddenSize)
        return (1...configuration.maximumPositions).contains(chunk.ids.count) && rest == 0
            && chunk.ids.allSatisfy { (0..<configuration.vocabularySize + rows).contains(Int($0)) }
    }

    /// The states `[tokens, width]` of a chunk, row-major.
    ///
    /// - Precondition: `canRead(chunk)`.
    public func callAsFunction(_ chunk: TokenChunk, in context: ComputeContext) throws -> [Float] {
        precondition(canRead(chunk), "a chunk's tokens are the vocabulary's or its own")
        let width = configuration.hiddenSize
        let tokens = tokenEmbedding.values()
        let positions = positionEmbedding.values()
        var values: [Float] = []
        for (position, id) in chunk.ids.enumerated() {
            let row = Int(id) - configuration.vocabularySize
            let token =
                row < 0
                ? tokens[Int(id) * width..<(Int(id) + 1) * width] : chunk.vectors[row * width..<(row + 1) * width]
            values += zip(token, positions[position * width..<(position + 1) * width]).map { $0 + $1 }
        }
        var hidden = Tensor(values, shape: [chunk.ids.count, width], in: context)
        for layer in layers { hidden = try layer(hidden, in: context) }
        return try norm(hidden, in: context).floats
    }
}

/// transformers' `CLIPEncoderLayer`: attention to the tokens so far, then two linear layers, each with its residual.
private struct EncoderLayer: Sendable {
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

    init(_ scope: ParameterScope, _ configuration: TextEncoderConfiguration) {
        let width = configuration.hiddenSize
        let inner = configuration.intermediateSize
        norm1 = LayerNorm(scope["layer_norm1"], channels: width, epsilon: configuration.normEpsilon)
        query = Linear(scope["self_attn.q_proj"], inputs: width, outputs: width)
        key = Linear(scope["self_attn.k_proj"], inputs: width, outputs: width)
        value = Linear(scope["self_attn.v_proj"], inputs: width, outputs: width)
        output = Linear(scope["self_attn.out_proj"], inputs: width, outputs: width)
        attention = ScaledDotProductAttention(heads: configuration.headCount)
        norm2 = LayerNorm(scope["layer_norm2"], channels: width, epsilon: configuration.normEpsilon)
        expand = Linear(scope["mlp.fc1"], inputs: width, outputs: inner)
        activation = configuration.activation == .gelu ? .gelu : .quickGELU
        contract = Linear(scope["mlp.fc2"], inputs: inner, outputs: width)
    }

    func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        let normalized = try norm1(x, in: context)
        let mixed = attention.forward(
            try query(normalized, in: context), try key(normalized, in: context), try value(normalized, in: context),
            mask: .causal, in: context
        ).y
        let hidden = try output(mixed, addedTo: x, in: context)
        let expanded = activation(try expand(norm2(hidden, in: context), in: context), in: context)
        return try contract(expanded, addedTo: hidden, in: context)
    }
}
