import Foundation

/// How the learning rate and the weight of the semantic loss run over the timesteps (appendix A of the paper).
public struct PilotSchedules: Equatable, Sendable {
    private let parameters: PilotParameters
    private let trainingTimesteps: Int
    private let constantWeight: Double

    /// - Parameter trainingTimesteps: T.
    public init(parameters: PilotParameters, mask: LatentMask, trainingTimesteps: Int) {
        self.parameters = parameters
        self.trainingTimesteps = trainingTimesteps
        // One at the paper's third of unmasked area.
        let relativeArea = 3 * mask.unmaskedFraction
        let area =
            switch parameters.lambdaArea {
            case .square: relativeArea * relativeArea
            case .linear: relativeArea
            case .constant: 1.0
            }
        // L_bg is a sum over the latent, L_s a ratio: the factor keeps their balance, 1 at the paper's 64 x 64 cells.
        let resolution = Double(mask.height * mask.width) / 4096
        constantWeight = parameters.lambda * resolution * area
    }

    /// The timestep on a scale of 1000.
    private func scaled(_ timestep: Int) -> Double {
        Double(timestep) * 1000 / Double(trainingTimesteps)
    }

    /// lr(t, i): the warm-up rate at the first step, else lr_95 x 1.002^(950 - t).
    public func learningRate(timestep: Int, stepIndex: Int) -> Double {
        stepIndex == 0
            ? parameters.warmupLearningRate : parameters.learningRate * pow(1.002, 950 - scaled(timestep))
    }

    /// lambda(t) = lambda_0 x (h w / 4096) x area x ramp(t); the ramp is 0.1 below 300, then linear to 1 at 999.
    public func semanticWeight(timestep: Int) -> Double {
        let t = scaled(timestep)
        return constantWeight * (t < 300 ? 0.1 : 0.1 + 0.9 * (t - 300) / 699)
    }
}
