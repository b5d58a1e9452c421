import Failures
import NeuralLayers
import TensorKernels

/// The autoencoder between pictures and latents. diffusers' `AutoencoderKL`.
public struct Autoencoder: Sendable {
    public let configuration: VAEConfiguration
    private let encoder: Encoder
    private let quantize: Linear?
    private let postQuantize: Linear?
    private let decoder: Decoder

    public init(_ configuration: VAEConfiguration, weights: any WeightSource) {
        let scope = ParameterScope(weights)
        let latent = configuration.latentChannels
        self.configuration = configuration
        encoder = Encoder(scope["encoder"], configuration)
        quantize =
            configuration.usesQuantConvolution
            ? Linear(scope["quant_conv"], inputs: 2 * latent, outputs: 2 * latent) : nil
        postQuantize =
            configuration.usesPostQuantConvolution
            ? Linear(scope["post_quant_conv"], inputs: latent, outputs: latent) : nil
        decoder = Decoder(scope["decoder"], configuration)
    }

    /// The posterior's mean times the scaling factor: z_in of the method.
    ///
    /// - Parameter image: RGB in [-1, 1], channels first, `[3, height, width]`.
    /// - Precondition: both sides are multiples of `configuration.downsamplingFactor`.
    public func encode(_ image: [Float], height: Int, width: Int, in context: ComputeContext) throws -> Latent {
        try encoding(image, height: height, width: width, in: context).finished()
    }

    /// RGB about [-1, 1], not clamped, channels first, `[3, height, width]` of the picture.
    public func decode(_ latent: Latent, in context: ComputeContext) throws -> [Float] {
        try decoding(latent, in: context).finished()
    }

    /// `encode`, layer by layer; of a picture in strips each rank computes its rows, and all get the latent.
    public func encoding(
        _ image: [Float], height: Int, width: Int, in context: ComputeContext
    ) -> LayeredRun<Latent> {
        let factor = configuration.downsamplingFactor
        precondition(height % factor == 0 && width % factor == 0, "\(width)x\(height) is no multiple of \(factor)")
        var parts = encoder.parts
        if let quantize { parts.append { x, context in try quantize(x, in: context) } }
        let picture = Tensor(planes: image, channels: 3, height: height, width: width, in: context)
        return LayeredRun(context.ownRows(of: picture), parts, in: context) { [configuration] moments in
            let mean = try context.gathered(moments).channels(0..<configuration.latentChannels, in: context)
            return Latent(
                channels: configuration.latentChannels, height: mean.shape[0], width: mean.shape[1],
                values: mean.planes.map { $0 * configuration.scalingFactor })
        }
    }

    /// `decode`, layer by layer; of a picture in strips each rank computes its rows, and all get the whole.
    public func decoding(_ latent: Latent, in context: ComputeContext) -> LayeredRun<[Float]> {
        let hidden = Tensor(
            planes: latent.values.map { $0 / configuration.scalingFactor }, channels: latent.channels,
            height: latent.height, width: latent.width, in: context)
        var parts = decoder.parts
        if let postQuantize { parts.insert({ x, context in try postQuantize(x, in: context) }, at: 0) }
        return LayeredRun(context.ownRows(of: hidden), parts, in: context) { try context.gathered($0).planes }
    }

    /// What encoding a picture of `height` x `width` costs.
    public func encodingWork(height: Int, width: Int) -> Work {
        let factor = configuration.downsamplingFactor
        let moments = quantize?.work(rows: (height / factor) * (width / factor)) ?? Work()
        return encoder.work(height: height, width: width) + moments.asConvolutions
    }

    /// What decoding to a picture of `height` x `width` costs.
    public func decodingWork(height: Int, width: Int) -> Work {
        let factor = configuration.downsamplingFactor
        let (height, width) = (height / factor, width / factor)
        let latent = postQuantize?.work(rows: height * width) ?? Work()
        return decoder.work(height: height, width: width) + latent.asConvolutions
    }
}

/// diffusers' `Encoder`.
private struct Encoder: Sendable {
    private let input: Convolution2D
    private let levels: [(blocks: [ResidualBlock], downsampler: Downsampler?)]
    private let middle: MiddleBlock
    private let norm: GroupNorm
    private let output: Convolution2D

    init(_ scope: ParameterScope, _ configuration: VAEConfiguration) {
        let channels = configuration.blockChannels
        let last = channels.count - 1
        input = .sameSize(scope["conv_in"], inputs: VAEConfiguration.imageChannels, outputs: channels[0])
        levels = channels.indices.map { level in
            let scope = scope["down_blocks.\(level)"]
            return (
                (0..<configuration.layersPerBlock).map { layer in
                    ResidualBlock(
                        scope["resnets.\(layer)"], inputs: layer == 0 ? channels[max(0, level - 1)] : channels[level],
                        outputs: channels[level], configuration)
                },
                level < last ? Downsampler(scope["downsamplers.0"], channels: channels[level], asymmetric: true) : nil
            )
        }
        middle = MiddleBlock(scope["mid_block"], channels: channels[last], configuration)
        norm = GroupNorm(
            scope["conv_norm_out"], channels: channels[last], groups: configuration.normGroups, epsilon: 1e-6,
            silu: true)
        output = .sameSize(scope["conv_out"], inputs: channels[last], outputs: 2 * configuration.latentChannels)
    }

