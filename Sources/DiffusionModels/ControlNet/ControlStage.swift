import NeuralLayers
import TensorKernels

/// The part of a ControlNet that belongs to consecutive rungs of the UNet's ladder. diffusers' `ControlNetModel`.
///
/// The net goes down beside the UNet, rung by rung: what it makes on a rung is added to that rung's skip. So a stage has
/// the net's layers of its own rungs, and only the net's hidden state goes on to the next.
public struct ControlStage: Sendable {
    public let configuration: ControlNetConfiguration
    public let rungs: Range<Int>
    let timeEmbedding: TimeEmbedding
    /// On the first stage.
    let embedding: MapEmbedding?
    let units: [Unit]
    /// On the last stage.
    let middle: Bottom?

    /// A unit of the way down, and the layer whose output is added to the skip.
    struct Unit: Sendable {
        let down: DownUnit
        let output: Linear
    }

    /// The middle, and the layer whose output is added to the UNet's.
    struct Bottom: Sendable {
        let middle: Middle
        let output: Linear
    }

    /// A share whose weights are read when they are first used; it asks for those of its own rungs alone, and for those
    /// of the net's time embedding.
    ///
    /// - Parameter rungs: of the UNet's ladder; all of them, unless given.
    public init(_ configuration: ControlNetConfiguration, rungs: Range<Int>? = nil, weights: any WeightSource) {
        let scope = ParameterScope(weights)
        let encoder = configuration.encoder
        let count = encoder.rungCount
        let rungs = rungs ?? 0..<count
        precondition(!rungs.isEmpty && rungs.lowerBound >= 0 && rungs.upperBound <= count, "no rungs \(rungs)")
        self.configuration = configuration
        self.rungs = rungs
        timeEmbedding = TimeEmbedding(scope["time_embedding"], encoder)
        embedding =
            rungs.lowerBound == 0 ? MapEmbedding(scope["controlnet_cond_embedding"], configuration) : nil
        let downs = DownUnit.makers(scope, encoder)
        let channels = encoder.skipChannels
        units = rungs.map { rung in
            Unit(
                down: downs[rung](),
                output: Linear(
                    scope["controlnet_down_blocks.\(rung)"], inputs: channels[rung], outputs: channels[rung]))
        }
        let bottom = encoder.blockChannels[encoder.blockChannels.count - 1]
        middle =
            rungs.upperBound == count
            ? Bottom(
                middle: Middle(scope["mid_block"], encoder),
                output: Linear(scope["controlnet_mid_block"], inputs: bottom, outputs: bottom)) : nil
    }

    /// What the net's residual blocks need to know of a timestep.
    public func timeMemory(timestep: Int, in context: ComputeContext) throws -> TimeMemory {
        try timeEmbedding(timestep, in: context)
    }

    /// The map as it enters the first stage.
    ///
    /// - Parameter map: `[3, H, W]`, RGB in [0, 1], as many times larger than the latent as the configuration says.
    /// - Precondition: this is the first stage.
    public func embedded(_ map: Latent, in context: ComputeContext) throws -> Tensor {
        guard let embedding else { preconditionFailure("stage \(rungs) takes no map") }
        let picture = Tensor(
            planes: map.values, channels: map.channels, height: map.height, width: map.width,
            in: context.with(elementType: .float32))
        return try embedding(picture, in: context)
    }
}

extension UNetConfiguration {
    /// The network that begins in the same way and sees the latent and nothing else: what a ControlNet is beside.
    var ofLatentAlone: UNetConfiguration {
        var copy = self
        copy.inputChannels = Self.latentChannels
        return copy
    }

    /// Channels of each rung's skip, from the top.
    var skipChannels: [Int] { levelsOfRungs.map { blockChannels[$0.down] } }
}
