import NeuralLayers
import TensorKernels

/// The noise predictor of Stable Diffusion 1.x and 2.x. diffusers' `UNet2DConditionModel`.
///
/// A ladder: each rung holds the unit that makes a skip connection on the way down and the unit that takes it on the
/// way up, so a stage of consecutive rungs keeps its skips to itself.
public struct UNet: Sendable {
    public let configuration: UNetConfiguration
    let timeEmbedding: TimeEmbedding
    let rungs: [Rung]
    let middle: Middle
    let head: Head

    /// A network whose weights are read when they are first used.
    ///
    /// Missing and misshapen tensors are for `weights` to remember and report.
    public init(_ configuration: UNetConfiguration, weights: any WeightSource) {
        let scope = ParameterScope(weights)
        self.configuration = configuration
        timeEmbedding = TimeEmbedding(scope["time_embedding"], configuration)
        let downs = DownUnit.all(scope, configuration)
        let ups = UpUnit.all(scope, configuration)
        precondition(downs.count == ups.count, "a skip is made and taken once")
        rungs = zip(downs, ups.reversed()).map { Rung(down: $0, up: $1) }
        middle = Middle(scope["mid_block"], configuration)
        head = Head(scope, configuration)
    }

    /// What every residual block needs to know of a timestep.
    public func timeMemory(timestep: Int, in context: ComputeContext) throws -> TimeMemory {
        try timeEmbedding(timestep, in: context)
    }

    /// The model's output (noise or velocity) for `latent` `[h, w, input channels]`.
    public func callAsFunction(
        _ latent: Tensor, _ conditioning: Conditioning, in context: ComputeContext
    ) throws -> Tensor {
        var hidden = latent
        var skips: [Tensor] = []
        for rung in rungs {
            hidden = try rung.down(hidden, conditioning, in: context)
            skips.append(hidden)
        }
        hidden = try middle(hidden, conditioning, in: context)
        for rung in rungs.reversed() {
            let skip = skips.removeLast()
            hidden = try rung.up(hidden, skip: skip, next: skips.last?.shape, conditioning, in: context)
        }
        return try head(hidden, in: context)
    }

    /// The same, with the pullback to the latent.
    public func withPullback(
        _ latent: Tensor, _ conditioning: Conditioning, in context: ComputeContext
    ) throws -> (y: Tensor, pullback: Pullback) {
        var hidden = latent
        var skips: [Tensor] = []
        var downs: [Pullback] = []
        for rung in rungs {
            let (y, pullback) = try rung.down.withPullback(hidden, conditioning, in: context)
            hidden = y
            skips.append(y)
            downs.append(pullback)
        }
        let (deepest, throughMiddle) = try middle.withPullback(hidden, conditioning, in: context)
        hidden = deepest
        var ups: [UpUnit.Pullback] = []
        for rung in rungs.reversed() {
            let skip = skips.removeLast()
            let (y, pullback) = try rung.up.withPullback(
                hidden, skip: skip, next: skips.last?.shape, conditioning, in: context)
            hidden = y
            ups.append(pullback)
        }
        let (output, throughHead) = try head.withPullback(hidden, in: context)
        return (
            output,
            { dy in
                var gradient = try throughHead(dy)
                var skipGradients: [Tensor] = []
                for pullback in ups.reversed() {
                    let (hidden, skip) = try pullback(gradient)
                    gradient = hidden
                    skipGradients.append(skip)
                }
                gradient = try throughMiddle(gradient)
                for pullback in downs.reversed() {
                    // A rung's output went on down the ladder, and across it as a skip.
                    gradient = try pullback(gradient.adding(skipGradients.removeLast(), in: context))
                }
                return gradient
            }
        )
    }
}

/// The unit that makes a skip and the unit that takes it.
struct Rung: Sendable {
    let down: DownUnit
    let up: UpUnit
}
