import NeuralLayers
import TensorKernels

/// CLIP's text transformer. transformers' `CLIPTextModel`, its last hidden state.
public struct TextEncoder: Sendable {
    public let configuration: TextEncoderConfiguration
    private let tokenEmbedding: Weight
    private let positionEmbedding: Weight
    private let layers: [CLIPLayer]
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
            CLIPLayer(
                scope["encoder.layers.\($0)"], width: width, inner: configuration.intermediateSize,
                heads: configuration.headCount, epsilon: configuration.normEpsilon,
                activation: configuration.activation)
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
        for layer in layers { hidden = try layer(hidden, mask: .causal, in: context) }
        return try norm(hidden, in: context).floats
    }
}
