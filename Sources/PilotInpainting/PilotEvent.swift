import DiffusionModels

/// What a sampler tells its observer, in the order in which it happens.
///
/// A job is `initialLatent`, then for each step `stepStarted`, `latent`, at optimised timesteps `gradientStep` K times
/// and `optimizedLatent`, then `noise`, at optimised timesteps `reconstructions`, `stepFinished`; at last
/// `finalLatent`. Latents are `[channels, h, w]`.
public enum PilotEvent: Sendable {
    /// The noise the job starts from.
    case initialLatent(Latent)
    case stepStarted(PilotStep)
    /// z after blending, before optimisation.
    case latent(PilotStep, Latent)
    /// Gradient step `number` (1 for the first) is done; `loss` is what it was before the step.
    case gradientStep(PilotStep, number: Int, loss: LossValues)
    /// z after the last gradient step.
    case optimizedLatent(PilotStep, Latent)
    /// The network's outputs of the denoising call, before guidance: noise, or what else the model predicts.
    case noise(PilotStep, unconditional: Latent, conditional: Latent)
    /// ztilde of the denoising call: of each branch and of the guided prediction.
    case reconstructions(PilotStep, unconditional: Latent, conditional: Latent, guided: Latent)
    case stepFinished(PilotStep)
    /// z after the last step, ready for the decoder.
    case finalLatent(Latent)
}

/// Called for each event, one at a time; the sampler waits for it, and an error it throws ends the job.
public typealias PilotObserver = @Sendable (PilotEvent) async throws -> Void
