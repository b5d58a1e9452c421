import DiffusionModels
import NeuralLayers
import ShardedRuntime
import TensorKernels

/// Costs to plan with, of Stable Diffusion 1.5 and of small models.
enum PlanCosts {
    static let rungsOfSD15 = 12

    static func of(
        _ architecture: ModelArchitecture, side: Int, elementType: ElementType = .float32
    ) -> LadderCosts {
        LadderCosts(
            unet: architecture.unet, autoencoder: architecture.vae, textEncoder: architecture.textEncoder,
            latent: (side / 8, side / 8), tokens: 77, elementType: elementType)
    }

    static func times(_ costs: LadderCosts, _ speed: Calibration.Speed? = nil) -> TaskTimes {
        TaskTimes(costs, speed ?? Calibration.builtIn.speed(costs.elementType, threads: 1).speed)
    }

    /// A machine on which only computing takes time, and on whose rungs each leg takes as long as is said.
    ///
    /// - Parameter seconds: of each rung: down, up, up gradient, down gradient.
    static func machine(_ costs: LadderCosts, seconds: [[Double]]) -> (Calibration, Calibration.Speed) {
        var calibration = Calibration.builtIn
        calibration.node = Calibration.Link(latency: 0, bandwidth: 1e15)
        calibration.taskOverhead = 0
        calibration.driverSeconds = 0
        var speed = calibration.speeds[0]
        speed.elementType = costs.elementType.rawValue
        speed.pictures = Calibration.Rates(convolution: 1e-18, linear: 1e-18, attention: 1e-18, weight: 0)
        speed.ladders = [
            Calibration.MeasuredLadder(
                operations: costs.total.doneOperations, parameters: costs.total.parameters, down: seconds.map { $0[0] },
                up: seconds.map { $0[1] }, upGradient: seconds.map { $0[2] }, downGradient: seconds.map { $0[3] })
        ]
        return (calibration, speed)
    }
}
