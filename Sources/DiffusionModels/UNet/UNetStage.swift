import NeuralLayers
import TensorKernels

/// Consecutive rungs of the noise predictor of Stable Diffusion 1.x and 2.x, diffusers' `UNet2DConditionModel`; the
/// stage of all rungs is the whole network.
///
/// A ladder: each rung holds the unit that makes a skip connection on the way down and the unit that takes it on the
/// way up, so a stage keeps its skips to itself, and only the hidden state goes from stage to stage. The stage of the
/// last rung has the middle, that of the first has the last layers.
public struct UNetStage: Sendable {
    public let configuration: UNetConfiguration
    /// Which of the ladder's rungs, 0 at the top.
    public let rungs: Range<Int>
    let timeEmbedding: TimeEmbedding
    let units: [Rung]
    /// The bottom of the ladder, on the last stage.
    let middle: Middle?
    /// The last layers, on the first stage.
    let head: Head?

    /// A stage whose weights are read when they are first used. It asks for the tensors of its own rungs, and for those
    /// of the time embedding, alone.
    ///
    /// Missing and misshapen tensors are for `weights` to remember and report.
    ///
    /// - Parameter rungs: all of them, unless given.
    /// - Precondition: the ladder has these rungs, and there is at least one.
    public init(_ configuration: UNetConfiguration, rungs: Range<Int>? = nil, weights: any WeightSource) {
        let scope = ParameterScope(weights)
        let count = configuration.rungCount
        let rungs = rungs ?? 0..<count
        precondition(!rungs.isEmpty && rungs.lowerBound >= 0 && rungs.upperBound <= count, "no rungs \(rungs)")
        self.configuration = configuration
        self.rungs = rungs
        timeEmbedding = TimeEmbedding(scope["time_embedding"], configuration)
        let downs = DownUnit.makers(scope, configuration)[rungs].map { $0() }
        // From the bottom, as the network is run.
        let ups = UpUnit.makers(scope, configuration)[count - rungs.upperBound..<count - rungs.lowerBound].map { $0() }
        units = zip(downs, ups.reversed()).map { Rung(down: $0, up: $1) }
        middle = rungs.upperBound == count ? Middle(scope["mid_block"], configuration) : nil
        head = rungs.lowerBound == 0 ? Head(scope, configuration) : nil
    }

    /// Whether latents come in and noise goes out here.
    public var isFirst: Bool { head != nil }
    /// Whether the way down turns into the way up here.
    public var isLast: Bool { middle != nil }

    /// What every residual block needs to know of a timestep.
    public func timeMemory(timestep: Int, in context: ComputeContext) throws -> TimeMemory {
        try timeEmbedding(timestep, in: context)
    }

    /// The whole network's output (noise or velocity) for `latent` `[h, w, input channels]`.
    ///
    /// - Precondition: this is the stage of all rungs.
    public func callAsFunction(
        _ latent: Tensor, _ conditioning: Conditioning, controls: [ControlConditioning] = [],
        in context: ComputeContext
    ) throws -> Tensor {
        let pass = wholePass(conditioning, controls, isRecorded: false, in: context)
        return try pass.up(pass.down(latent))
    }

    /// The same, with the pullback to the latent, which is called once at most.
    public func withPullback(
        _ latent: Tensor, _ conditioning: Conditioning, controls: [ControlConditioning] = [],
        in context: ComputeContext
    ) throws -> (y: Tensor, pullback: Pullback) {
        let pass = wholePass(conditioning, controls, isRecorded: true, in: context)
        return (try pass.up(pass.down(latent)), { dy in try pass.downGradient(pass.upGradient(dy)) })
    }

    private func wholePass(
        _ conditioning: Conditioning, _ controls: [ControlConditioning], isRecorded: Bool, in context: ComputeContext
    ) -> StagePass {
        precondition(isFirst && isLast, "stage \(rungs) is not the whole network")
        return StagePass(of: self, conditioning, controls: controls, isRecorded: isRecorded, in: context)
    }
}

extension UNetConfiguration {
    /// How many rungs the ladder has: one for `conv_in`, for each layer, and for each downsampler. 12 in Stable
    /// Diffusion 1.5.
    public var rungCount: Int { layersPerBlock.reduce(blockChannels.count) { $0 + $1 } }
}

/// The unit that makes a skip and the unit that takes it.
struct Rung: Sendable {
    let down: DownUnit
    let up: UpUnit
}
