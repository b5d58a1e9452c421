import DiffusionModels
import Failures
import Foundation
import ShardedRuntime
import Synchronization

/// A network small enough to check by hand: noise = sin(a z + t / 1000) + e, where a and e depend on the branch's
/// inputs, so that any mix-up of branches, passes or arguments changes the numbers.
public final class ToyEvaluator: BranchEvaluator {
    private struct State {
        var scale: [GuidanceBranch: Float] = [:]
        var offset: [GuidanceBranch: Float] = [:]
    }

    private let state = Mutex(State())
    private let failing: GuidanceBranch?
    private let living = Atomic(0)

    /// - Parameter failing: a branch whose evaluation throws bad data.
    public init(failing: GuidanceBranch? = nil) { self.failing = failing }

    /// How many pullbacks exist: made and not yet released.
    public var livingPullbacks: Int { living.load(ordering: .relaxed) }

    public func prepare(_ branch: GuidanceBranch, _ inputs: BranchInputs) throws {
        state.withLock { state in
            state.scale[branch] = 1 + inputs.mask.values.reduce(0, +) / Float(max(inputs.mask.values.count, 1))
            state.offset[branch] = inputs.embedding.reduce(0, +) / Float(max(inputs.embedding.count, 1))
        }
    }

    public func noise(_ evaluation: Evaluation) throws -> Latent {
        try evaluate(evaluation) { sin($0) + $1 }
    }

    public func noiseWithPullback(
        _ evaluation: Evaluation
    ) throws -> (noise: Latent, pullback: (Latent) throws -> Latent) {
        let noise = try noise(evaluation)
        let scale = try constants(of: evaluation.branch).scale
        let slope = try evaluate(evaluation) { angle, _ in scale * cos(angle) }
        let token = Token(self)
        return (
            noise,
            { gradient in
                _ = token
                var result = gradient
                for index in result.values.indices { result.values[index] *= slope.values[index] }
                return result
            }
        )
    }

    private func constants(of branch: GuidanceBranch) throws -> (scale: Float, offset: Float) {
        try state.withLock { state in
            guard let scale = state.scale[branch], let offset = state.offset[branch] else {
                throw Failure.internalFault("the \(branch) branch was not prepared")
            }
            return (scale, offset)
        }
    }

    private func evaluate(_ evaluation: Evaluation, _ function: (Float, Float) -> Float) throws -> Latent {
        if evaluation.branch == failing { throw Failure.badData("unet.safetensors: broken") }
        let (scale, offset) = try constants(of: evaluation.branch)
        let shift = Float(evaluation.timestep) / 1000 + Float(evaluation.masking.rawValue)
        var result = evaluation.latent
        for index in result.values.indices {
            result.values[index] = function(scale * result.values[index] + shift, offset)
        }
        return result
    }

    private final class Token: Sendable {
        private let evaluator: ToyEvaluator
        init(_ evaluator: ToyEvaluator) {
            self.evaluator = evaluator
            evaluator.living.add(1, ordering: .relaxed)
        }
        deinit { evaluator.living.subtract(1, ordering: .relaxed) }
    }
}
