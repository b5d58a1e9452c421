import DiffusionModels
import Foundation
import PilotInpainting

/// The analytic network of scripts/fixtures/make_method_fixtures.py (`ToyNetwork`), with its pullback written out.
///
/// output_b(z, t) = base(t) z + sqrt(abar_t) B_b (0.6 tanh(C z) + 0.5 sin(i + b)), where
/// (C z)_i = z_i + 0.3 z_{i+1} - 0.2 z_{i+7}, indices cyclic.
struct ToyNetwork: NoisePredictor {
    let scheduler: DDIMScheduler
    let calls = CallCounter()

    private func base(_ timestep: Int) -> Float {
        let abar = scheduler.cumulativeAlphas[timestep]
        return switch scheduler.configuration.predictionType {
        case .epsilon: (1 - abar).squareRoot()
        case .velocity: 0
        case .sample: abar.squareRoot()
        }
    }

    private func strength(_ branch: GuidanceBranch, _ timestep: Int, _ masking: AttentionMasking) -> Float {
        let own: Float = branch == .unconditional ? 0.7 : 1.1
        let cross: Float = masking.contains(.crossAttention) ? 0.8 : 1
        let ownAttention: Float = masking.contains(.selfAttention) ? 1.25 : 1
        return scheduler.cumulativeAlphas[timestep].squareRoot() * own * cross * ownAttention
    }

    private func saturated(_ z: [Float]) -> [Float] {
        let count = z.count
        return (0..<count).map { tanh(z[$0] + 0.3 * z[($0 + 1) % count] - 0.2 * z[($0 + 7) % count]) }
    }

    private func output(_ evaluation: Evaluation) -> Latent {
        let (branch, latent) = (evaluation.branch, evaluation.latent)
        let base = base(evaluation.timestep)
        let strength = strength(branch, evaluation.timestep, evaluation.masking)
        var result = latent
        for (index, value) in saturated(latent.values).enumerated() {
            let offset = Float(0.5 * sin(Double(index + branch.rawValue)))
            result.values[index] = base * latent.values[index] + strength * (0.6 * value + offset)
        }
        return result
    }

    func noise(_ evaluation: Evaluation) async throws -> Latent {
        await calls.countForward()
        return output(evaluation)
    }

    func noiseWithPullback(
        _ evaluation: Evaluation
    ) async throws -> (noise: Latent, pullback: @Sendable (Latent) async throws -> Latent) {
        await calls.countRecordedForward()
        let base = base(evaluation.timestep)
        let strength = strength(evaluation.branch, evaluation.timestep, evaluation.masking)
        let slopes = saturated(evaluation.latent.values).map { strength * 0.6 * (1 - $0 * $0) }
        return (
            output(evaluation),
            { seed in
                await calls.countBackward()
                let count = slopes.count
                var gradient = seed.mapped { base * $0 }
                for index in 0..<count {
                    let inner = slopes[index] * seed.values[index]
                    gradient.values[index] += inner
                    gradient.values[(index + 1) % count] += 0.3 * inner
                    gradient.values[(index + 7) % count] -= 0.2 * inner
                }
                return gradient
            }
        )
    }
}

/// Counts evaluations from both branches at once.
actor CallCounter {
    private(set) var work = PilotWork()

    func countForward() { work.forwardPasses += 1 }
    func countRecordedForward() { work.recordedForwardPasses += 1 }
    func countBackward() { work.backwardPasses += 1 }
}

/// Keeps every event of a run.
actor Recorder {
    private(set) var events: [PilotEvent] = []

    func record(_ event: PilotEvent) { events.append(event) }
}
