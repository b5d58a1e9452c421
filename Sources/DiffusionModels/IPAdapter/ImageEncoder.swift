import NeuralLayers
import TensorKernels

/// CLIP's transformer for pictures. transformers' `CLIPVisionModelWithProjection`.
///
/// It computes in float32, as a text encoder does, and no gradient goes through it: the picture is the user's.
public struct ImageEncoder: Sendable {
    public let configuration: ImageEncoderConfiguration
    private let pictureToken: Weight
    private let patches: Linear
    private let positions: Weight
    private let before: LayerNorm
    private let layers: [CLIPLayer]
    private let after: LayerNorm
    private let projection: Linear

    public init(_ configuration: ImageEncoderConfiguration, weights: any WeightSource) {
        let scope = ParameterScope(weights)
        let width = configuration.hiddenSize
        self.configuration = configuration
        pictureToken = scope["embeddings"].weight("class_embedding", [width])
        patches = Linear(
            squares: scope["embeddings.patch_embedding"], channels: ImageEncoderConfiguration.imageChannels,
            side: configuration.patchSize, outputs: width)
        positions = scope["embeddings.position_embedding"].weight("weight", [configuration.tokens, width])
        // The files spell it so.
        before = LayerNorm(scope["pre_layrnorm"], channels: width, epsilon: configuration.normEpsilon)
        layers = (0..<configuration.layerCount).map {
            CLIPLayer(
                scope["encoder.layers.\($0)"], width: width, inner: configuration.intermediateSize,
                heads: configuration.headCount, epsilon: configuration.normEpsilon,
                activation: configuration.activation)
        }
        after = LayerNorm(scope["post_layernorm"], channels: width, epsilon: configuration.normEpsilon)
        projection = Linear(
            scope["visual_projection"], inputs: width, outputs: configuration.projectionDimension, bias: false)
    }

    /// The states `[tokens, width]` that the last layer would take, layer by layer.
    ///
    /// - Parameter picture: `[3, S, S]` in the encoder's own colours (`normalized`), S the configuration's side.
    func penultimateStates(of picture: Latent, in context: ComputeContext) -> LayeredRun<Tensor> {
        run(picture, layers.dropLast(), in: context)
    }

    /// The picture's embedding `[1, projection]`, layer by layer.
    func embedding(of picture: Latent, in context: ComputeContext) -> LayeredRun<Tensor> {
        run(picture, layers[...], in: context) { [after, projection, configuration] states, context in
            let token = Tensor(
                Array(states.floats.prefix(configuration.hiddenSize)), shape: [1, configuration.hiddenSize], in: context
            )
            return try projection(after(token, in: context), in: context)
        }
    }

    private func run(
        _ picture: Latent, _ layers: ArraySlice<CLIPLayer>, in context: ComputeContext, ending: LayeredPart? = nil
    ) -> LayeredRun<Tensor> {
        let side = configuration.imageSize
        precondition(picture.shape == [ImageEncoderConfiguration.imageChannels, side, side], "\(picture.shape)")
        let context = context.with(elementType: .float32)
        let squares = Tensor(
            unshuffling: picture.values, channels: picture.channels, height: side, width: side,
            factor: configuration.patchSize, in: context)
        let parts: [LayeredPart] =
            [{ try embedded($0, in: $1) }] + layers.map { layer in { try layer($0, mask: nil, in: $1) } }
            + [ending].compactMap { $0 }
        return LayeredRun(
            squares.reshaped([squares.rows, squares.columns]), parts, in: context, output: { $0 })
    }

    /// The tokens as they go into the first layer.
    private func embedded(_ squares: Tensor, in context: ComputeContext) throws -> Tensor {
        let tokens = pictureToken.values() + (try patches(squares, in: context)).floats
        let values = zip(tokens, positions.values()).map { $0 + $1 }
        let width = configuration.hiddenSize
        return try before(Tensor(values, shape: [values.count / width, width], in: context), in: context)
    }

    /// Planes in the encoder's own colours, of ones in [0, 1], red, green and blue.
    public static func normalized(_ planes: Latent) -> Latent {
        var result = planes
        for index in result.values.indices {
            let channel = index / planes.planeCount
            result.values[index] = (planes.values[index] - means[channel]) / deviations[channel]
        }
        return result
    }

    /// Of CLIP's training pictures.
    private static let means: [Float] = [0.48145466, 0.4578275, 0.40821073]
    private static let deviations: [Float] = [0.26862954, 0.26130258, 0.27577711]
}

extension ImageEncoderConfiguration {
    /// What a picture costs.
    public var work: Work {
        let weights = RecordingWeights()
        _ = ImageEncoder(self, weights: weights)
        let (rows, width, inner) = (Double(tokens), Double(hiddenSize), Double(intermediateSize))
        return Work(
            linear: Double(layerCount) * 2 * rows * (4 * width * width + 2 * width * inner),
            attention: Double(layerCount) * 4 * rows * rows * width, parameters: weights.parameterCount,
            widestLayer: rows * (width + inner))
    }
}
