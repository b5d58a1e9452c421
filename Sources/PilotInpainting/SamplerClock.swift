import DiffusionModels
import Synchronization

/// Where a sampler's time goes, and its last loss. Events come one at a time, before anything else is done.
final class SamplerClock: Sendable {
    private struct State {
        var gradientSteps = SampledLatent.Work()
        var denoisingSteps = SampledLatent.Work()
        var loss: LossValues?
        /// Since when the sampler has been at its present piece of work.
        var mark = ContinuousClock.now
    }

    private let state = Mutex(State())

    /// Counts the time since the sampler's last event.
    func observe(_ event: PilotEvent) {
        state.withLock { state in
            let seconds = (ContinuousClock.now - state.mark) / .seconds(1)
            switch event {
            case .gradientStep(_, _, let loss):
                state.loss = loss
                state.gradientSteps.count += 1
                state.gradientSteps.seconds += seconds
            case .noise: state.denoisingSteps.seconds += seconds
            case .stepFinished:
                state.denoisingSteps.count += 1
                state.denoisingSteps.seconds += seconds
            default: break
            }
        }
    }

    /// The sampler goes on: what observers did meanwhile is not its time.
    func setMark() { state.withLock { $0.mark = .now } }

    func result(_ latent: Latent) -> SampledLatent {
        state.withLock { state in
            SampledLatent(
                latent: latent, loss: state.loss, gradientSteps: state.gradientSteps,
                denoisingSteps: state.denoisingSteps)
        }
    }
}
