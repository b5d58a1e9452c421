import NeuralLayers
import TensorKernels

/// One step down the ladder: what comes out is also a skip.
enum DownUnit: Sendable {
    case input(Convolution2D)
    case block(ResidualBlock, SpatialTransformer?)
    case downsample(Downsampler)

    /// How each of them is made, from the top, as diffusers' `conv_in` and `down_blocks` have them: a stage makes its
    /// own alone, so that it asks for no other weights.
    static func makers(_ scope: ParameterScope, _ configuration: UNetConfiguration) -> [() -> DownUnit] {
        let shape = UNetShape(configuration)
        var makers: [() -> DownUnit] = [
            {
                .input(
                    .sameSize(
                        scope["conv_in"], inputs: configuration.inputChannels, outputs: configuration.blockChannels[0]))
            }
        ]
        for block in 0..<shape.blocks {
            let scope = scope["down_blocks.\(block)"]
            for layer in 0..<configuration.layersPerBlock[block] {
                let inputs = layer == 0 ? shape.channels(max(0, block - 1)) : shape.channels(block)
                makers.append {
                    .block(
                        shape.residual(scope["resnets.\(layer)"], inputs: inputs, outputs: shape.channels(block)),
                        configuration.downBlockTypes[block] == .crossAttention
                            ? shape.transformer(scope["attentions.\(layer)"], block: block) : nil)
                }
            }
            if block < shape.blocks - 1 {
                makers.append { .downsample(Downsampler(scope["downsamplers.0"], channels: shape.channels(block))) }
            }
        }
        return makers
    }

    func callAsFunction(
        _ x: Tensor, _ conditioning: Conditioning, in context: ComputeContext
    ) throws -> Tensor {
        switch self {
        case .input(let convolution): return try convolution(x, in: context)
        case .downsample(let downsampler): return try downsampler(x, in: context)
        case .block(let residual, let transformer):
            let hidden = try residual(x, time: conditioning.time, in: context)
            return try transformer?(hidden, conditioning, in: context) ?? hidden
        }
    }

    func withPullback(
        _ x: Tensor, _ conditioning: Conditioning, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: NeuralLayers.Pullback) {
        switch self {
        case .input(let convolution): return try convolution.withPullback(x, in: context)
        case .downsample(let downsampler): return try downsampler.withPullback(x, in: context)
        case .block(let residual, let transformer):
            return try chained(residual, transformer, x, conditioning, in: context)
        }
    }
}

/// One step up: takes the hidden state and a skip.
struct UpUnit: Sendable {
    let residual: ResidualBlock
    let transformer: SpatialTransformer?
    let upsampler: Upsampler?

    /// dy to the gradients of the hidden state and of the skip.
    typealias Pullback = (Tensor) throws -> (hidden: Tensor, skip: Tensor)

    /// How each of them is made, from the bottom, as diffusers' `up_blocks` have them.
    static func makers(_ scope: ParameterScope, _ configuration: UNetConfiguration) -> [() -> UpUnit] {
        let shape = UNetShape(configuration)
        var makers: [() -> UpUnit] = []
        for index in 0..<shape.blocks {
            let scope = scope["up_blocks.\(index)"]
            let block = shape.blocks - 1 - index
            let layers = configuration.layersPerBlock[block] + 1
            for layer in 0..<layers {
                let isLast = layer == layers - 1
                let hidden = layer == 0 ? shape.channels(min(shape.blocks - 1, block + 1)) : shape.channels(block)
                let skip = isLast ? shape.channels(max(0, block - 1)) : shape.channels(block)
                makers.append {
                    UpUnit(
                        residual: shape.residual(
                            scope["resnets.\(layer)"], inputs: hidden + skip, outputs: shape.channels(block)),
                        transformer: configuration.upBlockTypes[index] == .crossAttention
                            ? shape.transformer(scope["attentions.\(layer)"], block: block) : nil,
                        upsampler: isLast && block > 0
                            ? Upsampler(scope["upsamplers.0"], channels: shape.channels(block)) : nil)
                }
            }
        }
        return makers
    }

    /// - Parameter next: the shape of the next skip, whose size an upsampler aims at: sides need not be multiples of
    ///   the total downsampling.
    func callAsFunction(
        _ x: Tensor, skip: Tensor, next: [Int]?, _ conditioning: Conditioning, in context: ComputeContext
    ) throws -> Tensor {
        var hidden = try residual(
            x.concatenatingChannels(skip, in: context), time: conditioning.time, in: context)
        if let transformer { hidden = try transformer(hidden, conditioning, in: context) }
        guard let upsampler, let next else { return hidden }
        return try upsampler(hidden, height: next[0], width: next[1], in: context)
    }

