/// The one-step reconstruction of a clean sample from a noisy one and a model output, at one timestep.
///
/// It is linear in both: ztilde = a z + b output (the paper's Eq. 8 for a network that predicts noise). With
/// abar = abar_t,
///
/// | prediction | a | b | noise |
/// |---|---|---|---|
/// | epsilon | 1 / sqrt(abar) | -sqrt(1 - abar) / sqrt(abar) | output |
/// | velocity | sqrt(abar) | -sqrt(1 - abar) | sqrt(abar) output + sqrt(1 - abar) z |
/// | sample | 0 | 1 | (z - sqrt(abar) output) / sqrt(1 - abar) |
///
/// so a gradient s with respect to ztilde pulls back to a s + b J^T s with respect to z, J the network's Jacobian.
public struct Reconstruction: Sendable, Equatable {
    /// a.
    public let latentFactor: Float
    /// b.
    public let outputFactor: Float
    private let signal: Float
    private let deviation: Float
    private let predictionType: SchedulerConfiguration.PredictionType

    public init(cumulativeAlpha: Float, predictionType: SchedulerConfiguration.PredictionType) {
        signal = cumulativeAlpha.squareRoot()
        deviation = (1 - cumulativeAlpha).squareRoot()
        self.predictionType = predictionType
        switch predictionType {
        case .epsilon: (latentFactor, outputFactor) = (1 / signal, -deviation / signal)
        case .velocity: (latentFactor, outputFactor) = (signal, -deviation)
        case .sample: (latentFactor, outputFactor) = (0, 1)
        }
    }

    /// ztilde, of `latent`'s shape, from the network's output at `latent`.
    public func clean(latent: Latent, modelOutput: Latent) -> Latent {
        latent.zipped(with: modelOutput, clean)
    }

    /// The predicted noise (epsilon), of `latent`'s shape, from the network's output at `latent`.
    public func noise(latent: Latent, modelOutput: Latent) -> Latent {
        latent.zipped(with: modelOutput, noise)
    }

    /// One element of ztilde, in the order of operations of diffusers' `DDIMScheduler.step`.
    func clean(_ z: Float, _ output: Float) -> Float {
        switch predictionType {
        case .epsilon: (z - deviation * output) / signal
        case .velocity: signal * z - deviation * output
        case .sample: output
        }
    }

    /// One element of the predicted noise, in the order of operations of diffusers' `DDIMScheduler.step`.
    func noise(_ z: Float, _ output: Float) -> Float {
        switch predictionType {
        case .epsilon: output
        case .velocity: signal * output + deviation * z
        case .sample: (z - signal * output) / deviation
        }
    }
}
