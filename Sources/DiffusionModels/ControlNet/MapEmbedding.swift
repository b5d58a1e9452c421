import NeuralLayers
import TensorKernels

/// Brings a control map to the latent's size and the net's channels. diffusers' `ControlNetConditioningEmbedding`.
///
/// No gradient goes through it: the map is the user's.
struct MapEmbedding: Sendable {
    /// The SiLU follows each but the last.
    private let convolutions: [Convolution2D]

    init(_ scope: ParameterScope, _ configuration: ControlNetConfiguration) {
        let channels = configuration.embeddingChannels
        var convolutions: [Convolution2D] = [
            .sameSize(scope["conv_in"], inputs: ControlNetConfiguration.mapChannels, outputs: channels[0])
        ]
        for (index, (inputs, outputs)) in zip(channels, channels.dropFirst()).enumerated() {
            convolutions.append(.sameSize(scope["blocks.\(2 * index)"], inputs: inputs, outputs: inputs))
            convolutions.append(
                Convolution2D(
                    scope["blocks.\(2 * index + 1)"],
                    geometry: ConvolutionGeometry(
                        inputs: inputs, outputs: outputs, kernel: 3, stride: 2, before: 1, after: 1)))
        }
        convolutions.append(
            .sameSize(
                scope["conv_out"], inputs: channels[channels.count - 1],
                outputs: configuration.encoder.blockChannels[0]))
        self.convolutions = convolutions
    }

    /// `[h, w, channels]` of a map `[H, W, 3]` in [0, 1], in float32: it is computed once for a job.
    func callAsFunction(_ map: Tensor, in context: ComputeContext) throws -> Tensor {
        let context = context.with(elementType: .float32)
        var hidden = map
        for convolution in convolutions.dropLast() {
            hidden = Activation.silu(try convolution(hidden, in: context), in: context)
        }
        return try convolutions[convolutions.count - 1](hidden, in: context)
    }
}