    func withPullback(
        _ x: Tensor, skip: Tensor, next: [Int]?, _ conditioning: Conditioning, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: Pullback) {
        var (hidden, throughBlocks) = try chained(
            residual, transformer, x.concatenatingChannels(skip, in: context), conditioning, in: context)
        var throughUpsampler: NeuralLayers.Pullback?
        if let upsampler, let next {
            (hidden, throughUpsampler) = try upsampler.withPullback(
                hidden, height: next[0], width: next[1], in: context)
        }
        let (channels, skipChannels, upsampling) = (x.columns, skip.columns, throughUpsampler)
        return (
            hidden,
            { dy in
                let both = try throughBlocks(upsampling?(dy) ?? dy)
                return (
                    both.channels(0..<channels, in: context),
                    both.channels(channels..<channels + skipChannels, in: context)
                )
            }
        )
    }
}

/// A residual block and the transformer after it, where there is one.
private func chained(
    _ residual: ResidualBlock, _ transformer: SpatialTransformer?, _ x: Tensor, _ conditioning: Conditioning,
    in context: ComputeContext
) throws -> (y: Tensor, pullback: Pullback) {
    let first = try residual.withPullback(x, time: conditioning.time, in: context)
    guard let transformer else { return first }
    let second = try transformer.withPullback(first.y, conditioning, in: context)
    return (second.y, { dy in try first.pullback(second.pullback(dy)) })
}

/// The bottom of the ladder. diffusers' `UNetMidBlock2DCrossAttn`.
struct Middle: Sendable {
    let first: ResidualBlock
    let transformer: SpatialTransformer
    let second: ResidualBlock

    init(_ scope: ParameterScope, _ configuration: UNetConfiguration) {
        let shape = UNetShape(configuration)
        let channels = shape.channels(shape.blocks - 1)
        first = shape.residual(scope["resnets.0"], inputs: channels, outputs: channels)
        transformer = shape.transformer(scope["attentions.0"], block: shape.blocks - 1)
        second = shape.residual(scope["resnets.1"], inputs: channels, outputs: channels)
    }

    func callAsFunction(_ x: Tensor, _ conditioning: Conditioning, in context: ComputeContext) throws -> Tensor {
        let hidden = try transformer(first(x, time: conditioning.time, in: context), conditioning, in: context)
        return try second(hidden, time: conditioning.time, in: context)
    }

    func withPullback(
        _ x: Tensor, _ conditioning: Conditioning, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: NeuralLayers.Pullback) {
        let start = try chained(first, transformer, x, conditioning, in: context)
        let end = try second.withPullback(start.y, time: conditioning.time, in: context)
        return (end.y, { dy in try start.pullback(end.pullback(dy)) })
    }
}

/// The last layers: norm, SiLU, convolution to the output channels.
struct Head: Layer {
    let norm: GroupNorm
    let convolution: Convolution2D

    init(_ scope: ParameterScope, _ configuration: UNetConfiguration) {
        let channels = configuration.blockChannels[0]
        norm = GroupNorm(
            scope["conv_norm_out"], channels: channels, groups: configuration.normGroups,
            epsilon: configuration.normEpsilon, silu: true)
        convolution = .sameSize(scope["conv_out"], inputs: channels, outputs: configuration.outputChannels)
    }

    func callAsFunction(_ x: Tensor, in context: ComputeContext) throws -> Tensor {
        let window = convolution.window(of: x, in: context)
        return try convolution(norm(x, for: window, in: context), through: window, in: context)
    }

    func withPullback(
        _ x: Tensor, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: NeuralLayers.Pullback) {
        let (normalized, throughNorm) = try norm.withPullback(x, in: context)
        let (y, throughConvolution) = try convolution.withPullback(normalized, in: context)
        return (y, { dy in try throughNorm(throughConvolution(dy)) })
    }
}

/// The sizes that a configuration gives to the parts of one resolution.
private struct UNetShape {
    let configuration: UNetConfiguration

    init(_ configuration: UNetConfiguration) { self.configuration = configuration }

    var blocks: Int { configuration.blockChannels.count }

    /// - Parameter block: 0 at the full resolution of the latent.
    func channels(_ block: Int) -> Int { configuration.blockChannels[block] }

    func residual(_ scope: ParameterScope, inputs: Int, outputs: Int) -> ResidualBlock {
        ResidualBlock(
            scope, inputs: inputs, outputs: outputs, timeWidth: configuration.timeEmbeddingDimension,
            groups: configuration.normGroups, epsilon: configuration.normEpsilon)
    }

    func transformer(_ scope: ParameterScope, block: Int) -> SpatialTransformer {
        SpatialTransformer(
            scope, channels: channels(block), contextWidth: configuration.crossAttentionDimension,
            heads: configuration.headCounts[block], depth: configuration.transformerLayers[block],
            groups: configuration.normGroups)
    }
}