    var parts: [LayeredPart] {
        var parts: [LayeredPart] = [{ [input] x, context in try input(x, in: context) }]
        for (blocks, downsampler) in levels {
            for block in blocks { parts.append { x, context in try block(x, time: nil, in: context) } }
            if let downsampler { parts.append { x, context in try downsampler(x, in: context) } }
        }
        return parts + middle.parts + [Self.last(norm, output)]
    }

    /// The last norm and convolution, the decoder's, too.
    static func last(_ norm: GroupNorm, _ output: Convolution2D) -> LayeredPart {
        { x, context in
            let window = output.window(of: x, in: context)
            return try output(norm(x, for: window, in: context), through: window, in: context)
        }
    }

    func work(height: Int, width: Int) -> Work {
        var (height, width) = (height, width)
        var work = input.work(height: height, width: width)
        for (blocks, downsampler) in levels {
            for block in blocks { work += block.work(height: height, width: width) }
            guard let downsampler else { continue }
            work += downsampler.work(height: height, width: width)
            (height, width) = (downsampler.output(of: height), downsampler.output(of: width))
        }
        work += middle.work(height: height, width: width) + norm.work(positions: height * width)
        return work + output.work(height: height, width: width)
    }
}

/// diffusers' `Decoder`.
private struct Decoder: Sendable {
    private let input: Convolution2D
    private let middle: MiddleBlock
    private let levels: [(blocks: [ResidualBlock], upsampler: Upsampler?)]
    private let norm: GroupNorm
    private let output: Convolution2D

    init(_ scope: ParameterScope, _ configuration: VAEConfiguration) {
        let channels = Array(configuration.blockChannels.reversed())
        let last = channels.count - 1
        input = .sameSize(scope["conv_in"], inputs: configuration.latentChannels, outputs: channels[0])
        middle = MiddleBlock(scope["mid_block"], channels: channels[0], configuration)
        levels = channels.indices.map { level in
            let scope = scope["up_blocks.\(level)"]
            return (
                (0...configuration.layersPerBlock).map { layer in
                    ResidualBlock(
                        scope["resnets.\(layer)"], inputs: layer == 0 ? channels[max(0, level - 1)] : channels[level],
                        outputs: channels[level], configuration)
                },
                level < last ? Upsampler(scope["upsamplers.0"], channels: channels[level]) : nil
            )
        }
        norm = GroupNorm(
            scope["conv_norm_out"], channels: channels[last], groups: configuration.normGroups, epsilon: 1e-6,
            silu: true)
        output = .sameSize(scope["conv_out"], inputs: channels[last], outputs: VAEConfiguration.imageChannels)
    }

    var parts: [LayeredPart] {
        var parts: [LayeredPart] = [{ [input] x, context in try input(x, in: context) }]
        parts += middle.parts
        for (blocks, upsampler) in levels {
            for block in blocks { parts.append { x, context in try block(x, time: nil, in: context) } }
            guard let upsampler else { continue }
            parts.append { x, context in
                try upsampler(x, height: 2 * x.shape[0], width: 2 * x.shape[1], in: context)
            }
        }
        return parts + [Encoder.last(norm, output)]
    }

    func work(height: Int, width: Int) -> Work {
        var (height, width) = (height, width)
        var work = input.work(height: height, width: width) + middle.work(height: height, width: width)
        for (blocks, upsampler) in levels {
            for block in blocks { work += block.work(height: height, width: width) }
            guard let upsampler else { continue }
            (height, width) = (2 * height, 2 * width)
            work += upsampler.work(height: height, width: width)
        }
        work += norm.work(positions: height * width)
        return work + output.work(height: height, width: width)
    }
}

/// diffusers' `UNetMidBlock2D`: a residual block, one head of attention, a residual block.
private struct MiddleBlock: Sendable {
    private let first: ResidualBlock
    private let attention: (norm: GroupNorm, layer: SelfAttention)?
    private let second: ResidualBlock

    init(_ scope: ParameterScope, channels: Int, _ configuration: VAEConfiguration) {
        first = ResidualBlock(scope["resnets.0"], inputs: channels, outputs: channels, configuration)
        attention =
            configuration.hasMiddleAttention
            ? (
                GroupNorm(
                    scope["attentions.0.group_norm"], channels: channels, groups: configuration.normGroups,
                    epsilon: 1e-6),
                SelfAttention(scope["attentions.0"], channels: channels, heads: 1, projectionBias: true)
            ) : nil
        second = ResidualBlock(scope["resnets.1"], inputs: channels, outputs: channels, configuration)
    }

    var parts: [LayeredPart] {
        var parts: [LayeredPart] = [{ [first] x, context in try first(x, time: nil, in: context) }]
        if let attention {
            parts.append { x, context in
                try attention.layer(attention.norm(x, in: context), addedTo: x, mask: nil, in: context)
            }
        }
        return parts + [{ [second] x, context in try second(x, time: nil, in: context) }]
    }

    func work(height: Int, width: Int) -> Work {
        first.work(height: height, width: width) + second.work(height: height, width: width)
            + (attention.map { $0.norm.work(positions: height * width) + $0.layer.work(positions: height * width) }
                ?? Work())
    }
}

extension ResidualBlock {
    /// A block of an autoencoder: no time, epsilon 1e-6.
    fileprivate init(_ scope: ParameterScope, inputs: Int, outputs: Int, _ configuration: VAEConfiguration) {
        self.init(
            scope, inputs: inputs, outputs: outputs, timeWidth: nil, groups: configuration.normGroups, epsilon: 1e-6)
    }
}
